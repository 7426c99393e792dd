"""Copies the report of a run to where a person reads it."""

import json
import tempfile
from pathlib import Path
from typing import Any

from b3shared.params.steps import Step
from b3shared.runs.run import Run


def copy_report(run: Run, folder: Path) -> dict[str, Any]:
    """Copy a run's report and pictures to a folder; return its metrics."""
    with tempfile.TemporaryDirectory() as temporary:
        fetched = run.fetch(Step.EVALUATE_MODEL, Path(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        for path in fetched.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())

    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics
