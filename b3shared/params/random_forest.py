"""Parameters of the random forest: names, defaults, bounds."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from b3shared.params.base import Params


def _candidates(value: object) -> object:
    """Return a tuple of candidates; a single value becomes the only one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Depth = Annotated[int, Field(ge=1, le=16)]
Leaf = Annotated[int, Field(ge=1, le=100_000)]
MaxFeatures = Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)]


class RandomForestParams(Params):
    """The forest and its search: several values are candidates, a single value is fixed.

    The upper bounds keep the served ONNX file small: ``predict`` loads it on a cold start, and a
    forest of unlimited depth cannot be converted within Lambda's memory.
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
        description="how classes count while growing; probabilities are corrected back to the "
        "true shares",
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
            raise ValueError("n_jobs must be 1 to 64, or -1 for one thread per core, got 0")
        return self
