"""Patches of moto 5.2.5 where it differs from AWS.

Each patch is one function, whose docstring names the difference. They replace internals of moto, so
its version is exact, and tests/integration/local has a test per patch that fails without it.
"""

# The types of a library forbid replacing its functions:
# mypy: disable-error-code="arg-type, assignment, attr-defined, method-assign, no-any-return"

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import moto
import moto.cloudformation.parsing as cfn_parsing
import moto.stepfunctions.models as sfn_models
from moto.awslambda.models import ImageConfig, LambdaFunction, LambdaVersion
from moto.awslambda.responses import LambdaResponse
from moto.cloudformation.exceptions import ValidationError
from moto.core.config import default_user_config
from moto.core.exceptions import JsonRESTError
from moto.s3.models import FakeBucket
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)
from samtranslator.yaml_helper import yaml_parse

from infra.local.bucket_properties import apply_bucket_properties
from infra.local.errors import ClosingError
from infra.local.moto_events import deliver_events
from infra.local.moto_host import Host

MOTO_VERSION = "5.2.5"


def run_functions_as_processes(host: Host) -> None:
    """Run functions in workers: moto runs them in Docker, or answers a fixed text.

    Also Lambda's own: Event invocations answer 202 at once, the error header says Unhandled, the
    executed version is named, a body that is not JSON is refused, and the response limit is
    Lambda's (moto refuses above 6,000,000 bytes).
    """

    def invoke(self: LambdaResponse) -> tuple[int, dict[str, str], bytes]:
        name = unquote(self.path.rsplit("/", 2)[-2])
        qualifier = self.querystring.get("Qualifier", [None])[0]
        function = self.backend.get_function(name, qualifier)
        arn = (
            function.function_arn
            if qualifier is None
            else f"{_unqualified(function.function_arn)}:{qualifier}"
        )
        payload = _event(self.body)

        kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind == "DryRun":
            return 204, {"status": "204"}, b""
        if kind == "Event":
            host.invoke_later(function, payload, arn)
            return 202, {"status": "202"}, b""

        try:
            outcome = host.invoke(function, payload, arn)
        except ClosingError as error:
            raise _lambda_error("ServiceException", str(error), 500) from error

        headers = {
            "content-type": "application/json",
            "x-amz-executed-version": str(function.version),
        }
        if outcome.failed:
            headers["x-amz-function-error"] = "Unhandled"
        return 200, headers, outcome.payload

    def invoked_by_service(
        self: LambdaFunction, body: str, request_headers: Any, response_headers: Any
    ) -> bytes:
        outcome = host.invoke(self, _event(body), self.function_arn)
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload

    LambdaResponse.invoke = invoke
    LambdaFunction.invoke = invoked_by_service


def _unqualified(arn: str) -> str:
    return ":".join(arn.split(":")[:7])


def _event(body: str | bytes) -> bytes:
    payload = body.encode() if isinstance(body, str) else body
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        raise _lambda_error(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            400,
        ) from error
    return payload or b"{}"


def _lambda_error(kind: str, message: str, status: int) -> JsonRESTError:
    error = JsonRESTError(kind, message)
    error.code = status
    return error


def keep_function_properties(host: Host) -> None:
    """Keep a function's PackageType, ImageConfig and source folder: moto drops them."""
    plain = LambdaFunction.create_from_cloudformation_json.__func__

    def create(
        cls: type, name: str, template: dict[str, Any], account: str, region: str, **ids: Any
    ) -> LambdaFunction:
        function = plain(cls, name, template, account, region, **ids)
        properties = template["Properties"]
        function.package_type = properties.get("PackageType", "Zip")
        function.image_config = ImageConfig(properties.get("ImageConfig", {}))
        function.source = host.source(ids["LogicalId"])
        return function

    LambdaFunction.create_from_cloudformation_json = classmethod(create)


def answer_version_attributes(host: Host) -> None:
    """Answer ``!GetAtt Version.Version``, which SAM writes for AutoPublishAlias: moto fails."""
    LambdaVersion.has_cfn_attr = classmethod(
        lambda cls, attribute: attribute in ("Version", "FunctionArn")
    )
    LambdaVersion.get_cfn_attribute = lambda self, attribute: str(self.version)


def execute_state_machines(host: Host) -> None:
    """Execute CloudFormation's state machines: moto does not, and reads DefinitionString only.

    The definition file is filled with DefinitionSubstitutions as text and then read as YAML (JSON
    is YAML), as AWS does it: an unquoted ``${Seconds}`` becomes a number.
    """
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    sfn_models.stepfunctions_backends = stepfunctions_parser_backends
    plain = sfn_models.StateMachine.create_from_cloudformation_json.__func__

    def create(
        cls: type, name: str, template: dict[str, Any], account: str, region: str, **ids: Any
    ) -> Any:
        properties = dict(template["Properties"])
        text = str(properties.get("DefinitionString", ""))
        if "DefinitionS3Location" in properties:
            text = host.definition(properties["DefinitionS3Location"]["Key"])
        for key, value in properties.get("DefinitionSubstitutions", {}).items():
            text = text.replace(
                "${" + key + "}", str(value).lower() if isinstance(value, bool) else str(value)
            )
        properties["DefinitionString"] = json.dumps(yaml_parse(text))
        return plain(cls, name, {**template, "Properties": properties}, account, region, **ids)

    sfn_models.StateMachine.create_from_cloudformation_json = classmethod(create)


def name_unnamed_executions(host: Host) -> None:
    """Name executions that are started without a name: moto calls each of them "None"."""
    plain = StepFunctionsParserBackend.start_execution

    def start(
        self: Any,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: Any = None,
        trace_header: Any = None,
    ) -> Any:
        return plain(
            self, state_machine_arn, name or str(uuid.uuid4()), execution_input, trace_header
        )

    StepFunctionsParserBackend.start_execution = start


def start_executions_one_at_a_time(host: Host) -> None:
    """Start an execution only after the one before it has started.

    Moto checks whether a name is free and takes it in two steps, so two callers could both take it.
    """
    plain = StepFunctionsParserBackend.start_execution
    lock = threading.Lock()

    def start(self: Any, *given: Any, **named: Any) -> Any:
        with lock:
            return plain(self, *given, **named)

    StepFunctionsParserBackend.start_execution = start


def share_clients(host: Host) -> None:
    """Share boto3 clients: moto makes one per task, slowly, and sessions are not thread-safe."""
    boto_client.boto3 = SimpleNamespace(
        client=lambda service_name, **settings: host.client(service_name)
    )


def keep_bucket_properties(host: Host) -> None:
    """Keep a bucket's versioning, lifecycle, access block and notifications: moto drops them."""
    plain = FakeBucket.create_from_cloudformation_json.__func__

    def create(
        cls: type, name: str, template: dict[str, Any], account: str, region: str, **ids: Any
    ) -> FakeBucket:
        bucket = plain(cls, name, template, account, region, **ids)
        apply_bucket_properties(host.client("s3"), name, template.get("Properties", {}))
        return bucket

    FakeBucket.create_from_cloudformation_json = classmethod(create)


def name_resources_steadily(host: Host) -> None:
    """Generate the same names after a restart, for kept state: moto's end with a random text."""

    def name(resource_type: str, stack_name: str, logical_id: str) -> str:
        digest = hashlib.sha256(f"{resource_type} {logical_id}".encode()).hexdigest()[:12]
        generated = f"{stack_name}-{logical_id}"[:50] + f"-{digest}"
        return generated.lower() if resource_type == "AWS::S3::Bucket" else generated

    cfn_parsing.generate_resource_name = name


def refuse_unknown_types(host: Host) -> None:
    """Refuse unknown resource types: moto warns only, and deploys the rest."""
    plain = cfn_parsing.resource_class_from_type

    def known(resource_type: str) -> Any:
        model: type | None = plain(resource_type)
        if model is None and resource_type not in cfn_parsing.NULL_MODELS:
            raise ValidationError(message=f"the local stack has no {resource_type}")
        return model

    cfn_parsing.resource_class_from_type = known


PATCHES: tuple[Callable[[Host], None], ...] = (
    run_functions_as_processes,
    keep_function_properties,
    answer_version_attributes,
    execute_state_machines,
    name_unnamed_executions,
    start_executions_one_at_a_time,
    share_clients,
    deliver_events,
    keep_bucket_properties,
    name_resources_steadily,
    refuse_unknown_types,
)


def install(host: Host) -> None:
    """Apply every patch, once in a process.

    Raises:
        RuntimeError: moto is of another version than the patches were written for.
    """
    if moto.__version__ != MOTO_VERSION:
        raise RuntimeError(
            f"infra/local patches moto {MOTO_VERSION}, but {moto.__version__} is installed"
        )
    for patch in PATCHES:
        patch(host)
