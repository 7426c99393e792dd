"""A store that is served to predictions, with a clock and a calendar that a test moves."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from served_store import (
    WatchedStorage,
    register_tiny,
    serve,
    tiny_snapshot,
)

from b3shared.api.schemas import BatchAnswer, PredictAnswer
from b3shared.core.errors import (
    B3Error,
)
from b3shared.registry.promotion import promote
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor

NEXT_DAY = date(
    2023, 12, 29
)  # a Friday; the newest session of the bundled quotes is the Thursday before


class World:
    """A store that is served, with a clock and a calendar that only move by hand."""

    def __init__(self, folder: Path) -> None:
        self.now, self.today, self.folder = 0.0, NEXT_DAY, folder
        self.store = WatchedStorage(folder)
        self.live = Live(self.store, clock=lambda: self.now)
        self.predictor = Predictor(self.live, lambda: self.today)

    def predict(self, ticker: str, **more: Any) -> dict[str, Any]:
        answer = self.predictor.predict(ticker, **more)
        PredictAnswer.model_validate(answer, strict=True)
        assert answer.keys() == PredictAnswer.model_fields.keys()
        return json.loads(json.dumps(answer, allow_nan=False))  # all of it is JSON

    def batch(self, tickers: list[str] | None, **more: Any) -> dict[str, Any]:
        answer = self.predictor.batch(tickers, **more)
        BatchAnswer.model_validate(answer, strict=True)
        assert answer.keys() == BatchAnswer.model_fields.keys()
        return json.loads(json.dumps(answer, allow_nan=False))

    def refusal(self, ticker: str, **more: Any) -> B3Error:
        with pytest.raises(B3Error) as caught:
            self.predictor.predict(ticker, **more)
        return caught.value


@pytest.fixture
def tiny(tmp_path: Path) -> World:
    """Four tickers, a model that can be computed by hand."""
    world = World(tmp_path / "store")
    serve(world.store, tiny_snapshot(), tmp_path / "snapshot")
    promote(
        world.store,
        "models",
        "rf",
        register_tiny(world.store, tmp_path / "rf", 1),
        who="test",
        why="test",
    )
    return world
