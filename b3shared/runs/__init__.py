"""Runs: their records, their start, their failures, their schedule."""
