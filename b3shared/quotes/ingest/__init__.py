"""From files and sources into the lake."""
