"""Every step has a module of its own and imports no other step."""

import ast

import pytest
from paths import ROOT

from b3shared.params.steps import Step

FOLDER = ROOT / "b3shared" / "pipeline" / "steps"


def test_every_step_has_its_module() -> None:
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert modules == set(map(str, Step))


@pytest.mark.parametrize("step", list(map(str, Step)))
def test_a_step_imports_no_other_step(step: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((FOLDER / f"{step}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
    assert not [name for name in imported if "pipeline.steps" in name]
