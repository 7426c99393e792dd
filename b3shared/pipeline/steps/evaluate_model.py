"""Step 5: evaluate the model against the baselines on dates that it has not seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.evaluation.evaluate import evaluate
from b3shared.evaluation.holdout_log import log_evaluation
from b3shared.models.base import METADATA_FILE
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import PREDICTIONS, load_market_of, load_predictions, load_table
from b3shared.pipeline.runner import Context


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Write metrics, pictures, the report, and the forecasts that later versions compare with."""
    data = load_table(context)
    trained = context.inputs(Step.TRAIN_MODEL, METADATA_FILE, PREDICTIONS)
    model = json.loads((trained / METADATA_FILE).read_text(encoding="utf-8"))
    parts, forecasts = load_predictions(trained / PREDICTIONS)
    dates = data.date[parts["test"]]
    evaluations = log_evaluation(context.storage, dates, context.plan.input_hash)
    evaluation = evaluate(
        data,
        parts,
        forecasts,
        np.array(model["base_rates"]),
        context.params,
        model["importance"],
        training=context.plan.upstream[Step.TRAIN_MODEL].summary,
        context={
            "run_id": context.run.run_id,
            "source": context.plan.upstream[Step.LOAD_DATA].summary["source"],
            "test_openings": evaluations,
        },
        market=load_market_of(context),
    )

    files = evaluation.save(context.out)
    names = sorted(path.name for path in files)
    return files, evaluation.summary() | {"test_openings": evaluations, "files": names}
