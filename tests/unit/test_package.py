"""The package's declared dependencies are those that the lock files under requirements/ hold."""

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = PROJECT["name"]
FILES = {
    "core": ("common", "data", "serving", "cli"),
    "train": ("ml",),
    "lstm": ("lstm", "torch"),
    "report": ("report",),
    "motherduck": ("data",),
    "local": ("local", "common"),
    "dev": ("dev",),
}
"""The core and every extra -> the files of requirements/ that lock its dependencies."""

DECLARED = {"core": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
LAYERS = ("common", "data", "ml", "report", "serving", "lstm", "torch")
"""What functions get; the last two are in the trainer's image."""


def requirements_of(group: str) -> list[Requirement]:
    """A group's own requirements: not those that it takes over from another extra."""
    own = map(Requirement, DECLARED[group])
    return [requirement for requirement in own if requirement.name != NAME]


def locked(file: str) -> dict[str, str]:
    """Package -> version of a lock file."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def asked_for(file: str) -> set[str]:
    """Packages that an .in file names itself."""
    lines = (ROOT / "requirements" / f"{file}.in").read_text(encoding="utf-8").splitlines()
    named = (line for line in lines if line and not line.startswith(("#", "-r ")))
    return {canonicalize_name(Requirement(line).name) for line in named}


def test_every_group_has_its_lock_files() -> None:
    assert FILES.keys() == DECLARED.keys()


@pytest.mark.parametrize("group", DECLARED)
def test_every_dependency_is_locked_within_its_bounds(group: str) -> None:
    versions = {name: v for file in FILES[group] for name, v in locked(file).items()}
    for requirement in requirements_of(group):
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}, locked is {version}"


def test_every_package_that_is_locked_on_purpose_is_declared() -> None:
    files = {path.stem for path in (ROOT / "requirements").glob("*.in")} - {"sam"}
    assert files == {file for files in FILES.values() for file in files}
    for file in sorted(files):
        # every extra comes on top of the core
        groups = ["core", *(group for group, names in FILES.items() if file in names)]
        declared = {
            canonicalize_name(requirement.name)
            for group in groups
            for requirement in requirements_of(group)
        }
        assert asked_for(file) <= declared, file


def test_the_extension_of_motherduck_has_duckdbs_version() -> None:
    versions = {str(requirement.specifier) for requirement in requirements_of("motherduck")}
    assert versions == {f"=={locked('data')['duckdb']}"}


@pytest.mark.parametrize("file", LAYERS)
def test_no_layer_has_the_library_of_the_command_line(file: str) -> None:
    (library,) = asked_for("cli")
    assert library not in locked(file)
    assert library in locked("dev")


def test_the_handlers_import_without_the_library_of_the_command_line() -> None:
    code = """
import importlib.util, pathlib, sys
(library,) = sys.argv[1:]
sys.modules[library] = None  # as where it is not installed
for path in sorted(pathlib.Path("functions").glob("*/app.py")):
    sys.path.insert(1, str(path.parent))  # for modules beside the handler
    spec = importlib.util.spec_from_file_location(path.parent.name, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    print(path.parent.name)
"""
    (library,) = asked_for("cli")
    environment = {"AWS_DEFAULT_REGION": "sa-east-1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code, library],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(list((ROOT / "functions").glob("*/app.py")))
