"""Finishes steps of a run with small artifacts, and shows where the steps stand."""

import time

import pytest

from b3shared.params.steps import Step

STEPS = list(Step)


@pytest.fixture
def do(run, tmp_path):
    """Plan a step and, unless it is done, finish it with one artifact; return its record."""

    def do(step, content=b"x", **overrides):
        plan = run.plan(step, overrides)
        return plan.record or finish(run, plan, tmp_path, content)

    return do


def finish(run, plan, folder, content=b"x", name="artifact.bin"):
    file = folder / name
    file.write_bytes(content)
    return run.finish(plan, [file], {"rows": 1}, time.time())


def statuses(run):
    return {step: state.status for step, state in run.state().items()}


def up_to(step):
    return STEPS[: STEPS.index(step) + 1]
