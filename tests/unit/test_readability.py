"""Files of the package are short, and every long body has a blank line between its thoughts."""

import ast

from paths import ROOT

LONGEST_FILE = 300
LONGEST_DENSE_BODY = 11
FOLDERS = ("b3shared", "functions", "infra", "tests")

DENSE = "def add():\n" + "    x = 1\n" * (LONGEST_DENSE_BODY + 1)
AIRY = DENSE + "\n    return x\n"


def dense_bodies(source: str) -> list[str]:
    """Names of the functions whose body is long and has no blank line, docstrings aside.

    A single statement, such as a list that is returned, is one thought.
    """
    rows = source.splitlines()
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue

        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        lines = rows[body[0].lineno - 1 : node.end_lineno] if len(body) > 1 else []
        if len(lines) > LONGEST_DENSE_BODY and all(line.strip() for line in lines):
            found.append(node.name)
    return found


def test_no_file_of_the_package_is_longer_than_300_lines() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "b3shared").rglob("*.py")
    }
    assert lengths
    assert not {path: length for path, length in lengths.items() if length > LONGEST_FILE}


def test_every_body_of_12_lines_or_more_has_a_blank_line() -> None:
    dense = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in dense_bodies(path.read_text(encoding="utf-8"))
    ]
    assert not dense


def test_a_long_body_without_a_blank_line_is_detected() -> None:
    assert dense_bodies(DENSE) == ["add"]
    assert dense_bodies(AIRY) == []
    assert dense_bodies('def add():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * 12) == [
        "add"
    ]
