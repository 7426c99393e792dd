"""Makes the training table's parts, one per shard of quotes, by one function or by many at once.

A shard's part is stored under the prefix of the step's input hash, and ``<number>.json`` beside it
names its key. That file is written last and once, so a shard is done wholly or not at all, and one
that is done is not made again.
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
    """Input of the function that makes one shard."""

    shard: int = Field(ge=0)


class Shards:
    """The shards of quotes that a step's plan builds on; ``len`` gives their number.

    Args:
        context: context of the preprocessing step.
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
        """Coverage of all loaded quotes."""
        report = self._loaded.summary
        columns = frozenset(report["columns"]) - set(report["empty_columns"])
        return Coverage(report["tickers"], columns)

    def local(self, number: int) -> Path:
        """Return a file with a shard's part: downloaded if it is stored, else made here."""
        path = self._context.folder / f"part-{number:04d}.npz"
        if stored := self._stored(number):
            return self._context.storage.download(stored.key, path, stored.sha256)

        name = self._names[number]
        quotes = self._context.inputs(Step.LOAD_DATA, name) / name
        frame = ParquetSource(quotes, loaded=True).read(QuoteQuery())
        quotes.unlink()
        return write_npz(path, table_part(frame, self._context.params, self.coverage))

    def store(self, number: int) -> bool:
        """Make and store a shard's part; return False if it is stored already.

        Raises:
            InvalidParameterError: There is no such shard.
        """
        if number >= len(self):
            raise InvalidParameterError(
                f"shard must be an integer from 0 to {len(self) - 1}, got {number}"
            )
        if self._stored(number):
            return False

        storage = self._context.storage
        path = self.local(number)
        key = f"{self._prefix}/{number:04d}-{secrets.token_hex(4)}/part.npz"
        artifact = Artifact(key=key, sha256=storage.upload(path, key), bytes=path.stat().st_size)
        try:
            storage.create(self._mark(number), to_json(artifact.model_dump()))
        except ConflictError:
            return False  # another function stored it first
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
    """Make one shard of a run's preprocessing, unless it or the whole step is done.

    Returns:
        ``{"run_id", "shard", "made"}``.

    Raises:
        B3Error: The shard cannot be made; the error is recorded in the run first.
    """
    run = Run.open(open_storage(settings.storage), request.run_id)
    plan = run.plan(Step.PREPROCESS_DATA, request.overrides, request.input_key)

    made = False
    if not plan.record and not plan.input:  # a user's own quotes are not those that were loaded
        try:
            with temporary_directory("preprocess_shard") as folder:
                context = Context(run, plan, settings, folder, TrainingSession())
                made = Shards(context).store(request.shard)
        except Exception as error:
            run.fail(Step.PREPROCESS_DATA, error)
            raise
    return {"run_id": run.run_id, "shard": request.shard, "made": made}
