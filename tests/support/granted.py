"""Permissions that template.yaml grants: pairs of one action and one resource."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from paths import ROOT
from samtranslator.yaml_helper import yaml_parse

RESOURCES: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))[
    "Resources"
]
BUCKET = "permissions"
MACHINE = "arn:aws:states:sa-east-1:123456789012:stateMachine:pipeline"
NAMES = {
    "AWS::Partition": "aws",
    "AWS::Region": "sa-east-1",
    "AWS::AccountId": "123456789012",
    "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
    "Pipeline": MACHINE,
    "Pipeline.Name": "pipeline",
}
"""Values of the template's references; any other reference stays a name."""


@dataclass(frozen=True, order=True)
class Grant:
    """Permission to do one action on the resources of one pattern."""

    action: str
    resource: str

    def covers(self, action: str, arn: str) -> bool:
        """Whether the grant permits an action on a resource; as in IAM, '*' also matches '/'."""
        return action == self.action and fnmatchcase(arn, self.resource)


def functions() -> dict[str, str]:
    """The folder of every function, by its name in the template."""
    kind = "AWS::Serverless::Function"
    return {name: _folder(found) for name, found in RESOURCES.items() if found["Type"] == kind}


def _folder(function: dict[str, Any]) -> str:
    """The folder of a zip's code, or of an image's Dockerfile."""
    properties = function["Properties"]
    return (
        properties["CodeUri"]
        if "CodeUri" in properties
        else str(Path(function["Metadata"]["Dockerfile"]).parent)
    )


def grants(resource: str) -> list[Grant]:
    """Permissions of a function or state machine without MotherDuck."""
    policies = RESOURCES[resource]["Properties"]["Policies"]
    found = [_unless(statement) for policy in policies for statement in policy["Statement"]]
    statements = [statement for statement in found if statement != {"Ref": "AWS::NoValue"}]
    assert all(
        statement.keys() == {"Sid", "Effect", "Action", "Resource"} for statement in statements
    )
    assert {statement["Effect"] for statement in statements} == {"Allow"}

    return [
        Grant(action, resolved(pattern))
        for statement in statements
        for action in _listed(statement["Action"])
        for pattern in _listed(statement["Resource"])
    ]


def resolved(value: Any) -> str:
    """Convert a template's value to text, references filled in."""
    match value:
        case {"Ref": name}:
            return str(NAMES.get(name, name))
        case {"Fn::GetAtt": path}:
            return NAMES.get(".".join(path), ".".join(path))
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{(.+?)\}", lambda found: NAMES[found[1]], text)
        case str():
            return value
    raise AssertionError(f"value must be a text, Ref, GetAtt or Sub, got {value}")


def _unless(statement: Any) -> Any:
    """The branch of a conditional statement that holds where the condition does not."""
    return statement["Fn::If"][2] if "Fn::If" in statement else statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
