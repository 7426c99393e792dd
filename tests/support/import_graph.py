"""Reads from the source files which modules of b3shared import which.

Imports inside functions count too; those for type checking are kept apart.
"""

import ast
from functools import cache
from pathlib import Path

from paths import ROOT

PACKAGE = ROOT / "b3shared"


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file of every module."""
    files = sorted(PACKAGE.rglob("*.py"))
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return dict(zip((name.removesuffix(".__init__") for name in names), files, strict=True))


@cache
def imports_of(module: str) -> frozenset[str]:
    """Dotted names that a module imports, of b3shared and of libraries."""
    found: set[str] = set()
    for node in _statements(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                found.add(member if member in modules() else node.module)
    return frozenset(found - {module})


def _statements(node: ast.AST) -> list[ast.AST]:
    """All nodes below one, without the blocks that only a type checker sees."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        found += [child, *_statements(child)]
    return found


@cache
def graph() -> dict[str, frozenset[str]]:
    """Module -> the modules of b3shared that it imports."""
    return {name: imports_of(name) & modules().keys() for name in modules()}


def reachable(module: str) -> set[str]:
    """The modules of b3shared that are loaded with one, itself included."""
    found = {module}
    waiting = [module]
    while waiting:
        new = graph()[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def room(module: str) -> str:
    """The folder of b3shared that a module lies in; the package itself for what lies at its top."""
    return module.split(".")[1] if module.count(".") else module


def rooms() -> set[str]:
    """Every folder of b3shared with Python in it."""
    return {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/**/*.py")}


def outside(module: str) -> set[str]:
    """Top-level names of the libraries that a module itself imports."""
    names = {name.split(".")[0] for name in imports_of(module)}
    return names - {"b3shared"}
