"""Words pydantic's errors: what came, why it is refused, what is allowed and what for."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails


def wrong_names(errors: Iterable[ErrorDetails]) -> list[str]:
    """Name every parameter that is wrong, once."""
    return list(dict.fromkeys(map(_name, errors)))


def explain(errors: Iterable[ErrorDetails], schemas: Mapping[str, Any]) -> str:
    """Say all that is wrong with parameters, such as "horizon must be an integer >= 1, got 0".

    Args:
        errors: pydantic's.
        schemas: JSON schema of every parameter that there is, by the name under which a caller
            gives it.
    """
    phrases: dict[str, str] = {}
    for error in errors:
        name = str(error["loc"][0]) if error["loc"] else ""
        if error["type"] == "value_error":
            phrase = str(error["ctx"]["error"])
        elif name not in schemas:
            phrase = _unknown(name, sorted(schemas))
        else:
            phrase = _refused(error, schemas[name])
        phrases.setdefault(name, phrase)  # each branch of a union has an error of its own
    return "; ".join(phrases.values())


def explain_event(errors: Iterable[ErrorDetails]) -> str:
    """Say all that is wrong with an event that a function was called with."""
    return "; ".join(
        f"{'.'.join(map(str, error['loc'])) or 'event'}: {error['msg']}" for error in errors
    )


def _refused(error: ErrorDetails, schema: Mapping[str, Any]) -> str:
    """Say what a parameter must be, what came instead, and what the parameter is for."""
    name, *rest = error["loc"]
    places = [f" at position {part}" for part in rest if isinstance(part, int)]
    described = f" ({schema['description']})" if "description" in schema else ""
    return f"{name} must be {_allowed(schema)}, got {error['input']!r}{''.join(places)}{described}"


def _name(error: ErrorDetails) -> str:
    """Name the parameter, without the branches of a union."""
    return str(error["loc"][0]) if error["loc"] else "parameters"


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{name}: unknown parameter; {hint}allowed are {', '.join(known)}"


_KINDS = {
    "integer": "an integer",
    "number": "a finite number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}
_LIMITS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
    "pattern": "matching",
}
"""JSON Schema's types and limits -> words."""


def _allowed(schema: Mapping[str, Any]) -> str:
    """Say what a JSON schema allows, such as "an integer >= 1 and <= 60"."""
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(sorted(map(_allowed, schema["anyOf"]), key=len))
    if schema["type"] == "array":
        return f"a list, each {_allowed(schema['items'])}"

    kind = "a date YYYY-MM-DD" if schema.get("format") == "date" else _KINDS[schema["type"]]
    limits = [f"{words} {schema[key]}" for key, words in _LIMITS.items() if key in schema]
    return f"{kind} {' and '.join(limits)}".strip()
