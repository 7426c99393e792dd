"""The command line ``b3``."""
