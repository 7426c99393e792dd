"""The deployment's own store of daily quotes."""
