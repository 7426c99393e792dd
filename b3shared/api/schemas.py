"""Request and response models of the predictions over HTTP; OpenAPI is made from these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from b3shared.core.skill import Skill
from b3shared.params.models import DEFAULT_MODEL_TYPE, OneOf, accepted_names, model_types

Action = Literal["buy", "hold", "sell"]
ModelType = Annotated[str, OneOf(accepted_names)]
TickerText = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^\s*[A-Za-z0-9]{1,12}\s*$")
]
VersionText = Annotated[str, StringConstraints(pattern=r"^\d{8}-[0-9a-f]{8}$")]
Probability = Annotated[float, Field(ge=0, le=1)]

MAX_BATCH = 500


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class _Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class PredictRequest(_Request):
    """Forecast one ticker."""

    ticker: TickerText = Field(description="trimmed and put in capitals", examples=["PETR4"])
    model_type: ModelType = DEFAULT_MODEL_TYPE
    model_version: VersionText | None = Field(
        default=None, description="a registered version; default: the live one"
    )


class BatchRequest(_Request):
    """Forecast many tickers, or all of the snapshot."""

    tickers: Annotated[list[TickerText], Field(min_length=1, max_length=MAX_BATCH)] | Literal["all"]
    model_type: ModelType = DEFAULT_MODEL_TYPE
    model_version: VersionText | None = None


class Error(_Answer):
    """The one form of every error."""

    status: Literal["error"]
    code: str = Field(description="stable, for programs", examples=["UNKNOWN_TICKER"])
    message: str = Field(description="what is wrong and what is allowed")
    details: dict[str, Any] | None = None


class Reason(_Answer):
    """The effect of one feature on an action."""

    feature: str
    value: float = Field(description="in the newest session")
    typical: float = Field(description="median of the training rows")
    effect: float = Field(
        description="by how much the action's probability falls when the feature takes that "
        "median; below 0 it rises"
    )
    return_effect: float | None = Field(
        description="by how much the predicted return falls then, a fraction; below 0 it rises; "
        "null where the model forecasts none"
    )


class Explanation(_Answer):
    """The reasons for an action."""

    summary: str = Field(
        description="sentences: the most probable class, the action where it is another, skill, "
        "features, dividends that are not known",
        examples=[
            "Most likely: hold (41.6 %, usually 41.2 %). Leaning: buy (33.7 %, usually 30.2 %)."
        ],
    )
    method: str
    reasons: list[Reason]


class Interval(_Answer):
    """An interval of the outcome, by split conformal prediction scaled by the volatility."""

    level: Probability = Field(description="share of outcomes that such intervals are to cover")
    return_low: float = Field(description="total return over the horizon, a fraction, at least -1")
    return_high: float
    price_low: float = Field(description="R$, last_price x (1 + return_low)")
    price_high: float


class PredictAnswer(_Answer):
    """A forecast with its reasons, its age and the skill that the evaluation showed."""

    status: Literal["success"]
    message: str
    ticker: str
    company: str
    predictions: list[Action]
    prediction_probabilities: list[list[Probability]] = Field(
        description="calibrated, in the order of classes"
    )
    classes: list[Action]
    base_rates: list[Probability] = Field(description="class shares of the training rows")
    decision: Literal["lift", "argmax"] = Field(
        description="what proposes the action: the class of greatest probability over its base "
        "rate (lift), "
        "or the most probable (argmax); a side that is not the more probable one, or that the "
        "predicted return contradicts, is a hold"
    )
    feature_importance: dict[str, float]
    explanation: Explanation
    predicted_return: float | None = Field(
        description="total return over the horizon, a fraction; null where the model forecasts none"
    )
    predicted_price: float | None = Field(
        description="R$, last_price x (1 + predicted_return); null where the model forecasts none"
    )
    interval: Interval | None = Field(
        description="around the predicted return and price; null where the model forecasts none"
    )
    last_price: float = Field(description="traded close of as_of, R$")
    input_shape: list[int]
    features_used: list[str]
    features_count: int | None = Field(
        description="features of each session of the window; null where the model takes one row"
    )
    sequence_length: int | None = Field(
        description="sessions of the window; null where the model takes one row"
    )
    model_type: Annotated[str, OneOf(model_types)]
    requested_model_type: str
    model_source: str = Field(description="key of the version in the registry")
    model_version: str
    target: str | None = Field(
        description="what the classes mean: label rule, horizon in sessions, width of the hold band"
    )
    skill: Skill = Field(description="what the evaluation showed beyond the baselines")
    as_of: str = Field(description="the ticker's newest session, which the forecast is made from")
    data_age_sessions: int = Field(
        description="sessions of the exchange after as_of and before today in São Paulo"
    )
    dividends_known_until: str | None = Field(
        description="the ticker's last session whose dividends are known; null: none is known, or "
        "the snapshot does not say. Returns and features leave later dividends out"
    )
    degraded: bool = Field(
        description="true when the answer is not what a fresh one would be; message says why"
    )


class BatchRow(_Answer):
    """A forecast in short."""

    ticker: str
    prediction: Action
    probabilities: list[Probability]
    predicted_return: float | None
    predicted_price: float | None
    interval: Interval | None
    last_price: float
    as_of: str
    data_age_sessions: int
    dividends_known_until: str | None = Field(description="as in the answer for one ticker")
    degraded: bool
    message: str = Field(description="why it is degraded, if it is")


class BatchError(_Answer):
    """A ticker without a forecast."""

    ticker: str
    code: str
    message: str


class BatchAnswer(_Answer):
    """The forecasts of a batch, one row per ticker."""

    status: Literal["success"]
    message: str
    predictions: list[BatchRow]
    errors: list[BatchError]
    classes: list[Action]
    model_type: Annotated[str, OneOf(model_types)]
    requested_model_type: str
    model_version: str
    skill: Skill
    as_of: str = Field(description="newest session of the market")


class Asset(_Answer):
    """A ticker of the lake."""

    ticker: str
    company: str


class Pagination(_Answer):
    """The position of a page."""

    page: int
    page_size: int
    total_count: int
    total_pages: int
    has_next: bool
    has_prev: bool


class AssetsAnswer(_Answer):
    """A page of tickers."""

    assets: list[Asset]
    pagination: Pagination
