"""Parameters of quick runs of the pipeline."""

SMALL = {
    "tickers": ["PETR4", "VALE3", "ITUB4", "BBDC4", "ABEV3", "BBAS3", "WEGE3", "MGLU3"],
    "n_estimators": 12,
    "max_depth": 4,
    "min_samples_leaf": 50,
    "max_features": "sqrt",
    "n_jobs": 1,
}
"""Parameters of a run that takes a second or two: eight tickers, a small forest, no search."""

NETWORK = {"units": 8, "epochs": 4, "batch_size": 512, "lookback": 8}
"""Parameters of an LSTM that is trained in seconds."""
