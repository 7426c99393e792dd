"""The predict function over four tickers, and over an empty storage."""

import pytest
from predict_function import PredictFunction
from served_store import register_tiny, serve, tiny_snapshot

from b3shared.registry.promotion import promote
from b3shared.storage import FolderStorage

BASES = ("", "/api/b3")
"""Prefixes of the routes: none, and that of the reference project."""


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> PredictFunction:
    """Four tickers and two versions, of which one is live; no LSTM. Read-only."""
    folder = tmp_path_factory.mktemp("served")
    store = FolderStorage(folder / "store")
    serve(store, tiny_snapshot(), folder / "snapshot")
    promote(store, "models", "rf", register_tiny(store, folder / "one", 1), who="test", why="test")
    register_tiny(store, folder / "two", 2)
    return PredictFunction(folder / "store")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> PredictFunction:
    """Nothing was ever run here."""
    return PredictFunction(tmp_path_factory.mktemp("empty"))
