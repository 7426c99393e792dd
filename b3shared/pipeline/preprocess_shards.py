"""The shards of the preprocessing: parts of the training table, made one by one, by one function or by many at once.

A shard's part lies under the step's own prefix, which its input hash names, and ``<number>.json``
beside it says where: that is written last and once, so a shard is done wholly or not at all, and
one that is done is not made again.
"""

import secrets
from pathlib import Path
from typing import Any

from pydantic import Field

from b3shared.core.config import Settings
from b3shared.core.errors import ConflictError, InvalidParameterError
from b3shared.core.serialization import from_json, to_json
from b3shared.core.tempdir import temporary_directory
from b3shared.dataset.npz import write_npz
from b3shared.features.ticker_features import Coverage
from b3shared.features.training_table import table_part
from b3shared.models.base import TrainingSession
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import shard_names
from b3shared.pipeline.requests import StepRequest
from b3shared.pipeline.runner import Context
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.runs.records import Artifact
from b3shared.runs.run import Run
from b3shared.storage import open_storage


class ShardRequest(StepRequest):
    """A shard's work: as the step's, and which shard."""

    shard: int = Field(ge=0)


class Shards:
    """The shards that a step's plan builds on; ``len`` says how many.

    Args:
        context: of the preprocessing.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loaded = context.plan.upstream[Step.LOAD_DATA]
        self._names = shard_names(self._loaded.artifacts)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self) > 1

    @property
    def coverage(self) -> Coverage:
        """What the loaded quotes have, in all."""
        report = self._loaded.summary
        return Coverage(
            report["tickers"], frozenset(report["columns"]) - set(report["empty_columns"])
        )

    def local(self, number: int) -> Path:
        """A file with a shard's part: fetched if it was stored, else made here."""
        path = self._context.folder / f"part-{number:04d}.npz"
        if stored := self._stored(number):
            return self._context.storage.download(stored.key, path, stored.sha256)
        name = self._names[number]
        quotes = self._context.inputs(Step.LOAD_DATA, name) / name
        frame = ParquetSource(quotes).read(QuoteQuery())
        quotes.unlink()
        return write_npz(path, table_part(frame, self._context.params, self.coverage))

    def store(self, number: int) -> bool:
        """Make a shard's part and store it; False if that was done already.

        Raises:
            InvalidParameterError: There is no such shard.
        """
        if number >= len(self):
            raise InvalidParameterError(
                f"shard {number}: there are {len(self)}, 0 to {len(self) - 1}"
            )
        if self._stored(number):
            return False
        storage, path = self._context.storage, self.local(number)
        key = f"{self._prefix}/{number:04d}-{secrets.token_hex(4)}/part.npz"
        artifact = Artifact(key=key, sha256=storage.upload(path, key), bytes=path.stat().st_size)
        try:
            storage.create(self._mark(number), to_json(artifact.model_dump()))
        except ConflictError:
            return False  # somebody else was quicker with the same
        return True

    @property
    def _prefix(self) -> str:
        return f"{self._context.plan.prefix}/shards"

    def _mark(self, number: int) -> str:
        return f"{self._prefix}/{number:04d}.json"

    def _stored(self, number: int) -> Artifact | None:
        key = self._mark(number)
        found = self._context.storage.read_versioned(key)
        return Artifact.model_validate(from_json(found[0], key)) if found else None


def perform_shard(request: ShardRequest, settings: Settings) -> dict[str, Any]:
    """Make one shard of a run's preprocessing, unless it, or the whole step, is done.

    Returns:
        ``{"run_id", "shard", "made"}``.

    Raises:
        B3Error: What goes wrong; it is recorded in the run first.
    """
    run = Run.open(open_storage(settings.storage), request.run_id)
    plan = run.plan(Step.PREPROCESS_DATA, request.overrides, request.input_key)
    made = False
    if not plan.record and not plan.input:  # a user's own quotes are not those that were loaded
        try:
            with temporary_directory("preprocess_shard") as folder:
                made = Shards(Context(run, plan, settings, folder, TrainingSession())).store(
                    request.shard
                )
        except Exception as error:
            run.fail(Step.PREPROCESS_DATA, error)
            raise
    return {"run_id": run.run_id, "shard": request.shard, "made": made}
