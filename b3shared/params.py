"""Every parameter of a run: the one place of names, defaults, bounds and their reasons.

A parameter that is not here does not exist: an unknown key is refused, never ignored.
"""

from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from b3shared.errors import InvalidParameterError

MODEL_TYPES: dict[str, str] = {"rf": "rf", "random_forest": "rf", "lstm": "lstm", "lstm_mtl": "lstm"}
"""Every accepted name of a model type, and the type it means."""

NAMESPACE_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
RUN_ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,47}$"


class Step(StrEnum):
    """The steps of a run, in order. The names are those of the API's paths and of the run's step files."""

    LOAD_DATA = "load_data"
    PREPROCESS_DATA = "preprocess_data"
    SPLIT_DATA = "split_data"
    TRAIN_MODEL = "train_model"
    EVALUATE_MODEL = "evaluate_model"
    REFIT_MODEL = "refit_model"
    SAVE_MODEL = "save_model"
    PUBLISH_SERVING = "publish_serving"

    @property
    def predecessor(self) -> "Step | None":
        """The step that must have finished before this one, or None for the first."""
        steps = list(Step)
        position = steps.index(self)
        return steps[position - 1] if position else None


def _model_type(value: object) -> object:
    return MODEL_TYPES.get(value.lower(), value) if isinstance(value, str) else value


def _candidates(value: object) -> object:
    """A single value is a search space of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Depth = Annotated[int, Field(ge=1, le=16)]
Leaf = Annotated[int, Field(ge=1, le=100_000)]
MaxFeatures = Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)]
Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9]{4,12}$")]


class _Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class RandomForestParams(_Params):
    """The forest and its search. A tuple is a list of candidates for the search; a single value fixes it.

    The bounds are reasons, not taste: the served model is an ONNX file that ``predict`` loads on a cold start, and a
    forest of unlimited depth cannot be converted within Lambda's memory.
    """

    n_jobs: int = Field(default=-1, ge=-1, le=64, description="threads inside the forest; -1 is one per core")
    n_estimators: int = Field(default=150, ge=1, le=1000, description="trees")
    max_depth: Annotated[tuple[Depth, ...], BeforeValidator(_candidates)] = Field(default=(5, 6, 8), min_length=1)
    min_samples_leaf: Annotated[tuple[Leaf, ...], BeforeValidator(_candidates)] = Field(
        default=(100, 200, 400), min_length=1
    )
    max_features: Annotated[tuple[MaxFeatures, ...], BeforeValidator(_candidates)] = Field(
        default=("sqrt", 0.3, 0.5), min_length=1
    )
    max_samples: float = Field(default=0.3, gt=0, le=1, description="share of the rows that each tree draws")
    class_weight: Literal["balanced", "balanced_subsample"] | None = Field(
        default="balanced_subsample",
        description="how classes count while growing; probabilities are corrected back to the true shares",
    )
    n_iter: int = Field(default=6, ge=1, le=200, description="candidates that the search tries")
    cv_folds: int = Field(default=3, ge=2, le=10, description="purged, expanding folds inside the training part")
    max_total_nodes: int = Field(default=400_000, ge=100, le=1_000_000, description="refused above: predict stays small")

    @model_validator(mode="after")
    def _n_jobs_is_not_zero(self) -> Self:
        if self.n_jobs == 0:
            raise ValueError("n_jobs: 0 is not allowed; use -1 for one thread per core or 1 to 64")
        return self


class PipelineParams(_Params):
    """What one run does. Frozen; written to the run when it starts and again to every step that used it."""

    model_type: Annotated[Literal["rf", "lstm"], BeforeValidator(_model_type)] = "rf"
    # -- quotes
    tickers: tuple[Ticker, ...] | None = Field(default=None, description="only these; None is every ticker")
    start: date | None = Field(default=None, description="first session; None leaves it to `period`")
    end: date | None = Field(default=None, description="last session; None is the newest of the source")
    period: str = Field(default="5y", pattern=r"^[1-9]\d{0,3}[dmy]$", description="how far back from `end`: 250d, 18m, 5y")
    min_turnover: float = Field(
        default=2_000_000.0, ge=0, description="R$ a session: trailing 60-session median that a row must exceed to count"
    )
    # -- features and labels
    features: Literal["v1", "v2"] = "v2"
    label: Literal["direction", "triple_barrier", "signal"] = "direction"
    horizon: int = Field(default=2, ge=1, le=60, description="sessions of the ticker from the close of t to the outcome")
    label_width: float = Field(
        default=0.5, gt=0, le=5, description="half-width of the hold band, in trailing volatilities times sqrt(horizon)"
    )
    signal_lag: int = Field(
        default=0, ge=0, le=5, description="label 'signal' only: 0 the rule of the same day, 1 of the next, ..."
    )
    lookback: int = Field(default=32, ge=1, le=252, description="sessions that a sequence model sees; counts as history")
    # -- split
    test_size: float = Field(default=0.2, ge=0.05, le=0.6, description="newest share of all dates")
    val_size: float = Field(default=0.2, ge=0.05, le=0.6, description="share of all dates just before the test part")
    embargo_days: int = Field(default=5, ge=0, le=252, description="sessions left free between parts, after the purge")
    # -- model
    decision: Literal["lift", "argmax"] = Field(
        default="lift",
        description="the action: the class with the greatest probability over its base rate, or simply the most probable",
    )
    refit: bool = Field(default=True, description="serve the evaluated configuration trained again on all labelled rows")
    random_state: int = Field(default=42, ge=0, le=2**32 - 1)
    rf: RandomForestParams = RandomForestParams()
    # -- registry
    model_dir: str = Field(
        default="models",
        pattern=NAMESPACE_PATTERN,
        description="namespace in the registry; predictions over HTTP are those of namespace models",
    )
    model_name: str = Field(
        default="b3_model.joblib", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.joblib$", description="file of the forest"
    )
    promotion_margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="log-loss gain that a challenger must show, lower bound, to replace what is live",
    )

    @field_validator("tickers", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        if isinstance(value, str):
            value = value.split(",")
        if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return tuple(sorted({v.strip().upper() for v in value}))
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.test_size + self.val_size > 0.8:
            raise ValueError(
                f"test_size + val_size = {self.test_size + self.val_size:.2f} leaves under 20 % to train; at most 0.8"
            )
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        if self.tickers is not None and not self.tickers:
            raise ValueError("tickers: an empty list selects nothing; leave it out for every ticker")
        if self.signal_lag and self.label != "signal":
            raise ValueError(f"signal_lag belongs to label 'signal', not to {self.label!r}")
        return self

    def owned_by(self, step: Step) -> dict[str, Any]:
        """The parameters that belong to a step, as JSON types: what its record keeps and its input hash covers."""
        return self.model_dump(mode="json", include=STEP_PARAMS[step])

    @property
    def min_history(self) -> int:
        """Sessions a ticker needs to take part: a year for the features, the window, the outcome."""
        return 252 + self.lookback + self.horizon

    @classmethod
    def of(cls, values: Mapping[str, Any] | None = None, /, **more: Any) -> "PipelineParams":
        """Build from flat or nested names, as the API and the Python call give them.

        A name of :class:`RandomForestParams` may stand on the top level (``n_jobs=2``), as in the reference API.

        Raises:
            InvalidParameterError: Unknown name, wrong type or value out of bounds; the message names all of them.
        """
        flat = {**(values or {}), **more}
        forest = flat.pop("rf", None) or {}
        if not isinstance(forest, Mapping):
            raise InvalidParameterError(f"rf = {forest!r}: the forest's parameters by name are allowed", parameters=["rf"])
        nested = dict(forest)
        for name in [n for n in flat if n in RandomForestParams.model_fields]:
            nested[name] = flat.pop(name)
        try:
            return cls(**flat, rf=RandomForestParams(**nested))
        except ValidationError as error:
            raise InvalidParameterError(_explain(error), parameters=_names(error)) from error

    def replace(self, **changes: Any) -> "PipelineParams":
        """A checked copy with some values changed."""
        return PipelineParams.of(self.model_dump() | changes)


STEP_PARAMS: dict[Step, set[str]] = {
    Step.LOAD_DATA: {"tickers", "start", "end", "period", "min_turnover"},
    Step.PREPROCESS_DATA: {"features", "label", "horizon", "label_width", "signal_lag", "lookback"},
    Step.SPLIT_DATA: {"test_size", "val_size", "embargo_days"},
    Step.TRAIN_MODEL: {"model_type", "random_state", "rf"},
    Step.EVALUATE_MODEL: {"decision"},
    Step.REFIT_MODEL: {"refit"},
    Step.SAVE_MODEL: {"model_dir", "model_name", "promotion_margin"},
    Step.PUBLISH_SERVING: set(),
}
"""Which step a parameter belongs to. Every parameter has exactly one owner."""


def _name(error: Any) -> str:
    """The parameter, with the position in a list; pydantic's names for the branches of a union are left out."""
    first, *rest = error["loc"] or ("parameters",)
    return ".".join([str(first), *(str(part) for part in rest if isinstance(part, int))])


def _names(error: ValidationError) -> list[str]:
    return list(dict.fromkeys(map(_name, error.errors())))


def _explain(error: ValidationError) -> str:
    """All that is wrong, one phrase a parameter: what came, why not, what is allowed."""
    schemas = {**PipelineParams.model_json_schema()["properties"], **RandomForestParams.model_json_schema()["properties"]}
    phrases: dict[str, str] = {}
    for e in error.errors():
        name = str(e["loc"][0]) if e["loc"] else ""
        if e["type"] == "extra_forbidden":
            phrase = _unknown(name, sorted(schemas.keys() - {"rf"}))
        elif e["type"] == "value_error":
            phrase = str(e["ctx"]["error"])
        else:
            phrase = f"{_name(e)} = {e['input']!r}: {e['msg'][0].lower()}{e['msg'][1:]} ({_about(schemas[name])})"
        phrases.setdefault(name, phrase)  # the branches of a union say the same several times
    return "; ".join(phrases.values())


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"{name}: unknown parameter; {f'did you mean {near[0]}? ' if near else ''}allowed are {', '.join(known)}"


_KINDS = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false", "null": "null"}
_LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "over",
    "maximum": "at most",
    "exclusiveMaximum": "under",
    "pattern": "matching",
}
"""Limits of JSON Schema in words."""


def _about(schema: Mapping[str, Any]) -> str:
    """What a parameter may be, and what it is for."""
    allowed, described = f"allowed is {_allowed(schema)}", schema.get("description")
    return f"{allowed}: {described}" if described else allowed


def _allowed(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(sorted(map(_allowed, schema["anyOf"]), key=len))
    if schema["type"] == "array":
        return f"a list, each {_allowed(schema['items'])}"
    kind = "a date YYYY-MM-DD" if schema.get("format") == "date" else _KINDS[schema["type"]]
    return " ".join(
        [kind, " and ".join(f"{words} {schema[key]}" for key, words in _LIMITS.items() if key in schema)]
    ).strip()
