"""Writes functions/pipeline_api/openapi.json: one description of both API functions, made from their code.

``python -m infra.openapi`` writes it; ``--check`` only says whether it is up to date.
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

from b3shared.api.requests import MAX_REASON
from b3shared.params.models import ALIASES, DEFAULT_MODEL_TYPE, accepted_names
from b3shared.params.run import NAMESPACE_PATTERN, RUN_ID_PATTERN, flat_schemas
from b3shared.params.steps import Step, owner_of
from infra.api_texts import OPERATIONS, SAME_AS, STEP_ROUTES, TAGS

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "functions" / "pipeline_api" / "openapi.json"
ANSWERS = ROOT / "infra" / "api_answers"
REFERENCE = "#/components/schemas/"

ABOUT = """Forecasts for the Brazilian exchange, and the pipeline that makes them. Not investment advice.

A field of a request that is left out has its default. Errors have one form, with a `code` for programs; API Gateway's own
answers (403, 429 and 503) are `{"message": ...}`.
"""

RUN_ID = {"type": "string", "pattern": RUN_ID_PATTERN, "description": "default: the current run"}
NAMESPACE = {"type": "string", "pattern": NAMESPACE_PATTERN}

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
"""How a caller shows who he is."""


def build() -> dict[str, Any]:
    """The merged description."""
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
    _add_bodies(spec)
    _add_queries(spec)
    for operations in spec["paths"].values():
        for operation in operations.values():
            _tidy(operation["responses"])
    _add_texts(spec)
    _add_same_paths(spec)
    spec["components"]["schemas"] = _used(spec)
    for name, schema in spec["components"]["schemas"].items():
        if name.endswith("Request"):
            _describe_defaults(schema)
    return _sorted(spec)


def _described(function: str) -> dict[str, Any]:
    """What a function's resolver says of itself."""
    schema = json.loads(_module(function).app.get_openapi_json_schema())
    return {"paths": schema["paths"], "components": schema.get("components", {})}


def _module(function: str) -> ModuleType:
    """A function's app, imported as Lambda does, with a storage that nobody reads."""
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


def _add_bodies(spec: dict[str, Any]) -> None:
    """Request bodies of the control routes, whose parameters are checked by PipelineParams and not by the resolver."""
    schemas = spec["components"]["schemas"]
    for path, step in STEP_ROUTES.items():
        name = "".join(word.title() for word in str(step).split("_")) + "Request"
        every = step is Step.LOAD_DATA  # it starts the run, so it may say all of it
        schemas[name] = _request(_parameters(None if every else step), wait=True)
        _take(spec, path, name)
    schemas["CompletePipelineRequest"] = _request(_parameters(None), wait=False)
    _take(spec, "/api/b3/complete-pipeline", "CompletePipelineRequest")
    text = {"type": "string", "minLength": 1, "maxLength": MAX_REASON}
    schemas["PromoteRequest"] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["model_version"],
        "properties": {
            "model_version": text,
            "model_dir": NAMESPACE,
            "why": text,
            "expected": {"type": ["string", "null"]},
        },
    }
    schemas["RollbackRequest"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"model_dir": NAMESPACE, "why": text},
    }
    _take(spec, "/api/b3/models/{model_type}/promote", "PromoteRequest", required=True)
    _take(spec, "/api/b3/models/{model_type}/rollback", "RollbackRequest")


def _add_texts(spec: dict[str, Any]) -> None:
    """Summaries, descriptions, examples and questions; the paths in the order of the texts."""
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
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "model_type":
                parameter |= {
                    "schema": {"type": "string", "enum": list(accepted_names())},
                    "example": DEFAULT_MODEL_TYPE,
                }
    if left := [path for path, operations in described.items() if operations]:
        raise KeyError(f"infra/api_texts.py lacks {', '.join(left)}")


def _answer(file: str) -> Any:
    return json.loads((ANSWERS / file).read_text(encoding="utf-8"))


def _security(tags: list[str]) -> list[dict[str, list[str]]]:
    """Predictions are public, or take a token; runs and versions need a signature or a token."""
    if tags == ["predictions"]:
        return [{}, {"Jwt": []}]
    return [] if tags == ["health"] else [{"Iam": []}, {"Jwt": []}]


def _add_same_paths(spec: dict[str, Any]) -> None:
    """The reference front end's paths, each beside the one whose answers it gives."""
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
    """Defaults of a request's fields in words: generators of typed clients make fields with a ``default`` required."""
    for described in schema["properties"].values():
        if "default" in described:
            default = f"default {json.dumps(described.pop('default'))}"
            described["description"] = "; ".join(
                [*filter(None, [described.get("description")]), default]
            )


def _sorted(spec: dict[str, Any]) -> dict[str, Any]:
    """The same text on every machine: keys sorted, but paths and examples in the order of the page."""

    def by_name(value: Any, kept: bool = False) -> Any:
        if isinstance(value, dict):
            names = value if kept else sorted(value)
            return {name: by_name(value[name], name in ("paths", "examples")) for name in names}
        return [by_name(inner) for inner in value] if isinstance(value, list) else value

    found: dict[str, Any] = by_name(spec)
    return found


def _add_queries(spec: dict[str, Any]) -> None:
    """Query parameters of the control routes."""
    run_id = {"name": "run_id", "in": "query", "required": False, "schema": RUN_ID}
    namespace = {
        "name": "model_dir",
        "in": "query",
        "required": False,
        "schema": NAMESPACE | {"default": "models"},
    }
    for path, parameter in {
        "/api/b3/pipeline-status": run_id,
        "/api/b3/models": namespace,
        "/api/b3/models/{model_type}": namespace,
    }.items():
        spec["paths"][path]["get"].setdefault("parameters", []).append(parameter)


def _take(spec: dict[str, Any], path: str, schema: str, *, required: bool = False) -> None:
    content = {"application/json": {"schema": {"$ref": REFERENCE + schema}}}
    spec["paths"][path]["post"]["requestBody"] = {"required": required, "content": content}


def _request(properties: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    control = {
        "run_id": RUN_ID,
        "input_key": {
            "type": "string",
            "pattern": "^inputs/.{1,890}$",
            "description": "quotes of your own in the bucket",
        },
    }
    if wait:
        control["wait_seconds"] = {
            "type": "number",
            "minimum": 0,
            "description": "how long to wait for the result",
        }
    return {"type": "object", "additionalProperties": False, "properties": control | properties}


def _parameters(step: Step | None) -> dict[str, Any]:
    """JSON schema of the parameters that a step owns (None: all), those of the models on the top level."""
    schemas = flat_schemas()
    schemas |= {alias: schemas[name] for alias, name in ALIASES.items()}
    found = {
        n: _single_or_many(s)
        for n, s in sorted(schemas.items())
        if step is None or owner_of(n) is step
    }
    if "model_type" in found:
        found["model_type"] = {
            "type": "string",
            "enum": list(accepted_names()),
            "default": DEFAULT_MODEL_TYPE,
        }
    return found


def _single_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    """A list of candidates may be given as its only one."""
    if schema.get("type") != "array" or "minItems" not in schema:  # the forest's search
        return schema
    kept = {
        name: value for name, value in schema.items() if name in ("default", "description", "title")
    }
    return kept | {
        "anyOf": [schema["items"], {"type": "array", "items": schema["items"], "minItems": 1}]
    }


def _tidy(responses: dict[str, Any]) -> None:
    """The resolver's own validation error is never sent: ours is."""
    if "422" in responses and "HTTPValidationError" in json.dumps(responses["422"]):
        responses["422"] = {
            "description": "The request is not valid",
            "content": {"application/json": {"schema": {"$ref": REFERENCE + "Error"}}},
        }


def _used(spec: dict[str, Any]) -> dict[str, Any]:
    """The schemas that something refers to, directly or not."""
    schemas, text = spec["components"]["schemas"], json.dumps(spec["paths"])
    used: dict[str, Any] = {}
    while found := {
        n: s for n, s in schemas.items() if n not in used and f'"{REFERENCE}{n}"' in text
    }:
        used |= found
        text = json.dumps(found)
    return dict(sorted(used.items()))


def main() -> int:
    """Write the file, or with ``--check`` say whether it is what it should be."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"B3_STORAGE": folder, "POWERTOOLS_LOG_LEVEL": "CRITICAL"}
        text = json.dumps(build(), indent=1) + "\n"
    if "--check" in sys.argv:
        same = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        print(
            f"{TARGET.relative_to(ROOT)} is {'up to date' if same else 'out of date: run python -m infra.openapi'}"
        )
        return 0 if same else 1
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
