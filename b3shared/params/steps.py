"""The steps, in order, and the parameters that each of them owns."""

from enum import StrEnum

from b3shared.params.models import model_of, model_types


class Step(StrEnum):
    """The steps of a run, in order.

    The names are those of the API's paths and of the run's step files.
    """

    LOAD_DATA = "load_data"
    PREPROCESS_DATA = "preprocess_data"
    SPLIT_DATA = "split_data"
    TRAIN_MODEL = "train_model"
    EVALUATE_MODEL = "evaluate_model"
    REFIT_MODEL = "refit_model"
    SAVE_MODEL = "save_model"
    PUBLISH_SERVING = "publish_serving"

    @property
    def earlier(self) -> "tuple[Step, ...]":
        """The steps that must have finished before this one, in order."""
        steps = tuple(Step)
        return steps[: steps.index(self)]

    @property
    def predecessor(self) -> "Step | None":
        """The step just before this one, or None for the first."""
        return self.earlier[-1] if self.earlier else None


STEP_PARAMS: dict[Step, set[str]] = {
    Step.LOAD_DATA: {
        "tickers",
        "instruments",
        "start",
        "end",
        "period",
        "max_missing_sessions",
        "min_turnover",
    },
    Step.PREPROCESS_DATA: {
        "features",
        "label",
        "horizon",
        "label_width",
        "signal_lag",
        "max_gap",
        "lookback",
    },
    Step.SPLIT_DATA: {"test_size", "val_size", "embargo_days"},
    Step.TRAIN_MODEL: {"model_type", "random_state", "interval_level"},
    Step.EVALUATE_MODEL: {"decision"},
    Step.REFIT_MODEL: {"refit"},
    Step.SAVE_MODEL: {"model_dir", "model_name", "promotion_margin"},
    Step.PUBLISH_SERVING: set(),
}
"""Which step each parameter of the run belongs to. Every parameter has exactly one owner.

The models' own parameters belong to :data:`Step.TRAIN_MODEL`.
"""


def owner_of(name: str) -> Step | None:
    """Return the step that owns a parameter, flat or nested; None for an unknown name."""
    if name in model_types() or model_of(name):
        return Step.TRAIN_MODEL
    return next((step for step, names in STEP_PARAMS.items() if name in names), None)
