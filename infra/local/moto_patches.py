"""What moto 5.2.5 leaves out of AWS's behaviour, put back.

Each patch is one function that says what is missing. They replace internals of moto, so its version
is exact, and tests/integration/local has a test per patch that fails without it.
"""

# To replace what a library has is what its types forbid:
# mypy: disable-error-code="arg-type, assignment, attr-defined, method-assign, no-any-return"

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import unquote

import moto
import moto.cloudformation.parsing as cfn_parsing
import moto.stepfunctions.models as sfn_models
from moto.awslambda.models import ImageConfig, LambdaFunction, LambdaVersion
from moto.awslambda.responses import LambdaResponse
from moto.cloudformation.exceptions import ValidationError
from moto.core.config import default_user_config
from moto.core.exceptions import JsonRESTError
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser
from moto.s3.models import FakeBucket
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)
from samtranslator.yaml_helper import yaml_parse

from infra.local.bucket_properties import apply_bucket_properties
from infra.local.delivery import deliver
from infra.local.errors import ClosingError
from infra.local.template import FunctionSource
from infra.local.worker import Outcome

MOTO_VERSION = "5.2.5"


class Host(Protocol):
    """What the patches need of the emulator."""

    def invoke(self, function: LambdaFunction, payload: bytes, arn: str) -> Outcome:
        """Run a function and wait for its answer."""

    def invoke_later(self, function: LambdaFunction, payload: bytes, arn: str) -> None:
        """Run a function, again if it fails, and do not wait."""

    def source(self, logical_id: str) -> FunctionSource:
        """Where a function's code is."""

    def definition(self, key: str) -> str:
        """Text of a state machine's definition file."""

    def client(self, service: str) -> Any:
        """boto3 client of the emulator."""


def run_functions_as_processes(host: Host) -> None:
    """Moto runs a function in Docker, or answers a canned text: run it in a worker.

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
    """Moto's CloudFormation drops a function's PackageType and ImageConfig; and here it must know its source folder."""
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
    """``!GetAtt Version.Version``, which SAM writes for AutoPublishAlias, fails in moto."""
    LambdaVersion.has_cfn_attr = classmethod(
        lambda cls, attribute: attribute in ("Version", "FunctionArn")
    )
    LambdaVersion.get_cfn_attribute = lambda self, attribute: str(self.version)


def execute_state_machines(host: Host) -> None:
    """Moto puts CloudFormation's state machines into the backend that executes nothing, and knows only DefinitionString.

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
    """Moto calls an execution that is started without a name "None", so that the second one collides with the first."""
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
    """Moto looks whether a name is taken and takes it in two steps, so that two callers may both."""
    plain = StepFunctionsParserBackend.start_execution
    lock = threading.Lock()

    def start(self: Any, *given: Any, **named: Any) -> Any:
        with lock:
            return plain(self, *given, **named)

    StepFunctionsParserBackend.start_execution = start


def share_clients(host: Host) -> None:
    """Moto makes a boto3 client for every task of a state machine: slow, and boto3's sessions are not thread-safe."""
    boto_client.boto3 = SimpleNamespace(
        client=lambda service_name, **settings: host.client(service_name)
    )


def deliver_events(host: Host) -> None:
    """EventBridge rules with a Lambda, state machine or SNS target fail in moto; a schedule's rule matches any event.

    A disabled rule delivers nothing, and times are written as AWS writes them.
    """
    plain = Rule.send_to_targets

    def send(self: Rule, event: dict[str, Any], transform_input: bool = True) -> None:
        if (
            self.state == "DISABLED"
            or not self.event_pattern.get_pattern()
            or not self.event_pattern.matches_event(event)
        ):
            return
        ours = [
            target
            for target in self.targets
            if target["Arn"].split(":")[2] in ("lambda", "states", "sns")
        ]
        others = [target for target in self.targets if target not in ours]
        for target in ours:
            body = _target_input(target, event)
            threading.Thread(
                target=deliver, args=(host.client, target["Arn"], body), daemon=True
            ).start()
        if others:
            rule = Rule.__new__(Rule)
            rule.__dict__.update(self.__dict__, targets=others)
            plain(rule, event, transform_input)

    Rule.send_to_targets = send


def _target_input(target: dict[str, Any], event: dict[str, Any]) -> str:
    if "Input" in target:
        return str(target["Input"])
    moment = event.get("time")
    if isinstance(moment, int | float):
        event = {
            **event,
            "time": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    event = {**event, "id": event.get("id") or str(uuid.uuid4())}
    event.pop("ingestion-time", None)
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        return json.dumps(
            EventTemplateParser.parse(
                transformer["InputTemplate"], transformer.get("InputPathsMap", {}), event
            )
        )
    for part in target.get("InputPath", "$").split(".")[1:]:
        event = event[part]
    return json.dumps(event)


def keep_bucket_properties(host: Host) -> None:
    """Moto's CloudFormation drops a bucket's versioning, lifecycle rules, public access block and notifications."""
    plain = FakeBucket.create_from_cloudformation_json.__func__

    def create(
        cls: type, name: str, template: dict[str, Any], account: str, region: str, **ids: Any
    ) -> FakeBucket:
        bucket = plain(cls, name, template, account, region, **ids)
        apply_bucket_properties(host.client("s3"), name, template.get("Properties", {}))
        return bucket

    FakeBucket.create_from_cloudformation_json = classmethod(create)


def name_resources_steadily(host: Host) -> None:
    """Moto ends generated names with a random text; here they must be the same after a restart, when kept state returns."""

    def name(resource_type: str, stack_name: str, logical_id: str) -> str:
        digest = hashlib.sha256(f"{resource_type} {logical_id}".encode()).hexdigest()[:12]
        generated = f"{stack_name}-{logical_id}"[:50] + f"-{digest}"
        return generated.lower() if resource_type == "AWS::S3::Bucket" else generated

    cfn_parsing.generate_resource_name = name


def refuse_unknown_types(host: Host) -> None:
    """Moto only warns about a resource type that it does not know and deploys the rest: never half a stack."""
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
