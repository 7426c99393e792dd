"""Records steps as finished without doing their work."""

import time

from b3shared.params.steps import Step

SUMMARY = {
    Step.LOAD_DATA: {"rows": 1000, "columns": ["ticker", "date", "close"], "ticker_count": 3},
    Step.PREPROCESS_DATA: {
        "labelled_rows": 900,
        "features": 2,
        "feature_names": ["return_1", "rsi_14"],
        "target_distribution": {"buy": 300, "sell": 300, "hold": 300},
    },
    Step.SPLIT_DATA: {
        "train_size": 540,
        "validation_size": 180,
        "test_size": 180,
        "boundaries": {
            "train": {"first": "2020-01-02", "last": "2022-06-30"},
            "val": {"first": "2022-07-11", "last": "2023-02-28"},
            "test": {"first": "2023-03-10", "last": "2023-12-26"},
        },
        "left_out": {"purged": 32, "embargoed": 80, "unlabelled": 16},
    },
    Step.TRAIN_MODEL: {"chosen": {"max_depth": 4}, "rows": {"train": 540, "val": 180}},
    Step.EVALUATE_MODEL: {
        "skill": "none",
        "headline": "no skill",
        "test": {"log_loss": 1.08, "rank_ic": None},
        "warnings": [],
        "test_openings": 1,
    },
    Step.SAVE_MODEL: {
        "model_type": "rf",
        "model_path": "models/rf/v/b3_model.joblib",
        "model_version": "v",
        "live": True,
        "pending": None,
        "decision": "first version of this type",
        "evidence": {},
        "skill": "none",
    },
}
"""What the steps say, in the shapes that the real ones use."""


def finish(run, step, folder, overrides=None, input_key=None):
    """Record a step as finished, without its work."""
    plan = run.plan(step, overrides or {}, input_key)
    if plan.record:
        return plan.record
    file = folder / f"{step}.bin"
    file.write_bytes(str(step).encode())
    return run.finish(plan, [file], SUMMARY.get(step, {}), time.time())
