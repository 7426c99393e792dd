"""A forest whose training takes several calls."""

from typing import Any, Self

from b3shared.core.arrays import IntArray
from b3shared.core.errors import TooManySlicesError
from b3shared.dataset.table import Dataset
from b3shared.models.base import TrainingSession, Unfinished
from b3shared.models.random_forest.model import RandomForestModel

CALLS = 3
"""Calls that a training takes."""


class SlicedForest(RandomForestModel):
    """A forest that counts its calls in the checkpoint and trains in the last one.

    With time without end one call is enough.
    """

    def fit(
        self, data: Dataset, train: IntArray, val: IntArray, session: TrainingSession
    ) -> dict[str, Any]:
        self._work(session)
        return super().fit(data, train, val, session)

    def refit(self, data: Dataset, rows: IntArray, session: TrainingSession) -> Self:
        self._work(session)
        return super().refit(data, rows, session)

    def _work(self, session: TrainingSession) -> None:
        assert session.checkpoint is not None
        seed, _, count = (session.checkpoint.load() or b"").partition(b" ")
        mine = b"%d" % self.params.random_state
        done = int(count) if seed == mine else 0
        if not done:
            session.checkpoint.restart()

        while done < CALLS:
            done += 1
            session.checkpoint.save(mine + b" %d" % done)
            words = {"phase": "train", "epoch": done, "epochs": CALLS}
            session.progress(words)
            if self.params.random_state == 13:
                raise TooManySlicesError("thirteen is unlucky")
            if done < CALLS and session.seconds_left() <= 0:
                raise Unfinished(words)
