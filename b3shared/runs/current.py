"""The current run: the one that a call without a run id is about, started last by hand."""

from b3shared.core.serialization import from_json, to_json
from b3shared.storage import Storage

KEY = "control/current-run.json"


def current_run(storage: Storage) -> str | None:
    """Return the id of the current run, or None."""
    found = storage.read_versioned(KEY)
    run_id: str | None = from_json(found[0], KEY)["run_id"] if found else None
    return run_id


def set_current_run(storage: Storage, run_id: str | None) -> None:
    """Make a run the current one; None for no run."""
    storage.put(KEY, to_json({"run_id": run_id}))
