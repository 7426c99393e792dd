"""Names of executions are read back, and names that were given by hand are accepted."""

import pytest

from b3shared.params.steps import Step
from b3shared.runs.state_machine import ALL, Execution, execution_name


@pytest.mark.parametrize("stop_after", [None, *Step])
def test_a_name_tells_the_run_and_the_last_step(stop_after: Step | None) -> None:
    execution = Execution("arn", execution_name("my-run", stop_after, 12), "RUNNING")
    assert execution.name == f"my-run.{stop_after or 'all'}.12"
    assert (execution.run_id, execution.stop_after) == ("my-run", stop_after or ALL)


@pytest.mark.parametrize("name", ["5b0ad9a2-0d2e-4b6a-9d3c-0f6a4f2c7e11", "by.hand", "", "a.b.c.d"])
def test_an_execution_that_was_started_by_hand_does_all_steps(name: str) -> None:
    assert Execution("arn", name, "RUNNING").stop_after == ALL
