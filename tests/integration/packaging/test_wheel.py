"""The wheel: built, installed into a fresh environment with its core only, and used from there."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from paths import DATA, ROOT

from b3shared.models.scorer import METADATA_FILE, ONNX_FILE
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.storage import FolderStorage

STORE = DATA / "earlier_store" / "store.tar.xz"
SOURCES = ("b3shared", "pyproject.toml", "README.md", "LICENSE")
UV = (sys.executable, "-m", "uv")


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel.

    Attributes:
        wheel: its file.
        environment: folder of the environment.
        work: an empty folder outside the repository, to run in.
    """

    wheel: Path
    environment: Path
    work: Path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with none of the repository on its path."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("B3_")}
        kept.pop("PYTHONPATH", None)
        return subprocess.run(
            [str(self.environment / "bin" / program), *words],
            cwd=self.work,
            env=kept,
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build(folder)
    environment = folder / "environment"
    succeed(*UV, "venv", "--quiet", "--python", sys.executable, str(environment))
    install(wheel, environment / "bin" / "python", folder)

    work = folder / "work"
    work.mkdir()
    fill_store(work / "store", folder / "earlier")
    return Installed(wheel, environment, work)


def fill_store(path: Path, earlier: Path) -> None:
    """Register and promote the models that are live in the kept store, which has no pictures."""
    with tarfile.open(STORE) as archive:
        archive.extractall(earlier, filter="data")
    kept, storage = FolderStorage(earlier), FolderStorage(path)
    known = Registry(kept, "models")
    for kind in ("rf", "lstm"):
        live = Release(kept).live("models", kind)
        files = known.fetch(kind, live, earlier / kind, [ONNX_FILE, METADATA_FILE])
        paths = [files / ONNX_FILE, files / METADATA_FILE]
        version = Registry(storage, "models").register(kind, paths, known.manifest(kind, live))
        promote(storage, "models", kind, version, who="test", why="for the wheel")


def succeed(*command: str) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the sources, without asking an index for setuptools."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, source / name)
    options = ("--wheel", "--no-build-isolation", "--python", sys.executable)
    succeed(*UV, "build", *options, "--out-dir", str(folder / "dist"), str(source))
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def install(wheel: Path, python: Path, folder: Path) -> None:
    """Install a wheel and its dependencies as locked, from the cache or else from the index."""
    constraints = folder / "constraints.txt"
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.rstrip(" \\") for line in lines if "==" in line and not line.startswith(" ")]
    constraints.write_text("\n".join(pinned), encoding="utf-8")

    command = [*UV, "pip", "install", "--quiet", "--python", str(python)]
    command += ["--constraint", str(constraints), str(wheel)]
    if subprocess.run([*command, "--offline"], cwd="/", capture_output=True).returncode:
        succeed(*command)


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(installed: Installed) -> None:
    names = {
        name for name in zipfile.ZipFile(installed.wheel).namelist() if ".dist-info/" not in name
    }
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "b3shared").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == files
    assert {"b3shared/py.typed", "b3shared/evaluation/report/template.html.j2"} <= names


def test_the_command_predicts_from_outside_the_repository(installed: Installed) -> None:
    quotes = str(ROOT / "data" / "quotes.parquet")
    places = ("--storage", "store", "--quotes", quotes)
    predicted = installed.run("b3", "predict", "PETR4", "VALE3", *places)
    assert predicted.returncode == 0, predicted.stderr
    lines = predicted.stdout.splitlines()
    assert lines[0] == f"quotes {quotes}"
    assert [line.split()[0] for line in lines[1:4]] == ["ticker", "PETR4", "VALE3"]

    listed = installed.run("b3", "models", *places)
    assert listed.stdout.startswith("* ")


def test_the_python_api_predicts_with_the_core_alone(installed: Installed) -> None:
    code = """
import importlib.util, sys
import b3shared
from b3shared import B3Model
from b3shared.services import B3DataLoadingService
assert importlib.util.find_spec("sklearn") is None
quotes = B3DataLoadingService(sys.argv[1]).load_data()
for kind in ("rf", "lstm"):
    answer = B3Model(storage="store").predict(quotes, model_type=kind, tickers=["PETR4"])
    print(kind, answer["action"].iloc[0])
print(b3shared.__file__)
"""
    quotes = str(ROOT / "data" / "quotes.parquet")
    done = installed.run("python", "-W", "ignore", "-c", code, quotes)
    assert done.returncode == 0, done.stderr

    *answers, file = done.stdout.splitlines()
    assert [answer.split()[0] for answer in answers] == ["rf", "lstm"]
    assert Path(file).is_relative_to(installed.environment)


def test_a_run_without_the_extra_names_it(installed: Installed) -> None:
    refused = installed.run("b3", "run", "--storage", "new")
    assert refused.returncode == 2
    assert refused.stderr.startswith("MISSING_PACKAGE: ")
    assert refused.stderr.endswith(" are not installed: pip install 'b3-asset-predict[train]'\n")
    assert not (installed.work / "new").exists()


def test_absent_default_quotes_are_an_error_that_says_what_to_give(installed: Installed) -> None:
    refused = installed.run("b3", "lake", "--storage", "new")
    assert refused.returncode == 2
    assert refused.stderr.startswith("SOURCE_UNAVAILABLE: an installed package has no quotes")
    assert "--quotes" in refused.stderr
    assert "B3_QUOTES" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_help_is_complete_with_the_core_alone(installed: Installed) -> None:
    shown = installed.run("b3", "run", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--horizon INTEGER" in shown.stdout
