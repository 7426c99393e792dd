"""Starts scheduled runs: one per model type and week."""

from datetime import datetime
from typing import Any

from b3shared.core.clock import ZONE
from b3shared.core.errors import InvalidParameterError
from b3shared.params.run import PipelineParams
from b3shared.quotes.lake.manifest import read_manifest
from b3shared.runs.files import run_exists
from b3shared.runs.run import Run
from b3shared.runs.starter import Starter
from b3shared.runs.state_machine import execution_name
from b3shared.storage import Storage

EMPTY = "the lake is empty"


def start_scheduled(
    storage: Storage, starter: Starter, model_type: str, scheduled_time: str, quotes: str
) -> dict[str, Any]:
    """Start this week's run of a model type, unless it was started before or the lake is empty.

    Args:
        storage: of the deployment.
        starter: starts executions.
        model_type: any accepted name.
        scheduled_time: ISO 8601, when the schedule struck; the week is that of São Paulo.
        quotes: where runs read them. A new deployment's own lake is empty until somebody fills it,
            which is no failure.

    Returns:
        ``{"run_id", "execution", "started"}``, or ``{"started": False, "skipped": why}``.

    Raises:
        InvalidParameterError: The model type or the time is malformed.
    """
    params = PipelineParams.from_values(model_type=model_type)
    try:
        moment = datetime.fromisoformat(scheduled_time).astimezone(ZONE)
    except ValueError as error:
        raise InvalidParameterError(
            f"scheduled_time must be an ISO 8601 time, got {scheduled_time!r}"
        ) from error

    if _is_empty_lake(storage, quotes):
        return {"started": False, "skipped": EMPTY}

    year, week, _ = moment.isocalendar()
    run_id = f"scheduled-{params.model_type}-{year}w{week:02d}"
    known = run_exists(storage, run_id)
    run = Run.create(storage, run_id, params, trigger="schedule", scheduled_time=scheduled_time)
    first = execution_name(run_id, None, 1)
    if known and starter.machine.find(first) is not None:
        return {"run_id": run_id, "execution": first, "started": False}
    return {"run_id": run_id, "execution": starter.start(run, None).name, "started": True}


def _is_empty_lake(storage: Storage, quotes: str) -> bool:
    """Whether the quotes are a lake in the deployment's storage that is empty.

    False for any other source.
    """
    prefix = quotes.removeprefix(f"{storage.url}/")
    return prefix != quotes and not read_manifest(storage, f"{prefix.strip('/')}/").years
