"""Step 6: train the evaluated configuration again, up to the newest known label, for serving."""

import json
import shutil
from pathlib import Path
from typing import Any

from b3shared.models.base import METADATA_FILE, model_class, trained_on
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import PREDICTIONS, load_parts, load_table, newest_covered
from b3shared.pipeline.runner import Context


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Train again on every labelled row; with ``refit: false`` pass the evaluated model on."""
    data = load_table(context)
    trained = context.inputs(Step.TRAIN_MODEL)
    rows = data.labelled if context.params.refit else load_parts(context)["train"]
    about = {
        "refit": context.params.refit,
        "rows": len(rows),
        **trained_on(data, rows),
    }

    if not context.params.refit:
        files = [path for path in sorted(trained.iterdir()) if path.name != PREDICTIONS]
        copies = [Path(shutil.copy2(path, context.out)) for path in files]
        _set_decision(context.out / METADATA_FILE, context.params.decision)
        return copies, about

    model = model_class(context.params.model_type).load(trained, context.params)
    again = model.refit(data, rows, context.session)
    return again.save(context.out, data, newest_covered(again, data)), about


def _set_decision(path: Path, decision: str) -> None:
    """Serve the decision rule that was evaluated: it may have been chosen after the training."""
    metadata = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps(metadata | {"decision": decision}, indent=1) + "\n", encoding="utf-8"
    )
