"""Requests of the state machine to a step's function, and its answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError, StepNotReadyError, UnknownRunError
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.requests import StepRequest, perform
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage
from tests.conftest import SMALL


def test_the_state_machines_event_is_a_request():
    request = StepRequest.from_event(
        {"run_id": "r1", "overrides": {"horizon": 3}, "input_key": None}
    )
    assert (request.run_id, request.overrides, request.input_key) == ("r1", {"horizon": 3}, None)
    assert StepRequest.from_event({"run_id": "r1"}).overrides == {}


@pytest.mark.parametrize(
    ("event", "word"),
    [
        ({}, "run_id"),
        ({"run_id": "../r1"}, "run_id"),
        ({"run_id": "r" * 49}, "run_id"),
        ({"run_id": "r1", "overrides": [1]}, "overrides"),
        ({"run_id": "r1", "overrides": None}, "overrides"),
        ({"run_id": "r1", "input_key": 5}, "input_key"),
        ({"run_id": "r1", "input_key": "k" * 901}, "input_key"),
        ({"run_id": "r1", "rows": [[1, 2]]}, "rows"),
        ({"run_id": "r1", "step": "fly"}, "step"),
        (None, "event"),
        ([{"run_id": "r1"}], "event"),
    ],
)
def test_an_event_that_is_no_request_is_refused_by_name(event, word):
    with pytest.raises(InvalidParameterError, match=word):
        StepRequest.from_event(event)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_every_invalid_event_raises_the_same_error(event):
    try:
        StepRequest.from_event(event)
    except InvalidParameterError:
        return
    assert event.keys() <= {"run_id", "step", "overrides", "input_key"}


def test_a_steps_answer_is_short_and_says_whether_it_was_done_before(tmp_path):
    settings = Settings(storage=str(tmp_path))
    Run.create(FolderStorage(tmp_path), "r1", PipelineParams.from_values(SMALL))
    request = StepRequest(run_id="r1", overrides={"period": "2y"})
    first, again = (perform(Step.LOAD_DATA, request, settings) for _ in range(2))

    assert first.pop("shards") == again.pop("shards") == [0]
    assert first == {
        "run_id": "r1",
        "step": "load_data",
        "status": "done",
        "seconds": first["seconds"],
        "before": False,
    }
    assert again == first | {"before": True}
    assert len(json.dumps(first)) < 200


def test_a_run_or_a_step_that_is_not_there_is_an_error(tmp_path):
    settings = Settings(storage=str(tmp_path))
    with pytest.raises(UnknownRunError):
        perform(Step.LOAD_DATA, StepRequest(run_id="r1"), settings)
    Run.create(FolderStorage(tmp_path), "r1", PipelineParams())
    with pytest.raises(StepNotReadyError):
        perform(Step.SPLIT_DATA, StepRequest(run_id="r1"), settings)
