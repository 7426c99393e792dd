"""Corporate actions: detects splits and bonuses, applies overrides, links renamed tickers."""
