"""The tests themselves: one collection on every worker and run, and no wait for a fixed time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

TESTS = ROOT / "tests"
FUNCTIONS = TESTS / "data" / "local_stack" / "functions"
"""Lambda functions that behave as a test asks, slowly too; no tests."""

PYTEST = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "collection_clock"]
CLOCK = """
import time
import pytest

@pytest.mark.parametrize("moment", [int(time.time()) // 1_000_000])
def test_moment(moment):
    pass
"""


def test_tests_that_depend_on_the_clock_stop_a_run_of_several_processes(tmp_path: Path) -> None:
    (tmp_path / "test_clock.py").write_text(CLOCK, encoding="utf-8")

    run = subprocess.run(
        [*PYTEST, "--numprocesses", "2", "test_clock.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(TESTS / "support"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "Different tests were collected between gw0 and gw1" in run.stdout


def test_every_test_has_an_id_of_its_own(request: pytest.FixtureRequest) -> None:
    """Of tests with the same id pytest-xdist does the first only, and says nothing."""
    ids = [item.nodeid for item in request.session.items]
    assert len(set(ids)) == len(ids)


def test_no_test_waits_for_a_fixed_time() -> None:
    sources = [path for path in TESTS.rglob("*.py") if FUNCTIONS not in path.parents]
    sleeping = [
        path.name
        for path in sources
        if re.search(r"\bsleep\(|\bTimer\(", path.read_text(encoding="utf-8"))
    ]
    assert sleeping == ["waiting.py"]
