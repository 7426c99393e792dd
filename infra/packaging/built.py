"""What ``sam build`` has left in its folder, function by function."""

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
        layers: folders of its layers, in their order.
        variables: its environment as the template says it, with the template's functions (Ref, Sub)
            unresolved.
    """

    name: str
    folder: Path
    handler: str
    layers: tuple[Path, ...]
    variables: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of code and layers."""
        return sum(map(unzipped, (self.folder, *self.layers)))

    @property
    def path(self) -> list[str]:
        """Where Python looks for modules, after which comes its own library."""
        return [str(self.folder), *(str(layer / "python") for layer in self.layers)]


def packaged(build: Path = BUILD) -> list[Packaged]:
    """All zip functions of a build, in the template's order.

    Raises:
        FileNotFoundError: Nothing was built.
    """
    template = yaml_parse((build / "template.yaml").read_text(encoding="utf-8"))
    resources, shared = template["Resources"], template.get("Globals", {}).get("Function", {})
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
    """Names of the built images of the image functions, by logical id; None for one that was left out.

    Raises:
        FileNotFoundError: Nothing was built.
    """
    functions = image_functions(build / "template.yaml")
    return {name: function["Properties"].get("ImageUri") for name, function in functions.items()}


def _variables(function: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = function.get("Environment", {}).get("Variables", {})
    return found


def unzipped(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
