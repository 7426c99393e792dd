"""The image functions of template.yaml, and whether an engine that could build them is at hand.

``python -m infra.packaging.images`` prints what ``sam build`` is to leave out, for the Makefile.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker  # moto's, and the SAM CLI's own way to an engine
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


def image_functions(template: Path = TEMPLATE) -> dict[str, Mapping[str, Any]]:
    """The functions that are container images, by logical id: the template's own words on each."""
    resources: dict[str, Any] = yaml_parse(template.read_text(encoding="utf-8"))["Resources"]
    return {
        name: found
        for name, found in resources.items()
        if found.get("Properties", {}).get("PackageType") == "Image"
    }


def engine_answers() -> bool:
    """Whether Docker, or an engine that speaks its protocol where DOCKER_HOST says, is running."""
    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except docker.errors.DockerException:
        return False


def main() -> int:
    """Print the options of ``sam build`` that leave out what cannot be built here, with a word to the user."""
    if not engine_answers():
        for name in image_functions():
            print(
                f"{name} is left out: it is a container image, and no container engine answers here",
                file=sys.stderr,
            )
            print("--exclude", name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
