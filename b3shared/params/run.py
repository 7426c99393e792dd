"""Every parameter of a run: the one place of names, defaults, bounds and their reasons.

A parameter that is not here, nor among a model's own (:mod:`b3shared.params.models`), does not
exist: an unknown key is refused, never ignored.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from b3shared.core.errors import InvalidParameterError
from b3shared.core.vocabulary import SHARES, Instrument
from b3shared.params.messages import explain, wrong_names
from b3shared.params.models import (
    FAMILIES,
    FAMILY_OF,
    NO_LONGER_OWN,
    LSTMParams,
    Params,
    RandomForestParams,
    canonical,
    nested,
)
from b3shared.params.steps import STEP_PARAMS, Step
from b3shared.quotes.schema import MAX_GAP

MODEL_TYPES: dict[str, str] = {
    "rf": "rf",
    "random_forest": "rf",
    "lstm": "lstm",
    "lstm_mtl": "lstm",
}
"""Every accepted name of a model type, and the type it means."""

MODEL_FILES = {"rf": "b3_model.joblib", "lstm": "b3_lstm_mtl.pt"}
"""Model type -> default file name of the trained model."""

NAMESPACE_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
RUN_ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,47}$"


def _model_type(value: object) -> object:
    return MODEL_TYPES.get(value.lower(), value) if isinstance(value, str) else value


Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9]{4,12}$")]


class PipelineParams(Params):
    """What one run does. Frozen; written to the run when it starts and again to every step that used it."""

    model_type: Annotated[Literal["rf", "lstm"], BeforeValidator(_model_type)] = Field(
        default="rf", description="Random Forest or LSTM"
    )
    # -- quotes
    tickers: tuple[Ticker, ...] | None = Field(
        default=None, description="only these; None is every ticker"
    )
    instruments: tuple[Instrument, ...] | None = Field(
        default=SHARES,
        description="kinds of paper to learn from and to rank against each other; None is every kind. Funds and BDRs are "
        "not among them: they follow a portfolio or a foreign market. Quotes of unknown kind always count",
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
        description="what is learned: where the price stands after `horizon` sessions, which barrier "
        "it touches first, or the rule of the reference project",
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
        description="sessions of the exchange from a row of a ticker to its next, at most: 5 lets 4 be missing, 1 none. No "
        "feature, label or window reaches over a longer hole; the ticker's history begins anew after it",
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
        description="what proposes the action: the class of greatest probability over its base rate, "
        "or the most probable; a side that the figures contradict is a hold",
    )
    refit: bool = Field(
        default=True,
        description="serve the evaluated configuration trained again on all labelled rows",
    )
    random_state: int = Field(
        default=42, ge=0, le=2**32 - 1, description="seed; equal seeds give equal models"
    )
    rf: RandomForestParams = RandomForestParams()
    lstm: LSTMParams = LSTMParams()
    # -- registry
    model_dir: str = Field(
        default="models",
        pattern=NAMESPACE_PATTERN,
        description="namespace in the registry; predictions over HTTP are those of namespace models",
    )
    model_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(joblib|pt)$",
        description="file of the trained model; None is b3_model.joblib for the forest and b3_lstm_mtl.pt for the LSTM",
    )
    promotion_margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="log-loss gain that a challenger must show, lower bound, to replace what is live; a live version "
        "of another features' version is replaced by one whose log loss is not greater",
    )

    @field_validator("instruments", mode="before")
    @classmethod
    def _in_order(cls, value: object) -> object:
        """Each kind once, in the order of the schema; unknown ones stay for the type to refuse."""
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if isinstance(value, list | tuple) and all(v in get_args(Instrument) for v in value):
            return tuple(kind for kind in get_args(Instrument) if kind in value)
        return value

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
        if self.instruments is not None and not self.instruments:
            raise ValueError("instruments: an empty list selects nothing; None is every kind")
        if self.tickers is not None and not self.tickers:
            raise ValueError(
                "tickers: an empty list selects nothing; leave it out for every ticker"
            )
        if self.signal_lag and self.label != "signal":
            raise ValueError(f"signal_lag belongs to label 'signal', not to {self.label!r}")
        default = MODEL_FILES[self.model_type]
        if self.model_name and not self.model_name.endswith(
            suffix := default[default.rindex(".") :]
        ):
            raise ValueError(
                f"model_name = {self.model_name!r}: the file of a model {self.model_type} ends in {suffix}"
            )
        return self

    def owned_by(self, step: Step) -> dict[str, Any]:
        """The parameters that belong to a step, as JSON types: what its record keeps and its input hash covers.

        Of the models' own parameters only those of the model in use.
        """
        return self.model_dump(
            mode="json", include=STEP_PARAMS[step] - (FAMILIES.keys() - {self.model_type})
        )

    @property
    def model_file(self) -> str:
        """File name of the trained model."""
        return self.model_name or MODEL_FILES[self.model_type]

    @property
    def min_history(self) -> int:
        """Sessions a ticker needs to take part: a year for the features, the window, the outcome."""
        return 252 + self.lookback + self.horizon

    @classmethod
    def of(cls, values: Mapping[str, Any] | None = None, /, **more: Any) -> "PipelineParams":
        """Build from flat or nested names, as the API and the Python call give them.

        The names of a model's own parameters may stand on the top level (``n_jobs=2``,
        ``units=96``), as in the reference API, or under the model's (``rf={"n_jobs": 2}``).

        Raises:
            InvalidParameterError: Unknown name, wrong type or value out of bounds; the message
                names all of them.
        """
        flat = {**(values or {}), **more}
        families = {family: nested(flat.pop(family, {}), family) for family in FAMILIES}
        for given in families.values():
            for name in NO_LONGER_OWN & given.keys():
                flat.setdefault(name, given.pop(name))
        for name in [name for name in flat if name in FAMILY_OF]:
            families[FAMILY_OF[name]][canonical(name)] = flat.pop(name)
        try:
            own: dict[str, Any] = {
                family: FAMILIES[family](**given) for family, given in families.items()
            }
            return cls(**flat, **own)
        except ValidationError as error:
            raise InvalidParameterError(
                explain(error, flat_schemas()), parameters=wrong_names(error)
            ) from error

    def replace(self, **changes: Any) -> "PipelineParams":
        """A checked copy with some values changed."""
        return PipelineParams.of(self.model_dump() | changes)


def flat_schemas() -> dict[str, Any]:
    """JSON schema of every parameter under its flat name: the run's own and each model's."""
    own = {
        n: s
        for n, s in PipelineParams.model_json_schema()["properties"].items()
        if n not in FAMILIES
    }
    kinds = (kind.model_json_schema()["properties"] for kind in FAMILIES.values())
    return own | {name: schema for schemas in kinds for name, schema in schemas.items()}


def flattened(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with those of the models on the top level, by their canonical names.

    What does not belong there stays where it is, to be refused; a model's null is nothing given.
    """
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if name in FAMILIES and value is None:
            continue
        own = FAMILIES[name].model_fields.keys() | NO_LONGER_OWN if name in FAMILIES else set[str]()
        if (
            name in FAMILIES
            and isinstance(value, Mapping)
            and {canonical(inner) for inner in value} <= own
        ):
            flat = {canonical(inner): item for inner, item in value.items()} | flat
        else:
            flat[canonical(name)] = value
    return flat
