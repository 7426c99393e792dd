"""Writes functions/pipeline_api/openapi.json, the description of both API functions.

Routes, requests and answers come from the functions' code; texts from :mod:`infra.api_texts`.
``python -m infra.openapi`` writes it; ``--check`` only prints whether it is up to date.
"""

import copy
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from infra.api_texts import OPERATIONS, SAME_AS, TAGS

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "functions" / "pipeline_api" / "openapi.json"
ANSWERS = ROOT / "infra" / "api_answers"
REFERENCE = "#/components/schemas/"

ABOUT = """Forecasts for the Brazilian exchange, and the pipeline that makes them.
Not investment advice.

A field of a request that is left out has its default. Errors have one form, with a `code` for
programs; API Gateway's own answers (403, 429 and 503) are `{"message": ...}`.
"""

SECURITY = {
    "Iam": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS signature version 4, service execute-api; not asked for on a laptop",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "Jwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "where the deployment has a JwtIssuer",
    },
}
"""Security schemes: how a caller authenticates."""


def build() -> dict[str, Any]:
    """Return the merged description."""
    parts = [_described(name) for name in ("predict", "pipeline_api")]
    spec: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "B3 Asset Predict",
            "version": "1.0",
            "description": ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": SECURITY},
    }

    for part in parts:
        spec["paths"] |= part["paths"]
        spec["components"]["schemas"] |= part.get("components", {}).get("schemas", {})

    _add_texts(spec)
    _add_same_paths(spec)
    spec["components"]["schemas"] = _used(spec)
    for name, schema in spec["components"]["schemas"].items():
        if name.endswith("Request"):
            _describe_defaults(schema)
    return _sorted(spec)


def _described(function: str) -> dict[str, Any]:
    """Return the description that a function's resolver makes of its routes."""
    schema = json.loads(_module(function).app.get_openapi_json_schema())
    return {"paths": schema["paths"], "components": schema.get("components", {})}


def _module(function: str) -> ModuleType:
    """Import a function's app as Lambda does."""
    folder = ROOT / "functions" / function
    sys.path.insert(0, str(folder))
    try:
        name = importlib.util.spec_from_file_location(f"{function}_app", folder / "app.py")
        assert name is not None  # noqa: S101  # the file exists
        assert name.loader is not None  # noqa: S101  # as above
        module = importlib.util.module_from_spec(name)
        name.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


def _add_texts(spec: dict[str, Any]) -> None:
    """Add summaries, descriptions, examples and questions; order the paths as the texts are."""
    described = spec["paths"]
    spec["paths"] = {}

    for (method, path), texts in OPERATIONS.items():
        operation = described[path].pop(method)
        spec["paths"].setdefault(path, {})[method] = operation
        operation |= {"summary": texts.summary, "description": texts.description}
        operation["security"] = _security(operation["tags"])

        if texts.bodies:
            content = operation["requestBody"]["content"]["application/json"]
            content["examples"] = {name: {"value": body} for name, body in texts.bodies.items()}
        if texts.answers:
            content = operation["responses"]["200"]["content"]["application/json"]
            content["examples"] = {
                name: {"value": _answer(file)} for name, file in texts.answers.items()
            }
        if texts.confirm:
            operation["x-confirm"] = texts.confirm

    if left := [path for path, operations in described.items() if operations]:
        raise KeyError(f"infra/api_texts.py lacks {', '.join(left)}")


def _answer(file: str) -> Any:
    return json.loads((ANSWERS / file).read_text(encoding="utf-8"))


def _security(tags: list[str]) -> list[dict[str, list[str]]]:
    """Return who may call: anybody predicts; runs and versions need a signature or a token."""
    if tags == ["predictions"]:
        return [{}, {"Jwt": []}]
    return [] if tags == ["health"] else [{"Iam": []}, {"Jwt": []}]


def _add_same_paths(spec: dict[str, Any]) -> None:
    """Add the reference front end's paths, each beside the one whose answers it gives."""
    paths: dict[str, Any] = {}
    for path, operations in spec["paths"].items():
        paths[path] = operations
        for other in [other for other, original in SAME_AS.items() if original == path]:
            paths[other] = copy.deepcopy(operations)
            for method, operation in paths[other].items():
                operation["operationId"] = (
                    f"{operation['operationId']}_as_{other.strip('/').replace('/', '_')}"
                )
                operation["summary"] = f"The same as {method.upper()} {path}"
    spec["paths"] = paths


def _describe_defaults(schema: dict[str, Any]) -> None:
    """Move the defaults of a request's fields into their descriptions.

    Generators of typed clients make fields with a ``default`` required.
    """
    for described in schema["properties"].values():
        if "default" in described:
            default = f"default {json.dumps(described.pop('default'))}"
            described["description"] = "; ".join(
                [*filter(None, [described.get("description")]), default]
            )


def _sorted(spec: dict[str, Any]) -> dict[str, Any]:
    """Sort the keys, so that all machines write the same; paths and examples keep their order."""

    def by_name(value: Any, kept: bool = False) -> Any:
        if isinstance(value, dict):
            names = value if kept else sorted(value)
            return {name: by_name(value[name], name in ("paths", "examples")) for name in names}
        if isinstance(value, list):
            return [by_name(inner) for inner in value]
        # Powertools writes the bounds of integers as 1.0
        return int(value) if isinstance(value, float) and value.is_integer() else value

    found: dict[str, Any] = by_name(spec)
    return found


def _used(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas that something refers to, directly or not."""
    schemas = spec["components"]["schemas"]
    text = json.dumps(spec["paths"])
    used: dict[str, Any] = {}
    while found := {
        n: s for n, s in schemas.items() if n not in used and f'"{REFERENCE}{n}"' in text
    }:
        used |= found
        text = json.dumps(found)
    return dict(sorted(used.items()))


def main() -> int:
    """Write the file, or with ``--check`` print whether it is up to date."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"B3_STORAGE": folder, "POWERTOOLS_LOG_LEVEL": "CRITICAL"}
        text = json.dumps(build(), indent=1) + "\n"
    if "--check" in sys.argv:
        same = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        word = "up to date" if same else "out of date: run python -m infra.openapi"
        print(f"{TARGET.relative_to(ROOT)} is {word}")
        return 0 if same else 1
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
