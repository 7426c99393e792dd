"""The tests themselves: one collection on every worker and run, and no wait for a fixed time."""

import json
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

COLLECT = """
import sys, time

real, real_ns = time.time, time.time_ns
time.time = lambda: real() + 10_000_000
time.time_ns = lambda: real_ns() + 10_000_000 * 10**9

import json, pytest

class Names:
    def pytest_collection_finish(self, session):
        names = [(str(item.path), item.name) for item in session.items]
        with open(sys.argv[1], "w") as file:
            json.dump(names, file)

sys.exit(pytest.main(["--collect-only", "-qq", *sys.argv[2:]], plugins=[Names()]))
"""
"""Another process's collection, in another season."""


def test_every_process_collects_the_same_tests(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    here = [(str(item.path), item.name) for item in request.session.items]
    files = {path for path, _ in here}
    if not files >= {str(path) for path in (TESTS / "unit").rglob("test_*.py")}:
        pytest.skip("this run collected a part of the tests: all of tests/unit are compared")
    out = tmp_path / "names.json"
    run = subprocess.run(
        [sys.executable, "-c", COLLECT, str(out), *sorted(files)],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr

    there = [(path, name) for path, name in json.loads(out.read_text(encoding="utf-8"))]
    assert set(here) ^ set(there) == set()
    assert len(here) == len(there)


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
