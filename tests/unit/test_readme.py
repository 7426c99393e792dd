"""What the README says can be done is done here; its two languages say the same."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, PORTUGUESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.pt-br.md"))


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, code) of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


PYTHON = [code for language, code in blocks(ENGLISH) if language == "python"]


@pytest.mark.parametrize("example", PYTHON)
def test_the_python_examples_run_as_they_stand(example: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "artifacts" / "models").is_dir()


def test_the_readme_has_python_examples_to_run() -> None:
    assert len(PYTHON) == 3


def test_both_languages_show_the_same_code() -> None:
    assert blocks(ENGLISH) == blocks(PORTUGUESE)


def test_both_languages_have_the_same_shape_and_figures() -> None:
    def shape(text: str) -> list[str]:
        return re.findall(r"^(#+ |\| ?-|!\[)", text, re.MULTILINE)

    def figures(text: str) -> list[str]:
        return re.findall(r"\d+\.\d+", re.sub(r"(\d),(\d)", r"\1.\2", text))

    assert shape(ENGLISH) == shape(PORTUGUESE)
    assert figures(ENGLISH) == figures(PORTUGUESE)
    assert len(re.findall(r"^\|", ENGLISH, re.MULTILINE)) == len(re.findall(r"^\|", PORTUGUESE, re.MULTILINE))


@pytest.mark.parametrize("text", [ENGLISH, PORTUGUESE, (ROOT / "docs" / "MODEL_CARD.md").read_text(encoding="utf-8")])
def test_links_to_files_lead_somewhere(text: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (ROOT / target).exists() or (ROOT / "docs" / target).exists(), target


def test_the_tests_that_guard_the_promises_exist() -> None:
    names = re.findall(r"`(test_\w+)`", ENGLISH)
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert names
    for name in names:
        assert f"def {name}(" in sources, name
