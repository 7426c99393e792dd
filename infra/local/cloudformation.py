"""Resource types of a SAM stack that moto's CloudFormation lacks, made through the emulator's API.

Policies of resources are only recorded: the emulator enforces no permissions, and moto reads a
bucket policy's Deny without its conditions, so that the usual "TLS only" statement would lock the
bucket.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import moto.cloudformation.parsing as parsing
from moto.core.common_models import CloudFormationModel

Client = Callable[[str], Any]
Properties = dict[str, Any]

RECORDED_TYPES = (
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Events::EventBusPolicy",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
)
"""Types without an effect on one machine: they exist in the stack only."""


@dataclass(frozen=True)
class Created:
    """A new resource.

    Attributes:
        ref: Value of ``!Ref``.
        attributes: Values of ``!GetAtt``.
    """

    ref: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Registry:
    """Makes resources and records what the emulator must know of them.

    Attributes:
        client: Returns a service's boto3 client.
        api_url: Address of the HTTP API on this machine.
        api_bodies: OpenAPI documents of the deployed HTTP APIs, by API id.
        retries: MaximumRetryAttempts by function name.
    """

    client: Client
    api_url: str = ""
    api_bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)

    def secret(self, name: str, properties: Properties) -> Created:
        """Make an AWS::SecretsManager::Secret with a given or a generated value."""
        value = properties.get("SecretString")
        generate = properties.get("GenerateSecretString")
        if generate is not None:
            length = int(generate.get("PasswordLength", 32))
            value = secrets.token_urlsafe(length)[:length]
            if "SecretStringTemplate" in generate:
                fixed = json.loads(generate["SecretStringTemplate"])
                value = json.dumps({**fixed, generate["GenerateStringKey"]: value})

        created = self.client("secretsmanager").create_secret(Name=name, SecretString=value or "{}")
        arn = created["ARN"]
        return Created(arn, {"Id": arn})

    def alias(self, name: str, properties: Properties) -> Created:
        """Make an AWS::Lambda::Alias."""
        wanted = {key: properties[key] for key in ("Name", "FunctionName", "FunctionVersion")}
        arn = self.client("lambda").create_alias(**wanted)["AliasArn"]
        return Created(arn, {"AliasArn": arn})

    def event_invoke_config(self, name: str, properties: Properties) -> Created:
        """Record the retries of an AWS::Lambda::EventInvokeConfig."""
        function = properties["FunctionName"].split(":function:")[-1].split(":")[0]
        self.retries[function] = int(properties.get("MaximumRetryAttempts", 2))
        return Created(name)

    def schedule(self, name: str, properties: Properties) -> Created:
        """Make an AWS::Scheduler::Schedule."""
        given = {
            key: value for key, value in properties.items() if key not in ("Name", "GroupName")
        }
        arn = self.client("scheduler").create_schedule(Name=name, **given)["ScheduleArn"]
        return Created(name, {"Arn": arn})

    def http_api(self, name: str, properties: Properties) -> Created:
        """Make an AWS::ApiGatewayV2::Api with a Body, whose routes the gateway serves."""
        body = properties.get("Body") or {}
        title = properties.get("Name") or body.get("info", {}).get("title") or name
        api = self.client("apigatewayv2").create_api(Name=str(title), ProtocolType="HTTP")
        self.api_bodies[api["ApiId"]] = body
        return Created(api["ApiId"], {"ApiId": api["ApiId"], "ApiEndpoint": self.api_url})

    def alarm(self, name: str, properties: Properties) -> Created:
        """Make an AWS::CloudWatch::Alarm, which can be described but never goes off."""
        wanted = {
            key: value for key, value in properties.items() if key not in ("AlarmName", "Tags")
        }
        cloudwatch = self.client("cloudwatch")
        cloudwatch.put_metric_alarm(AlarmName=name, **wanted)
        arn = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
        return Created(name, {"Arn": arn})

    def subscription(self, name: str, properties: Properties) -> Created:
        """Make an AWS::SNS::Subscription."""
        wanted = {
            key: properties[key]
            for key in ("TopicArn", "Protocol", "Endpoint")
            if key in properties
        }
        subscribed = self.client("sns").subscribe(**wanted, ReturnSubscriptionArn=True)
        return Created(subscribed["SubscriptionArn"])

    def recorded(self, name: str, properties: Properties) -> Created:
        """Make a resource that has no effect on one machine."""
        return Created(name)

    def types(self) -> dict[str, tuple[str, Callable[[str, Properties], Created]]]:
        """Return the property that names a resource and the function that makes it, by type."""
        return {
            "AWS::SecretsManager::Secret": ("Name", self.secret),
            "AWS::Lambda::Alias": ("", self.alias),
            "AWS::Lambda::EventInvokeConfig": ("", self.event_invoke_config),
            "AWS::Scheduler::Schedule": ("Name", self.schedule),
            "AWS::ApiGatewayV2::Api": ("", self.http_api),
            "AWS::CloudWatch::Alarm": ("AlarmName", self.alarm),
            "AWS::SNS::Subscription": ("", self.subscription),
            **dict.fromkeys(RECORDED_TYPES, ("", self.recorded)),
        }


_models: list[type] = []
"""The classes of the types, kept alive: moto finds them by weak reference."""


def register(registry: Registry) -> None:
    """Add the types of this module to moto's CloudFormation, once in a process."""
    for kind, (name_property, create) in registry.types().items():
        _models.append(_model(kind, name_property, create))
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()


def _model(kind: str, name_property: str, create: Callable[[str, Properties], Created]) -> type:
    def create_from(
        cls: type[Any], /, name: str, template: dict[str, Any], *context: str, **ids: str
    ) -> Any:
        made = create(name, template.get("Properties", {}))
        resource = cls()
        resource.type = kind
        resource.physical_resource_id = made.ref
        resource.attributes = made.attributes
        return resource

    members = {
        "cloudformation_name_type": staticmethod(lambda: name_property),
        "cloudformation_type": staticmethod(lambda: kind),
        "has_cfn_attr": classmethod(lambda cls, attribute: True),
        "create_from_cloudformation_json": classmethod(create_from),
        "update_from_cloudformation_json": classmethod(lambda cls, resource, *rest: resource),
        "delete_from_cloudformation_json": classmethod(lambda cls, *rest: None),
        "is_created": lambda self: True,
        "get_cfn_attribute": lambda self, attribute: self.attributes[attribute],
    }
    return type(kind.replace("::", ""), (CloudFormationModel,), members)
