"""Pydantic's errors in our words: what came, why it is refused, what is allowed and what for."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError


def _name(error: Any) -> str:
    """The parameter, with the position in a list; pydantic's names for the branches of a union are left out."""
    first, *rest = error["loc"] or ("parameters",)
    return ".".join([str(first), *(str(part) for part in rest if isinstance(part, int))])


def wrong_names(error: ValidationError) -> list[str]:
    """The parameters that are wrong."""
    return list(dict.fromkeys(map(_name, error.errors())))


def explain(error: ValidationError, schemas: Mapping[str, Any]) -> str:
    """All that is wrong, one phrase a parameter: what came, why not, what is allowed.

    Args:
        error: pydantic's.
        schemas: JSON schema of every parameter that there is, by the name under which a caller
            gives it.
    """
    phrases: dict[str, str] = {}
    for e in error.errors():
        name = str(e["loc"][0]) if e["loc"] else ""
        if e["type"] == "extra_forbidden":
            phrase = _unknown(name, sorted(schemas))
        elif e["type"] == "value_error":
            phrase = str(e["ctx"]["error"])
        else:
            phrase = f"{_name(e)} = {e['input']!r}: {e['msg'][0].lower()}{e['msg'][1:]} ({_about(schemas[name])})"
        phrases.setdefault(name, phrase)  # the branches of a union say the same several times
    return "; ".join(phrases.values())


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"{name}: unknown parameter; {f'did you mean {near[0]}? ' if near else ''}allowed are {', '.join(known)}"


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
    """What a parameter may be, and what it is for."""
    allowed, described = f"allowed is {_allowed(schema)}", schema.get("description")
    return f"{allowed}: {described}" if described else allowed


def _allowed(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(sorted(map(_allowed, schema["anyOf"]), key=len))
    if schema["type"] == "array":
        return f"a list, each {_allowed(schema['items'])}"
    kind = "a date YYYY-MM-DD" if schema.get("format") == "date" else _KINDS[schema["type"]]
    return " ".join(
        [
            kind,
            " and ".join(
                f"{words} {schema[key]}" for key, words in _LIMITS.items() if key in schema
            ),
        ]
    ).strip()
