"""Translates a SAM template to plain CloudFormation, as AWS's transform does, without AWS."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from infra.local.aws import session
from infra.local.errors import DeployError

LAYER_TYPES = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")
LOCAL_BUCKET = "local"
"""Name in place of the bucket of ``sam package``; nothing is stored in it."""


@dataclass(frozen=True)
class FunctionSource:
    """Place of a function's code on this machine.

    Attributes:
        code_dir: The folder that becomes LAMBDA_TASK_ROOT.
        handler: ``module.function``; None where the template's Handler names it.
    """

    code_dir: Path
    handler: str | None = None


@dataclass(frozen=True)
class Translated:
    """A translated template.

    Attributes:
        root: The folder of the template, to which its paths are relative.
        template: Plain CloudFormation.
        sources: Code of every function, by logical id.
    """

    root: Path
    template: dict[str, Any]
    sources: dict[str, FunctionSource]


def translate(path: Path, parameters: Mapping[str, str]) -> Translated:
    """Read a SAM template and translate it.

    Layers are left out: the virtual environment plays their part.

    Args:
        path: The template.
        parameters: Values for its parameters; those with a default may be left out.

    Raises:
        DeployError: There is no such file, a parameter is unknown, a path leads nowhere, or SAM
            finds the template invalid.
    """
    if not path.is_file():
        raise DeployError(f"there is no template {path}")

    root = path.parent.resolve()
    document = yaml_parse(path.read_text(encoding="utf-8"))
    unknown = sorted(set(parameters) - set(document.get("Parameters") or {}))
    if unknown:
        allowed = ", ".join(sorted(document.get("Parameters") or {})) or "none"
        raise DeployError(f"{path.name} has no parameter {', '.join(unknown)}; it has: {allowed}")

    _remove_layers(document)
    sources = _localize_functions(document, root)
    _localize_definitions(document, root)

    try:
        # No map of managed policies, for which SAM would ask AWS: it leaves names that it does not
        # know as they are.
        translator = Translator({}, Parser(), boto_session=session())
        translated = translator.translate(document, parameter_values=dict(parameters))
    except InvalidDocumentException as error:
        raise DeployError(
            f"{path.name} is not a valid SAM template: "
            + "; ".join(c.message for c in error.causes)
        ) from error

    return Translated(root, translated, sources)


def _properties(resource: dict[str, Any]) -> dict[str, Any]:
    return resource.setdefault("Properties", {})  # type: ignore[no-any-return]


def _remove_layers(document: dict[str, Any]) -> None:
    resources = document["Resources"]
    layers = {name for name, resource in resources.items() if resource["Type"] in LAYER_TYPES}
    document["Resources"] = {
        name: resource for name, resource in resources.items() if name not in layers
    }

    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            _properties(resource).pop("Layers", None)

    document.get("Globals", {}).get("Function", {}).pop("Layers", None)
    outputs = document.get("Outputs") or {}
    mentions = re.compile(
        r'"('
        + "|".join(map(re.escape, layers))
        + r')"|\$\{('
        + "|".join(map(re.escape, layers))
        + r")[.}]"
    )

    for name in [
        n for n, output in outputs.items() if layers and mentions.search(json.dumps(output))
    ]:
        del outputs[name]


def _localize_functions(document: dict[str, Any], root: Path) -> dict[str, FunctionSource]:
    defaults = document.get("Globals", {}).get("Function", {})
    sources = {}

    for name, resource in document["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = _properties(resource)
        if properties.get("PackageType", defaults.get("PackageType")) == "Image":
            sources[name] = _image_source(name, resource, root)
            properties["ImageUri"] = f"{LOCAL_BUCKET}:latest"
        else:
            sources[name] = _zip_source(
                name, properties.get("CodeUri", defaults.get("CodeUri")), root
            )
            properties["CodeUri"] = {"Bucket": LOCAL_BUCKET, "Key": name}

    defaults.pop("CodeUri", None)
    return sources


def _zip_source(name: str, code_uri: Any, root: Path) -> FunctionSource:
    if not isinstance(code_uri, str):
        raise DeployError(
            f"function {name}: CodeUri must be a folder to run it locally, not {code_uri!r}"
        )
    code_dir = (root / code_uri).resolve()
    if not code_dir.is_dir():
        raise DeployError(f"function {name}: CodeUri {code_uri} is not a folder in {root}")
    return FunctionSource(code_dir)


def _image_source(name: str, resource: dict[str, Any], root: Path) -> FunctionSource:
    """Find an image's code in its Dockerfile's folder, its handler in Command or else CMD."""
    metadata = resource.get("Metadata") or {}
    dockerfile = (
        root / metadata.get("DockerContext", ".") / metadata.get("Dockerfile", "Dockerfile")
    ).resolve()
    if not dockerfile.is_file():
        raise DeployError(
            f"function {name}: Metadata names no Dockerfile ({dockerfile} does not exist)"
        )

    command = _properties(resource).get("ImageConfig", {}).get("Command") or _last_command(
        dockerfile.read_text(encoding="utf-8")
    )
    if not command:
        raise DeployError(
            f"function {name}: neither ImageConfig.Command nor a CMD in {dockerfile} "
            "names its handler"
        )

    return FunctionSource(dockerfile.parent, command[0])


def _last_command(dockerfile: str) -> list[str]:
    """Return the arguments of the last CMD, a JSON list or a shell command."""
    found = re.findall(
        r"^\s*CMD\s+(.+?)\s*$", dockerfile.replace("\\\n", " "), re.MULTILINE | re.IGNORECASE
    )
    if not found:
        return []
    return json.loads(found[-1]) if found[-1].startswith("[") else shlex.split(found[-1])


def _localize_definitions(document: dict[str, Any], root: Path) -> None:
    for name, resource in document["Resources"].items():
        if resource["Type"] != "AWS::Serverless::StateMachine":
            continue
        uri = _properties(resource).get("DefinitionUri")
        if isinstance(uri, str):
            if not (root / uri).is_file():
                raise DeployError(
                    f"state machine {name}: DefinitionUri {uri} is not a file in {root}"
                )
            _properties(resource)["DefinitionUri"] = {"Bucket": LOCAL_BUCKET, "Key": uri}
