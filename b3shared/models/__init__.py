"""The models: one module each behind the interface of :mod:`b3shared.models.base`, and the scorer that serves them."""

MODELS = {
    "rf": "b3shared.models.random_forest.model:RandomForestModel",
    "lstm": "b3shared.models.lstm.model:LSTMModel",
}
"""Model type -> class, by name, so that only the model in use is imported."""
