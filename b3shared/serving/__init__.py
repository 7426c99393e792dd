"""Answers forecasts from the live model versions and the newest snapshot of features."""
