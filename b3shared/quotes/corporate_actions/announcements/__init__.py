"""Fetches, keeps and reads what the exchange announces of each company's dividends and shares."""
