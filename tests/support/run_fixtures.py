"""Fixtures: a run in a storage, and the work that a state machine would have done."""

import pytest
from records import finish

from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage


@pytest.fixture
def storage(tmp_path):
    return FolderStorage(tmp_path / "storage")


@pytest.fixture
def run(storage):
    return Run.create(storage, "r1", PipelineParams())


@pytest.fixture
def finish_until(tmp_path):
    """Do the steps of a run up to and with one."""

    def do(run, last):
        for step in list(Step)[: list(Step).index(last) + 1]:
            finish(run, step, tmp_path)

    return do


def work_in(storage, folder):
    """Return a machine's work: it writes the records of the steps that an input asks for."""

    def work(given):
        run = Run.open(storage, given["run_id"])
        for step in Step:
            wanted = given["steps"][str(step)]
            try:
                finish(run, step, folder, wanted["overrides"], wanted["input_key"])
            except Exception as error:
                run.fail(step, error)
                return "FAILED"
            if given["stop_after"] == str(step):
                break
        return "SUCCEEDED"

    return work


@pytest.fixture
def worker(storage, tmp_path):
    """The work of a state machine, done in the test's storage."""
    return work_in(storage, tmp_path)
