"""Any sequence of runs of steps leaves exactly the steps stale whose inputs changed."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_steps import STEPS, finish, statuses

from b3shared.core.errors import (
    StepNotReadyError,
)
from b3shared.params.random_forest import RandomForestParams
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage

CHOICES = {
    Step.LOAD_DATA: ("min_turnover", (0.0, 5e6)),
    Step.PREPROCESS_DATA: ("horizon", (1, 5)),
    Step.SPLIT_DATA: ("test_size", (0.1, 0.3)),
    Step.TRAIN_MODEL: ("n_estimators", (10, 20)),
    Step.EVALUATE_MODEL: ("decision", ("lift", "argmax")),
    Step.REFIT_MODEL: ("refit", (True, False)),
    Step.SAVE_MODEL: ("model_dir", ("models", "other")),
}
DEFAULTS = PipelineParams().model_dump() | RandomForestParams().model_dump()
OPERATION = st.tuples(
    st.sampled_from(STEPS),
    st.sampled_from([None, None, 0, 1]),
    st.sampled_from([b"one", b"one", b"two"]),
)


class Oracle:
    """Predicts the state of a run: a step's output is the nested tuple of all of its inputs.

    A step is stale if the step before has another output now.
    """

    def __init__(self):
        self.values = {STEPS.index(step): DEFAULTS[name] for step, (name, _) in CHOICES.items()}
        self.did = {}
        self.used = {}

    def fresh(self, number):
        if number < 0:
            return True
        return (
            number in self.did
            and self.used[number] == self.did.get(number - 1)
            and self.fresh(number - 1)
        )

    def asked(self, number, value):
        return (number, value, self.did.get(number - 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(STEPS)), st.lists(OPERATION, min_size=4, max_size=16))
def test_exactly_the_steps_whose_inputs_changed_are_stale(finished, operations):
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(FolderStorage(folder), "r", PipelineParams())
        oracle = Oracle()
        for step, choice, content in [(s, None, b"one") for s in STEPS[:finished]] + operations:
            number = STEPS.index(step)
            name, values = CHOICES.get(step, ("", ()))
            overrides = {name: values[choice]} if name and choice is not None else {}
            value = overrides.get(name, oracle.values.get(number))
            if not oracle.fresh(number - 1):
                with pytest.raises(StepNotReadyError):
                    run.plan(step, overrides)
                continue

            plan = run.plan(step, overrides)
            asked = oracle.asked(number, value)
            assert (plan.record is not None) == (
                number in oracle.did and oracle.did[number][0] == asked
            )
            if plan.record is None:
                finish(run, plan, Path(folder), content)
                oracle.values[number] = value
                oracle.did[number] = (asked, content)
                oracle.used[number] = oracle.did.get(number - 1)

            expected = {
                s: "missing" if n not in oracle.did else "done" if oracle.fresh(n) else "stale"
                for n, s in enumerate(STEPS)
            }
            assert statuses(run) == expected
