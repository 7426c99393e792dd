"""The HTTP contract of predictions: what a request may hold and what an answer does. OpenAPI is made from these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Action = Literal["buy", "hold", "sell"]
ModelType = Literal["rf", "random_forest", "lstm", "lstm_mtl"]
TickerText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=12, pattern=r"^\s*[A-Za-z0-9]+\s*$")
]
VersionText = Annotated[str, StringConstraints(pattern=r"^\d{8}-[0-9a-f]{8}$")]
Probability = Annotated[float, Field(ge=0, le=1)]

MAX_BATCH = 500


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class _Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class PredictRequest(_Request):
    """One ticker."""

    ticker: TickerText = Field(description="trimmed and put in capitals", examples=["PETR4"])
    model_type: ModelType = "rf"
    model_version: VersionText | None = Field(default=None, description="a registered version; default: the live one")


class BatchRequest(_Request):
    """Many tickers, or all of the snapshot."""

    tickers: Annotated[list[TickerText], Field(min_length=1, max_length=MAX_BATCH)] | Literal["all"]
    model_type: ModelType = "rf"
    model_version: VersionText | None = None


class Error(_Answer):
    """The one form of every error."""

    status: Literal["error"]
    code: str = Field(description="stable, for programs", examples=["UNKNOWN_TICKER"])
    message: str = Field(description="what is wrong and what is allowed")
    details: dict[str, Any] | None = None


class Reason(_Answer):
    """One feature's part in an action."""

    feature: str
    value: float
    typical: float = Field(description="median of the training rows")
    effect: float = Field(description="how much the action's probability falls when the feature takes that median")


class Explanation(_Answer):
    """Why this action."""

    summary: str
    method: str
    reasons: list[Reason]


class PredictAnswer(_Answer):
    """A forecast with its reasons, its age and what the model's evaluation could show."""

    status: Literal["success"]
    message: str
    ticker: str
    company: str
    predictions: list[Action]
    prediction_probabilities: list[list[Probability]]
    classes: list[Action]
    base_rates: list[Probability] = Field(description="class shares of the training rows")
    decision: Literal["lift", "argmax"]
    feature_importance: dict[str, float]
    explanation: Explanation
    predicted_return: float | None
    predicted_price: float | None
    interval: list[float] | None
    last_price: float
    input_shape: list[int]
    features_used: list[str]
    model_type: Literal["rf", "lstm"]
    requested_model_type: str
    model_source: str
    model_version: str
    target: str | None
    skill: Literal["none", "weak", "proven"]
    as_of: str
    data_age_sessions: int = Field(description="weekdays since the ticker's newest session")
    degraded: bool = Field(description="true when the answer is not what a fresh one would be; message says why")


class BatchRow(_Answer):
    """A forecast in short."""

    ticker: str
    prediction: Action
    probabilities: list[Probability]
    predicted_return: float | None
    last_price: float
    as_of: str
    data_age_sessions: int
    degraded: bool


class BatchError(_Answer):
    """A ticker without a forecast."""

    ticker: str
    code: str
    message: str


class BatchAnswer(_Answer):
    """One row per ticker."""

    status: Literal["success"]
    message: str
    predictions: list[BatchRow]
    errors: list[BatchError]
    classes: list[Action]
    model_type: Literal["rf", "lstm"]
    model_version: str
    skill: Literal["none", "weak", "proven"]
    as_of: str


class Asset(_Answer):
    """A ticker of the lake."""

    ticker: str
    company: str


class Pagination(_Answer):
    """Where a page stands."""

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
