"""What each model has parameters of its own for: names, defaults, bounds and their reasons.

Those of any run are in :mod:`b3shared.params.run`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from b3shared.core.errors import InvalidParameterError

OF_SEQUENCES = ("lstm",)
"""Model types whose input is a window of sessions and not a row.

A stored model tells it by its input's shape.
"""


def _candidates(value: object) -> object:
    """A single value is a search space of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Depth = Annotated[int, Field(ge=1, le=16)]
Leaf = Annotated[int, Field(ge=1, le=100_000)]
MaxFeatures = Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)]


class Params(BaseModel):
    """Frozen, and without unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


class RandomForestParams(Params):
    """The forest and its search. A tuple is a list of candidates for the search; a single value fixes it.

    The bounds are reasons, not taste: the served model is an ONNX file that ``predict`` loads on a
    cold start, and a forest of unlimited depth cannot be converted within Lambda's memory.
    """

    n_jobs: int = Field(
        default=-1, ge=-1, le=64, description="threads inside the forest; -1 is one per core"
    )
    n_estimators: int = Field(default=150, ge=1, le=1000, description="trees")
    max_depth: Annotated[tuple[Depth, ...], BeforeValidator(_candidates)] = Field(
        default=(5, 6, 8), min_length=1, description="depth of a tree; several are tried"
    )
    min_samples_leaf: Annotated[tuple[Leaf, ...], BeforeValidator(_candidates)] = Field(
        default=(100, 200, 400),
        min_length=1,
        description="rows in a leaf, at least; several are tried",
    )
    max_features: Annotated[tuple[MaxFeatures, ...], BeforeValidator(_candidates)] = Field(
        default=("sqrt", 0.3, 0.5),
        min_length=1,
        description="features that a node may choose from, by rule or share; several are tried",
    )
    max_samples: float = Field(
        default=0.3, gt=0, le=1, description="share of the rows that each tree draws"
    )
    class_weight: Literal["balanced", "balanced_subsample"] | None = Field(
        default="balanced_subsample",
        description="how classes count while growing; probabilities are corrected back to the true shares",
    )
    n_iter: int = Field(default=6, ge=1, le=200, description="candidates that the search tries")
    cv_folds: int = Field(
        default=3, ge=2, le=10, description="purged, expanding folds inside the training part"
    )
    max_total_nodes: int = Field(
        default=400_000, ge=100, le=1_000_000, description="refused above: predict stays small"
    )

    @model_validator(mode="after")
    def _n_jobs_is_not_zero(self) -> Self:
        if self.n_jobs == 0:
            raise ValueError("n_jobs: 0 is not allowed; use -1 for one thread per core or 1 to 64")
        return self


class LSTMParams(Params):
    """The multi-task network (action and return) and its training, under the names of the reference project.

    ``lookback``, ``horizon`` and ``max_gap`` are of the run
    (:class:`b3shared.params.run.PipelineParams`): features, labels and serving need them too.
    """

    epochs: int = Field(
        default=25, ge=1, le=1000, description="passes over the training windows, at most"
    )
    batch_size: int = Field(
        default=256, ge=1, le=65_536, description="windows a gradient step sees"
    )
    learning_rate: float = Field(
        default=3e-4, gt=0, le=1, description="of Adam, at the start; lr for short"
    )
    units: int = Field(default=64, ge=1, le=1024, description="size of the LSTM's state")
    dropout: float = Field(
        default=0.6, ge=0, lt=1, description="share of the last state that training leaves out"
    )
    loss_weight_action: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="weight of the action's focal loss; not 0: the head that decides would stay untrained",
    )
    loss_weight_return: float = Field(
        default=0.3, ge=0, le=1000, description="weight of the return's loss"
    )
    loss_return: Literal["huber", "mse"] = Field(
        default="huber",
        description="loss of the return, which is counted in volatilities over the horizon",
    )
    focal_loss_gamma: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="0 is plain cross-entropy; above, easy rows count less",
    )
    use_class_weights: bool = Field(
        default=False, description="rare classes count more in the loss, in inverse proportion"
    )
    oversample: bool | Literal["sqrt"] = Field(
        default=False,
        description="rare classes are drawn more often: as often as others (true), or half way (sqrt)",
    )
    early_stopping_patience: int = Field(
        default=5, ge=1, le=1000, description="epochs without a better validation loss"
    )
    early_stopping_min_delta: float = Field(
        default=0.0, ge=0, le=100, description="by how much better counts as better"
    )
    gradient_clip_norm: float = Field(
        default=1.0, gt=0, le=1000, description="greatest norm of a step's gradient"
    )
    weight_decay: float = Field(default=1e-3, ge=0, le=1, description="L2 penalty of Adam")
    lr_scheduler_patience: int = Field(
        default=2, ge=0, le=1000, description="epochs without improvement until the rate falls"
    )
    lr_scheduler_factor: float = Field(
        default=0.5, gt=0, lt=1, description="what the rate is multiplied with then"
    )
    lr_scheduler_min_lr: float = Field(
        default=1e-6, ge=0, le=1, description="the rate never falls below"
    )
    price_col: Literal["close"] = Field(
        default="close",
        description="column whose return is forecast; labels, features and last_price are of the close",
    )
    interval_level: float = Field(
        default=0.9, gt=0, lt=1, description="share of outcomes that an interval is to cover"
    )
    max_slices: int = Field(
        default=48, ge=1, le=1000, description="calls of the trainer that one training may take"
    )


FAMILIES: dict[str, type[Params]] = {"rf": RandomForestParams, "lstm": LSTMParams}
"""Model type -> its own parameters: nested under that name in a run's, flat or nested for callers."""

NO_LONGER_OWN = frozenset({"max_gap"})
"""Parameters that were the LSTM's own and are the run's now: versions and runs made before name them under ``lstm``."""

ALIASES = {"lr": "learning_rate"}
"""Other names that the reference project gives a parameter."""

FAMILY_OF: dict[str, str] = {
    name: family for family, kind in FAMILIES.items() for name in kind.model_fields
}
FAMILY_OF |= {alias: FAMILY_OF[name] for alias, name in ALIASES.items()}
"""Flat name of a model's own parameter -> the model type. No name belongs to two."""


def canonical(name: str) -> str:
    """The name of a parameter for one of its names."""
    return ALIASES.get(name, name)


def nested(given: Any, family: str) -> dict[str, Any]:
    """A model's own parameters as a caller gave them under the model's name, by their canonical names.

    Raises:
        InvalidParameterError: Not a mapping.
    """
    if isinstance(given, Params):
        return given.model_dump()
    if not isinstance(given, Mapping):
        raise InvalidParameterError(
            f"{family} = {given!r}: a model's parameters by name are allowed", parameters=[family]
        )
    return {canonical(name): value for name, value in given.items()}
