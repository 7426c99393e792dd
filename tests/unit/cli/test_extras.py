"""Optional dependencies that a command needs are named before it starts to work."""

import tomllib
from importlib.metadata import packages_distributions

import pytest
from command_line import b3
from packaging.requirements import Requirement
from paths import ROOT

from b3shared.cli import extras
from b3shared.cli.errors import describe
from b3shared.cli.extras import INCLUDED, MODULES, PACKAGE, MissingPackageError, require
from b3shared.params.models import model_specs

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared(extra: str) -> list[Requirement]:
    return [Requirement(line) for line in PROJECT["optional-dependencies"][extra]]


def closure(extra: str) -> set[str]:
    """Extras that come with an extra, by pyproject.toml."""
    inner = {name for found in declared(extra) if found.name == PACKAGE for name in found.extras}
    return inner | {name for each in inner for name in closure(each)}


def test_the_packages_name_is_that_of_pyproject() -> None:
    assert PROJECT["name"] == PACKAGE


@pytest.mark.parametrize("extra", MODULES)
def test_every_module_is_of_a_package_that_its_extra_declares(extra: str) -> None:
    distributions = packages_distributions()
    names = {name.lower() for module in MODULES[extra] for name in distributions[module]}
    assert names <= {found.name for found in declared(extra)}
    assert set(INCLUDED[extra]) == closure(extra)


def test_every_model_names_an_extra() -> None:
    assert {spec.extra for spec in model_specs()} <= MODULES.keys()


@pytest.mark.parametrize("extra", MODULES)
def test_installed_extras_are_accepted(extra: str) -> None:
    require(extra)


@pytest.mark.parametrize(
    ("missing", "extra"),
    [("sklearn", "train"), ("matplotlib", "train"), ("torch", "lstm"), ("sklearn", "lstm")],
)
def test_a_missing_package_is_named_with_the_extra_to_install(
    missing: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(MissingPackageError) as caught:
        require(extra)
    message = f"{missing} is not installed: pip install 'b3-asset-predict[{extra}]'"
    assert caught.value.message == message


def test_a_run_of_the_network_asks_for_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "torch" else object())
    refused = b3("run", "--model-type", "lstm")
    line = "MISSING_PACKAGE: torch is not installed: pip install 'b3-asset-predict[lstm]'\n"
    assert (refused.returncode, refused.stderr) == (2, line)


def test_a_module_found_missing_later_is_named_too() -> None:
    late = ModuleNotFoundError("No module named 'skl2onnx.common'", name="skl2onnx.common")
    line = "MISSING_PACKAGE: skl2onnx is not installed: pip install 'b3-asset-predict[train]'"
    assert describe(late, ()) == line


def test_a_missing_module_of_no_extra_is_a_fault_of_the_program() -> None:
    assert describe(ModuleNotFoundError("No module named 'x'", name="x"), ()) is None
