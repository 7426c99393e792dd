"""Response models of the control API: the fields of the reference API, with their types.

:mod:`b3shared.api.answers` fills them from a run's records.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from b3shared.core.skill import Skill
from b3shared.params.run import PipelineParams
from b3shared.runs.records import Status

Counts = dict[str, int]
TrainingStatus = Literal["not started", "running", "failed", "completed"]


class Answer(BaseModel):
    """A success. Fields that were not set are left out of the body."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())

    status_code: ClassVar[int] = 200
    """The HTTP status that it comes with."""

    def body(self) -> dict[str, Any]:
        """Return the answer as JSON types."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class HealthAnswer(Answer):
    """The function answers."""

    status: Literal["ok"]


class MessageAnswer(Answer):
    """Done."""

    status: Literal["success"]
    message: str


# -- runs


class RunningAnswer(MessageAnswer):
    """A run that has been started and has not finished yet."""

    status_code = 202

    run_id: str
    execution_arn: str
    training_status: Literal["running"]


class PipelineStartedAnswer(RunningAnswer):
    """A whole run that has been started, or was running already."""

    model_type: str


class StepAnswer(MessageAnswer):
    """A step that has finished."""

    run_id: str
    seconds: float = Field(description="from the step's start to its end")


class LoadDataAnswer(StepAnswer):
    """The quotes that were loaded."""

    data_shape: list[int] = Field(description="rows, columns")
    columns: list[str]
    report: dict[str, Any] = Field(description="what was read, dropped, found and is missing")


class PreprocessDataAnswer(StepAnswer):
    """The features and labels that were made."""

    features_shape: list[int] = Field(description="labelled rows, features")
    targets_shape: list[int] = Field(description="labelled rows")
    feature_columns: list[str]
    target_distribution: Counts = Field(description="labelled rows by class")
    report: dict[str, Any] = Field(description="dates, tickers, rows left out and why, warnings")


class Period(Answer):
    """First and last date."""

    first: str
    last: str


class SplitDataAnswer(StepAnswer):
    """The split by date."""

    train_size: int = Field(description="rows")
    validation_size: int
    test_size: int
    boundaries: dict[str, Period] = Field(description="of train, val and test")
    left_out: Counts = Field(description="rows by reason")


class TrainingResults(Answer):
    """What was chosen and on how many rows."""

    model_type: str
    best_params: dict[str, Any] = Field(description="what the search or the training chose")
    train_size: int = Field(description="rows, or windows")


class TrainModelAnswer(StepAnswer):
    """The model that was trained."""

    training_status: Literal["completed"]
    model_type: str
    training_results: TrainingResults
    report: dict[str, Any] = Field(description="rows, search or history, temperature")


class EvaluationResults(Answer):
    """What the evaluation on the test dates shows."""

    skill: Skill
    headline: str = Field(description="the verdict in a sentence")
    test: dict[str, float | None] = Field(description="figures of the test part")
    warnings: list[str]
    test_openings: int = Field(description="how often these test dates were looked at")


class EvaluateModelAnswer(StepAnswer):
    """The evaluation and where its files are."""

    evaluation_results: EvaluationResults
    plot_paths: dict[str, str] = Field(description="pictures by file name")
    report_paths: dict[str, str] = Field(description="other files by file name")


class SavedVersion(Answer):
    """The version that was registered, and what the gate decided."""

    model_type: str
    model_version: str
    model_path: str = Field(description="address of the trained model's file")
    live: bool
    pending: str | None = Field(
        description="why the version is not live yet though the gate lets it"
    )
    decision: str = Field(description="the gate's reason")
    evidence: dict[str, Any] = Field(description="figures that the gate compared")
    skill: Skill


class SaveModelAnswer(StepAnswer, SavedVersion):
    """The version that was registered, and what the gate decided."""


class PipelineState(Answer):
    """The reference API's flags."""

    has_raw_data: bool
    has_processed_data: bool
    has_split_data: bool
    has_trained_model: bool
    training_status: TrainingStatus
    training_error: str = Field(default="", description="only after a failure")
    training_results: SavedVersion | None = Field(
        default=None, description="only when a version is registered"
    )


class StepFailure(Answer):
    """Why an attempt at a step failed."""

    code: str
    message: str
    details: dict[str, Any]
    at: str = Field(description="ISO 8601, UTC")


class StepStatus(Answer):
    """Where a step stands; of what has not happened there is no field."""

    status: Status
    started_at: str = Field(default="", description="ISO 8601, UTC")
    finished_at: str = ""
    seconds: float = 0.0
    progress: dict[str, Any] = Field(default={}, description="phase and figures, and at what time")
    error: StepFailure | None = Field(default=None, description="of an attempt since it was done")


class StatusAnswer(Answer):
    """Where a run stands; without a current run only the flags."""

    status: Literal["success"]
    run_id: str | None
    pipeline_state: PipelineState
    progress: float = Field(description="share of the steps that are done")
    running: list[str] = Field(default=[], description="names of its executions that are running")
    steps: dict[str, StepStatus]
    params: PipelineParams | None = Field(default=None, description="of the run")


# -- versions


class VersionLineage(Answer):
    """Where a version comes from."""

    run_id: str | None = None
    source: str | None = Field(default=None, description="of the quotes")
    first_session: str | None = None
    last_session: str | None = None
    steps: dict[str, str] = Field(default={}, description="hash of each step's output")
    given: dict[str, Any] = Field(default={}, description="data of the user's own by step")


class VersionEvaluation(Answer):
    """What the evaluation of a version showed; empty for one that was not evaluated."""

    skill: Skill | None = None
    leak_suspected: bool = False
    headline: str = ""
    test: dict[str, float | None] = Field(default={}, description="figures of the test part")
    warnings: list[str] = []
    parts: dict[str, Any] = Field(default={}, description="rows, dates and class shares by part")
    test_openings: int = 0
    files: list[str] = []


class RegisteredVersion(Answer):
    """A version in the registry."""

    version: str
    created_at: str
    train_end: str | None = Field(description="date at whose close the newest label was known")
    target: str | None = Field(description="label rule, horizon, width of the hold band")
    feature_set: str | None
    lineage: VersionLineage | None
    evaluation: VersionEvaluation | None


class ReleaseEvent(Answer):
    """A change of what is live."""

    at: str
    who: str
    action: str
    why: str
    key: str = Field(description="namespace/type")
    previous: str | None = Field(alias="from")
    to: str | None
    skill: Skill
    sequence: int


class ModelVersions(Answer):
    """Versions of one model type."""

    live: str | None
    skill: Skill | None = Field(description="of the live version")
    versions: list[RegisteredVersion]
    events: list[ReleaseEvent] = Field(description="changes of what is live, newest last")


class ModelsAnswer(Answer):
    """Versions by model type."""

    status: Literal["success"]
    namespace: str
    models: dict[str, ModelVersions]


class MoveAnswer(Answer):
    """What was live before and what is live now."""

    status: Literal["success"]
    model: str = Field(description="namespace/type")
    previous: str | None = Field(alias="from")
    to: str | None
