"""Step 5: the model beside the baselines on dates that it has not seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.evaluation.evaluate import evaluate
from b3shared.evaluation.verdict import leak_suspected
from b3shared.gate import Outcomes
from b3shared.models.base import METADATA_FILE
from b3shared.openings import count_opening
from b3shared.params import Step
from b3shared.pipeline.runner import Context
from b3shared.pipeline.table import load_table
from b3shared.pipeline.train_model import PREDICTIONS, load_predictions

HEADLINE = ("accuracy", "macro_f1", "log_loss", "rank_ic", "icir", "directional_accuracy")
RETURN_HEADLINE = ("return_rank_ic", "return_r2_over_zero", "price_mape", "price_mape_excess", "interval_coverage")
"""Of a model that forecasts returns."""


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Every figure, picture and the report; the test rows' forecasts go along for later paired comparisons."""
    data = load_table(context)
    trained = context.inputs(Step.TRAIN_MODEL, METADATA_FILE, PREDICTIONS)
    model = json.loads((trained / METADATA_FILE).read_text(encoding="utf-8"))
    parts, forecasts = load_predictions(trained / PREDICTIONS)
    opened = count_opening(context.storage, data.date[parts["test"]], context.plan.input_hash)
    evaluation = evaluate(
        data,
        parts,
        forecasts,
        np.array(model["base_rates"]),
        context.params,
        model["importance"],
        training=model["summary"],
        context={
            "run_id": context.run.run_id,
            "source": context.plan.upstream[Step.LOAD_DATA].summary["source"],
            "test_openings": opened,
        },
    )
    files = evaluation.save(context.out)
    outcomes = Outcomes.of(data, parts["test"], forecasts["test"].probabilities, context.params)
    files.append(outcomes.save(context.out))
    test = evaluation.metrics["model"]["test"]
    return files, {
        "skill": evaluation.skill,
        "leak_suspected": leak_suspected(evaluation.metrics),
        "headline": evaluation.metrics["headline"],
        "test": {name: test.get(name) for name in HEADLINE} | {name: test[name] for name in RETURN_HEADLINE if name in test},
        "test_openings": opened,
        "warnings": evaluation.metrics["warnings"],
        "files": sorted(path.name for path in files),
    }
