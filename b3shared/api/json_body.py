"""Parses a request's body as JSON, and refuses what cannot be written as JSON again."""

import json
from typing import Any, NoReturn

from b3shared.core.errors import InvalidParameterError

MAX_DEPTH = 32
"""Deepest nesting of lists and objects; a request needs four levels."""


def json_of(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        InvalidParameterError: Not JSON, nested too deep, a number that is not finite or too long
            (NaN, Infinity, 1e999, 5,000 digits), or a lone surrogate.
    """
    try:
        value = json.loads(text, parse_constant=_not_a_number)
        if _is_deeper(value, MAX_DEPTH):
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"body: not JSON ({_reason(error)})") from error
    return value


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object of a request's body.

    Raises:
        InvalidParameterError: Not JSON, see :func:`json_of`, or not an object.
    """
    value = json_of(text)
    if not isinstance(value, dict):
        raise InvalidParameterError(f"body: must be a JSON object, got {type(value).__name__}")
    return value


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _is_deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _is_deeper(inner, levels - 1) for inner in inside)


def _reason(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} at character {error.pos + 1}"
        case RecursionError():
            return f"nested deeper than {MAX_DEPTH} levels"
        case UnicodeEncodeError():
            return "a text holds half a character, a lone surrogate"
        case _:
            return str(error)
