"""Parameters of a run: names and bounds, the step that owns each, the catalogue of models."""
