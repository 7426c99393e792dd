"""Where quotes are read from."""
