"""COTAHIST, the exchange's own files of daily quotes: downloads, opens, parses and checks them."""
