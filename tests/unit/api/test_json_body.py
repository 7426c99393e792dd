"""A body is JSON that can be stored and answered again, or it is refused with the reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.api.json_body import MAX_DEPTH, json_of
from b3shared.core.errors import InvalidParameterError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_any_json_is_read(value: Any) -> None:
    assert json_of(json.dumps(value)) == value


@given(st.text(alphabet='[]{}:,"\\eE0123456789.-+truefalsnNIy ud8') | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = json_of(text)
    except InvalidParameterError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name enclosed in double quotes at character 2"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": Infinity}', "Infinity is not a JSON number"),
        ("1e999", "Out of range float values are not JSON compliant"),
        ("9" * 4301, "Exceeds the limit (4300 digits)"),
        ('{"\\ud800": 1}', "a text holds half a character, a lone surrogate"),
        ("[" * 100_000, "nested deeper than 32 levels"),
        ("[" * 33 + "1" + "]" * 33, "nested deeper than 32 levels"),
    ],
    ids=["cut", "NaN", "Infinity", "1e999", "digits", "surrogate", "deep and cut", "deep"],
)
def test_a_body_that_is_not_json_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        json_of(text)
    assert caught.value.message.startswith(f"body: not JSON ({reason}")


def test_json_nested_up_to_the_limit_is_read() -> None:
    assert json_of("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert json_of("9" * 4300) == int("9" * 4300)
