"""Every parameter of a run: the one place of names, defaults, bounds and their reasons.

A parameter that is neither here nor among a model's own (:mod:`b3shared.params.models`) does not
exist: an unknown name is refused, never ignored. How a run's parameters hold those of the models
is in :mod:`b3shared.params.with_models`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from b3shared.core.errors import InvalidParameterError
from b3shared.core.vocabulary import MAX_GAP, SHARES
from b3shared.params.base import Params
from b3shared.params.messages import explain, wrong_names
from b3shared.params.models import (
    DEFAULT_MODEL_TYPE,
    OneOf,
    model_spec,
    model_specs,
    model_type_of,
    model_types,
    nested,
)
from b3shared.params.steps import STEP_PARAMS, Step
from b3shared.params.tickers import Instruments, Tickers
from b3shared.params.with_models import WithModelParams

NAMESPACE_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
RUN_ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,47}$"


class PipelineParams(WithModelParams):
    """Parameters of one run, and of every model under the model's name (``params.rf.n_jobs``)."""

    model_type: Annotated[str, OneOf(model_types), BeforeValidator(model_type_of)] = Field(
        default=DEFAULT_MODEL_TYPE, description="the model to train"
    )
    # -- quotes
    tickers: Tickers | None = Field(default=None, description="only these; None is every ticker")
    instruments: Instruments | None = Field(
        default=SHARES,
        description="kinds of paper to learn from and to rank against each other; None is every "
        "kind. Funds and BDRs are not among them: they follow a portfolio or a foreign market. "
        "Quotes of unknown kind always count",
    )
    start: date | None = Field(
        default=None, description="first session; None leaves it to `period`"
    )
    end: date | None = Field(
        default=None, description="last session; None is the newest of the source"
    )
    period: str = Field(
        default="5y",
        pattern=r"^[1-9]\d{0,3}[dmy]$",
        description="how far back from `end`: 250d, 18m, 5y",
    )
    min_turnover: float = Field(
        default=2_000_000.0,
        ge=0,
        description="R$ a session: trailing 60-session median that a row must exceed to count",
    )
    max_missing_sessions: int = Field(
        default=10, ge=0, le=10_000, description="sessions of the exchange that the source may lack"
    )
    # -- features and labels
    features: Literal["v1", "v2"] = Field(
        default="v2", description="feature set; v2 adds ranks among tickers and the market"
    )
    label: Literal["direction", "triple_barrier", "signal"] = Field(
        default="direction",
        description="what is learned: where the price stands after `horizon` sessions, which "
        "barrier it touches first, or the rule of the reference project",
    )
    horizon: int = Field(
        default=2,
        ge=1,
        le=60,
        description="sessions of the ticker from the close of t to the outcome",
    )
    label_width: float = Field(
        default=0.5,
        gt=0,
        le=5,
        description="half-width of the hold band, in trailing volatilities times sqrt(horizon)",
    )
    signal_lag: int = Field(
        default=0,
        ge=0,
        le=5,
        description="label 'signal' only: 0 the rule of the same day, 1 of the next, ...",
    )
    max_gap: int = Field(
        default=MAX_GAP,
        ge=1,
        le=252,
        description="sessions of the exchange from a row of a ticker to its next, at most: 5 lets "
        "4 be missing, 1 none. No feature, label or window reaches over a longer hole; the "
        "ticker's history begins anew after it",
    )
    lookback: int = Field(
        default=32,
        ge=1,
        le=252,
        description="sessions that a sequence model sees; counts as history",
    )
    # -- split
    test_size: float = Field(default=0.2, ge=0.05, le=0.6, description="newest share of all dates")
    val_size: float = Field(
        default=0.2, ge=0.05, le=0.6, description="share of all dates just before the test part"
    )
    embargo_days: int = Field(
        default=5, ge=0, le=252, description="sessions left free between parts, after the purge"
    )
    # -- model
    decision: Literal["lift", "argmax"] = Field(
        default="lift",
        description="what proposes the action: the class of greatest probability over its base "
        "rate, or the most probable; a side that the figures contradict is a hold",
    )
    refit: bool = Field(
        default=True,
        description="serve the evaluated configuration trained again on all labelled rows",
    )
    random_state: int = Field(
        default=42, ge=0, le=2**32 - 1, description="seed; equal seeds give equal models"
    )
    interval_level: float = Field(
        default=0.9, gt=0, lt=1, description="share of outcomes that an interval is to cover"
    )
    # -- registry
    model_dir: str = Field(
        default="models",
        pattern=NAMESPACE_PATTERN,
        description="namespace in the registry; predictions over HTTP are those of namespace "
        "models",
    )
    model_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.[a-z0-9]{1,8}$",
        description="file of the trained model; None is the default name of the model type",
    )
    promotion_margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="log-loss gain that a challenger must show, lower bound, to replace what is "
        "live; a live version of another features' version is replaced by one whose log loss is "
        "not greater",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if unknown := self.__pydantic_extra__.keys() - set(model_types()):
            raise ValueError(f"{', '.join(sorted(unknown))}: unknown parameter")
        if self.test_size + self.val_size > 0.8:
            raise ValueError(
                "test_size + val_size must be <= 0.8, so that 20 % remain to train, "
                f"got {self.test_size + self.val_size:.2f}"
            )

        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start must be before end {self.end}, got {self.start}")

        if self.instruments is not None and not self.instruments:
            raise ValueError("instruments must name a kind, or be null for every kind, got []")
        if self.tickers is not None and not self.tickers:
            raise ValueError("tickers must name a ticker, or be null for every ticker, got []")
        if self.signal_lag and self.label != "signal":
            raise ValueError(f"signal_lag must be 0 with label {self.label!r}: it is of 'signal'")

        spec = model_spec(self.model_type)
        if self.model_name and not self.model_name.endswith(spec.suffix):
            raise ValueError(
                f"model_name must end in {spec.suffix} for a model of type {spec.name}, "
                f"got {self.model_name!r}"
            )
        return self

    def owned_by(self, step: Step) -> dict[str, Any]:
        """Return the parameters of a step as JSON types: what its record keeps and its hash covers.

        Of the models' own parameters these are only those of the model in use.

        A record must hash as it always did. So a parameter of the run that was the model's own
        stays under the model's name, and one that other models' records never had stands there
        only where it is not the default.
        """
        owned = self.model_dump(mode="json", include=STEP_PARAMS[step])
        if step is not Step.TRAIN_MODEL:
            return owned

        spec = model_spec(self.model_type)
        own = self.__pydantic_extra__[spec.name].model_dump(mode="json")
        own |= {name: owned.pop(name) for name in spec.former_params & owned.keys()}
        for name in _NEVER_RECORDED & owned.keys():
            if owned[name] == type(self).model_fields[name].default:
                del owned[name]
        return owned | {spec.name: own}

    @property
    def model_file(self) -> str:
        """File name of the trained model."""
        return self.model_name or model_spec(self.model_type).file

    @property
    def min_history(self) -> int:
        """Sessions that a ticker needs: a year for the features, the window, the outcome."""
        return 252 + self.lookback + self.horizon

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any] | None = None, /, **more: Any
    ) -> "PipelineParams":
        """Build from what a caller gives: flat or nested names, see :func:`nested`.

        Raises:
            InvalidParameterError: Unknown name, wrong type or value out of bounds; the message
                names all of them.
        """
        given = nested({**(values or {}), **more})
        errors: list[ErrorDetails] = []
        for spec in model_specs():
            try:
                given[spec.name] = spec.params(**given.get(spec.name, {}))
            except ValidationError as error:
                errors += error.errors()
                del given[spec.name]
        try:
            params = cls(**given)
        except ValidationError as error:
            errors += error.errors()

        if errors:
            raise InvalidParameterError(
                explain(errors, flat_schemas()), parameters=wrong_names(errors)
            )
        return params

    def replace(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> "PipelineParams":
        """Return a checked copy with some values changed, by flat or nested names.

        Of a model's parameters, those that are not named stay as they are.
        """
        values = self.model_dump()
        for name, value in nested({**(changes or {}), **more}).items():
            values[name] = values[name] | value if name in model_types() else value
        return PipelineParams.from_values(values)


_NEVER_RECORDED = frozenset({"interval_level"})
"""Parameters of the run that records of most models lack; see ``PipelineParams.owned_by``."""


def flat_schemas() -> dict[str, Any]:
    """Return the JSON schema of every parameter by its flat name: the run's and each model's."""
    classes: list[type[Params]] = [PipelineParams, *(spec.params for spec in model_specs())]
    return {
        name: schema
        for kind in classes
        for name, schema in kind.model_json_schema()["properties"].items()
        if name in kind.model_fields
    }
