"""Request models of the control API, and how their parameters reach the steps that own them."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from b3shared.api.errors import short
from b3shared.core.errors import InvalidParameterError
from b3shared.params.models import (
    ALIASES,
    DEFAULT_MODEL_TYPE,
    OneOf,
    accepted_names,
    model_types,
    nested,
)
from b3shared.params.run import (
    NAMESPACE_PATTERN,
    RUN_ID_PATTERN,
    PipelineParams,
    flat_schemas,
)
from b3shared.params.steps import Step, owner_of
from b3shared.runs.run import Run

Parameters = Mapping[str, Any]
"""Parameters of a run, those of a model under its name."""

MAX_REASON = 500
"""Longest reason for a change of what is live, in characters."""

MAX_WAIT = 86_400
"""Seconds that a caller may ask to wait, at most; the deployment grants less."""


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


RunId = Annotated[
    Annotated[str, Field(pattern=RUN_ID_PATTERN)] | None,
    BeforeValidator(_none_if_empty),
    Field(description="default: the current run"),
]
Namespace = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]
InputKey = Annotated[str, Field(pattern=r"^(inputs/.{1,890})?$")]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON)
]
VersionName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
ModelName = Annotated[str, OneOf(accepted_names)]
"""Any accepted name of a model type; :class:`PipelineParams` refuses others."""


class RunRequest(BaseModel):
    """What every request about a run may hold.

    Parameters of the run stand beside these fields. They are not checked here but all at once by
    :class:`PipelineParams`, since what is allowed depends on the run and the step; the schema
    lists them.
    """

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    owner: ClassVar[Step | None] = None
    """The step whose parameters the schema lists; None for all."""

    run_id: RunId = None
    input_key: InputKey | None = Field(
        default=None,
        description="quotes of your own in the bucket; empty: the previous step's output again",
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the run that were given, those of a model under its name."""
        given = self.model_extra or {}
        return nested({n: v for n, v in given.items() if v is not None or n not in model_types()})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"] |= parameter_schemas(cls.owner)
        schema["additionalProperties"] = False
        return schema


class CompletePipelineRequest(RunRequest):
    """Start a whole run."""


class StepRequest(RunRequest):
    """Run up to a step."""

    wait_seconds: Annotated[float, Field(ge=0)] | SkipJsonSchema[None] = Field(
        default=None, description="how long to wait for the result"
    )

    @model_validator(mode="before")
    @classmethod
    def _wait_is_a_number(cls, body: Any) -> Any:
        """Refuse what is not a JSON number; a number beyond all floats is as long as allowed."""
        if not isinstance(body, dict) or "wait_seconds" not in body:
            return body
        wait = body["wait_seconds"]
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0:
            raise InvalidParameterError(
                f"wait_seconds must be a number of seconds >= 0, got {short(wait)}",
                parameters=["wait_seconds"],
            )
        return body | {"wait_seconds": float(min(wait, MAX_WAIT))}


class LoadDataRequest(StepRequest):
    """Load quotes. It starts a run, so any parameter of the run may be given."""


class PreprocessDataRequest(StepRequest):
    """Make features and labels."""

    owner = Step.PREPROCESS_DATA


class SplitDataRequest(StepRequest):
    """Split by date."""

    owner = Step.SPLIT_DATA


class TrainModelRequest(StepRequest):
    """Search, train and calibrate."""

    owner = Step.TRAIN_MODEL


class EvaluateModelRequest(StepRequest):
    """Evaluate on the test dates."""

    owner = Step.EVALUATE_MODEL


class SaveModelRequest(StepRequest):
    """Register the version and publish."""

    owner = Step.SAVE_MODEL


class RollbackRequest(BaseModel):
    """Go back to the version that was live before."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_dir: Namespace = Field(default="models", description="namespace in the registry")
    why: Reason | None = Field(default=None, description="the reason, for the history")

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, body: Any) -> Any:
        """Refuse unknown fields by name: ignoring them would look like accepting them."""
        if isinstance(body, dict) and (unknown := sorted(set(body) - cls.model_fields.keys())):
            allowed = ", ".join(cls.model_fields)
            raise InvalidParameterError(
                f"unknown: {', '.join(unknown)}; allowed are {allowed}", parameters=unknown
            )
        return body

    @property
    def reason(self) -> str:
        """The reason that goes into the release's history."""
        return self.why or "by hand"


class PromoteRequest(RollbackRequest):
    """Make a version live."""

    model_version: VersionName
    expected: VersionName | None = Field(
        default=None,
        description="the version that must be live now, null for none; left out: whatever is live",
    )

    @property
    def checks_live(self) -> bool:
        """Whether the caller says which version must be live now."""
        return "expected" in self.model_fields_set


def parameter_schemas(owner: Step | None) -> dict[str, Any]:
    """JSON schemas of the parameters that a step owns (None: all), by name as a caller gives it."""
    schemas = flat_schemas()
    schemas |= {alias: schemas[name] for alias, name in ALIASES.items()}
    found = {
        name: _single_or_many(schema)
        for name, schema in sorted(schemas.items())
        if owner is None or owner_of(name) is owner
    }

    if "model_type" in found:
        found["model_type"] = {
            "type": "string",
            "enum": list(accepted_names()),
            "default": DEFAULT_MODEL_TYPE,
        }
    return found


def _single_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list of candidates, which may be given as its only one."""
    if schema.get("type") != "array" or "minItems" not in schema:  # the forest's search
        return schema
    kept = {
        name: value for name, value in schema.items() if name in ("default", "description", "title")
    }
    many = {"type": "array", "items": schema["items"], "minItems": 1}
    return kept | {"anyOf": [schema["items"], many]}


def own_params(run: Run, step: Step, params: Parameters) -> dict[str, Any]:
    """Return the parameters that a step is to change.

    Those of another step may be among ``params`` if they change nothing.

    Args:
        run: the run.
        step: the step that is asked for.
        params: of a request.

    Raises:
        InvalidParameterError: Unknown, out of bounds, or another step's with another value.
    """
    now = run.effective_params(step)
    after = now.replace(params)
    overrides = {
        name: value
        for name, value in params.items()
        if owner_of(name) is step or getattr(now, name) != getattr(after, name)
    }
    run.effective_params(step, overrides)  # refuses what is not the step's own
    return overrides


def resumed_params(run: Run, params: Parameters) -> PipelineParams:
    """Return the parameters of a run with those that its caller gives."""
    return run.params.replace(params)


def run_id_of(idempotency_key: str | None) -> str | None:
    """Return the run that a key stands for: the same key, the same run."""
    if not idempotency_key:
        return None
    digest = hashlib.sha256(idempotency_key.encode(errors="surrogatepass")).hexdigest()
    return f"key-{digest[:32]}"
