"""The key of a model in the release."""

import pytest

from b3shared.core.errors import InvalidParameterError
from b3shared.params.models import model_spec
from b3shared.registry.key import ModelKey


def test_a_key_reads_back_what_it_wrote() -> None:
    key = ModelKey("team-b", "lstm")
    assert str(key) == "team-b/lstm"
    assert ModelKey.parse(str(key)) == key


@pytest.mark.parametrize(
    ("name", "model_type"), [("rf", "rf"), ("Random_Forest", "rf"), ("lstm_mtl", "lstm")]
)
def test_any_accepted_name_of_a_type_gives_the_same_key(name: str, model_type: str) -> None:
    assert ModelKey.checked("models", name) == ModelKey("models", model_type)
    assert model_spec(name).name == model_type


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidParameterError, match=r"must be one of rf, .*, got 'svm'"):
        ModelKey.checked("models", "svm")


def test_a_stored_key_of_a_type_that_this_code_does_not_know_is_read() -> None:
    assert ModelKey.parse("models/transformer").model_type == "transformer"


@pytest.mark.parametrize("text", ["models", "models/rf/1", ""])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        ModelKey.parse(text)
