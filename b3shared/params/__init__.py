"""The parameters of a run: what they are, which step each belongs to, the catalogue of models."""
