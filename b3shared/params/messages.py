"""Words pydantic's errors: what came, why it is refused, what is allowed and what for."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails


def wrong_names(errors: Iterable[ErrorDetails]) -> list[str]:
    """Name every parameter that is wrong, once."""
    return list(dict.fromkeys(map(_name, errors)))


def explain(errors: Iterable[ErrorDetails], schemas: Mapping[str, Any]) -> str:
    """Say all that is wrong with parameters, one phrase each.

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
            phrase = f"{_worded(error)} ({_about(schemas[name])})"
        phrases.setdefault(name, phrase)  # each branch of a union has an error of its own
    return "; ".join(phrases.values())


def explain_event(errors: Iterable[ErrorDetails]) -> str:
    """Say all that is wrong with an event that a function was called with."""
    return "; ".join(
        f"{'.'.join(map(str, error['loc'])) or 'event'}: {error['msg']}" for error in errors
    )


def _worded(error: ErrorDetails) -> str:
    """Say what is wrong with one value: its name, the value, and pydantic's reason."""
    return f"{_name(error)} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _name(error: ErrorDetails) -> str:
    """Name the parameter, with the position in a list, without the branches of a union."""
    first, *rest = error["loc"] or ("parameters",)
    return ".".join([str(first), *(str(part) for part in rest if isinstance(part, int))])


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{name}: unknown parameter; {hint}allowed are {', '.join(known)}"


_KINDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}
_LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "over",
    "maximum": "at most",
    "exclusiveMaximum": "under",
    "pattern": "matching",
}
"""Limits of JSON Schema in words."""


def _about(schema: Mapping[str, Any]) -> str:
    """Say what a parameter may be, and what it is for."""
    allowed = f"allowed is {_allowed(schema)}"
    described = schema.get("description")
    return f"{allowed}: {described}" if described else allowed


def _allowed(schema: Mapping[str, Any]) -> str:
    """Say what a JSON schema allows."""
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
