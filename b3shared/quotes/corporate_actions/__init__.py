"""Splits, bonuses, dividends, renames: tables, overrides, detection."""
