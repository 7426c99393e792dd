"""The functions as ``make build`` makes them, and an interpreter to run them in."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from isolation import ROOT, Isolated

from infra.packaging.built import Packaged, packaged
from infra.packaging.layer import RUNTIME, runs_runtime


@pytest.fixture(scope="session")
def built() -> dict[str, Packaged]:
    """The functions of template.yaml as `make build` makes them; built now if they are outdated."""
    done = subprocess.run(
        ["make", "--no-print-directory", "build"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return {function.name: function for function in packaged()}


@pytest.fixture(scope="session")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Isolated:
    """An interpreter of the runtime's version; skipped where the layers' wheels cannot load."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the layers' wheels are for Linux on x86_64")
    known = [
        sys.executable,
        shutil.which(f"python{RUNTIME}"),
        *map(str, Path.home().glob(f".pyenv/versions/{RUNTIME}*/bin/python")),
    ]
    python = next(filter(runs_runtime, filter(None, known)), None)
    if python is None:
        pytest.skip(f"the layers' wheels are for Python {RUNTIME}; there is none here")

    bytecode = tmp_path_factory.mktemp("bytecode")
    bytecode.chmod(0o777)  # the sandbox's user is nobody
    return Isolated(python, tmp_path_factory.mktemp("isolated"), bytecode)
