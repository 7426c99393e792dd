"""Reads the result of ``sam build``: functions, layers and images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.packaging.images import image_functions

BUILD = Path(__file__).resolve().parents[2] / ".aws-sam" / "build"


@dataclass(frozen=True)
class Packaged:
    """A zip function with its layers, as Lambda unzips them.

    Attributes:
        name: its logical id.
        folder: its code.
        handler: ``module.function``.
        layers: folders of its layers, in the template's order.
        variables: its environment, with the template's functions (Ref, Sub) unresolved.
    """

    name: str
    folder: Path
    handler: str
    layers: tuple[Path, ...]
    variables: dict[str, Any]

    @property
    def size(self) -> int:
        """Return the bytes of code and layers."""
        return sum(map(unzipped, (self.folder, *self.layers)))

    @property
    def path(self) -> list[str]:
        """Return the folders where Python looks for modules before its own library."""
        return [str(self.folder), *(str(layer / "python") for layer in self.layers)]


def packaged(build: Path = BUILD) -> list[Packaged]:
    """Return all zip functions of a build, in the template's order.

    Raises:
        FileNotFoundError: Nothing was built.
    """
    template = yaml_parse((build / "template.yaml").read_text(encoding="utf-8"))
    resources = template["Resources"]
    shared = template.get("Globals", {}).get("Function", {})
    functions = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
        and resource["Properties"].get("PackageType", "Zip") == "Zip"
    }

    return [
        Packaged(
            name,
            build / own["CodeUri"],
            own["Handler"],
            tuple(
                build / resources[layer["Ref"]]["Properties"]["ContentUri"]
                for layer in own.get("Layers", [])
            ),
            {**_variables(shared), **_variables(own)},
        )
        for name, own in functions.items()
    ]


def images(build: Path = BUILD) -> dict[str, str | None]:
    """Return the image of every image function, by logical id; None if it was not built.

    Raises:
        FileNotFoundError: Nothing was built.
    """
    functions = image_functions(build / "template.yaml")
    return {name: function["Properties"].get("ImageUri") for name, function in functions.items()}


def _variables(function: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = function.get("Environment", {}).get("Variables", {})
    return found


def unzipped(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
