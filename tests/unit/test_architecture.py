"""The layout of b3shared: which folder may import which, what each may load, and no circles."""

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest
from import_graph import graph, modules, outside, reachable, room, rooms
from paths import ROOT

FLOORS = (
    ("core",),
    ("params", "storage", "dataset"),
    ("registry", "quotes", "models"),
    ("runs", "features", "evaluation", "serving"),
    ("pipeline", "api"),
    ("services",),
    ("cli",),
    ("__main__", "b3shared"),
)
"""Folders of b3shared from the ground up: each may import those of lower floors only."""

FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def test_every_folder_has_a_floor() -> None:
    assert rooms() == FLOOR.keys() - {"__main__", "b3shared"}


def test_a_folder_imports_only_folders_of_lower_floors() -> None:
    upwards = [
        f"{module} imports {imported}"
        for module, imports in graph().items()
        for imported in sorted(imports)
        if room(imported) not in (room(module), "b3shared")
        and FLOOR[room(imported)] >= FLOOR[room(module)]
    ]
    assert not upwards


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def modules_of(*names: str) -> list[str]:
    return [module for module in modules() if room(module) in names]


@pytest.mark.parametrize(
    ("folders", "forbidden"),
    [
        (("core", "params", "registry", "runs", "api"), {"numpy", "pandas", "duckdb", "torch"}),
        (("dataset",), {"pandas", "duckdb", "sklearn", "torch"}),
        (("serving",), {"pandas", "duckdb", "sklearn", "torch"}),
    ],
    ids=lambda value: "-".join(sorted(value)),
)
def test_importing_a_folder_loads_no_library_that_its_layer_lacks(
    folders: tuple[str, ...], forbidden: set[str]
) -> None:
    lines = [f"import {module}" for module in modules_of(*folders)]
    code = "\n".join([*lines, "import sys", "print(*{n.split('.')[0] for n in sys.modules})"])
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(run.stdout.split()) & forbidden


def test_the_models_never_import_pandas_or_duckdb() -> None:
    """By their own files; scikit-learn imports pandas itself where it is installed."""
    for module in modules_of("dataset", "models"):
        for part in reachable(module):
            assert not outside(part) & {"pandas", "duckdb"}, f"{module} imports {part}"


def test_only_the_lstm_imports_torch() -> None:
    users = [module for module in modules() if "torch" in outside(module)]
    assert users
    assert all(module.startswith("b3shared.models.lstm.") for module in users)


def test_no_step_imports_a_step() -> None:
    steps = {module for module in modules() if module.startswith("b3shared.pipeline.steps.")}
    assert steps
    assert not {module: found for module in steps if (found := graph()[module] & steps)}


def test_the_lake_does_not_know_the_sources() -> None:
    lake = [module for module in modules() if module.startswith("b3shared.quotes.lake.")]
    assert lake
    for module in lake:
        known = [part for part in reachable(module) if part.startswith("b3shared.quotes.sources")]
        assert not known, module
