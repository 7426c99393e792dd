"""The training table and its split by date: NumPy only."""
