"""Finds the image functions of template.yaml, and whether a container engine is running.

``python -m infra.packaging.images`` prints the options of ``sam build`` that leave the images out
where there is no engine; the Makefile uses it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker  # moto's, and the SAM CLI's own way to an engine
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


def image_functions(template: Path = TEMPLATE) -> dict[str, Mapping[str, Any]]:
    """Return the resources of the functions that are container images, by logical id."""
    resources: dict[str, Any] = yaml_parse(template.read_text(encoding="utf-8"))["Resources"]
    return {
        name: found
        for name, found in resources.items()
        if found.get("Properties", {}).get("PackageType") == "Image"
    }


def engine_answers() -> bool:
    """Return whether Docker, or an engine with its protocol at DOCKER_HOST, is running."""
    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except docker.errors.DockerException:
        return False


def main() -> int:
    """Print the options of ``sam build`` that leave out what cannot be built here, and say so."""
    if not engine_answers():
        for name in image_functions():
            print(
                f"{name} is left out: it is a container image, and no engine answers here",
                file=sys.stderr,
            )
            print("--exclude", name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
