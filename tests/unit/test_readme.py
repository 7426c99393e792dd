"""What the README says can be done is done here; its two languages say the same."""

import re
import sys
from datetime import date
from pathlib import Path

import pytest
from paths import ROOT
from recorder import Recorded, recorded
from small_run import SMALL

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery

ENGLISH, PORTUGUESE = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.pt-br.md")
)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, code) of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


PYTHON = [code for language, code in blocks(ENGLISH) if language == "python"]


EXAMPLES = ("forest", "lstm", "stage by stage")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recorded]:
    """Each example of Python, run as it stands on some of the quotes."""
    folder = tmp_path_factory.mktemp("examples")
    query = QuoteQuery(start=date(2021, 1, 1), tickers=tuple(SMALL["tickers"]))
    quotes = ParquetSource(BUNDLED_QUOTES).read(query)
    told = {
        "B3_QUOTES": str(write_parquet(quotes, folder / "quotes.parquet")),
        "PYTHONPATH": str(ROOT),
    }
    return {
        name: recorded([sys.executable, "-c", code], folder / name, **told)
        for name, code in zip(EXAMPLES, PYTHON, strict=True)
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_python_examples_run_as_they_stand(example: str, ran: dict[str, Recorded]) -> None:
    found = ran[example]
    assert found.run.returncode == 0, found.run.stderr
    assert (found.folder / "artifacts" / "models").is_dir()


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_is_written_outside_the_products_folder_and_no_name_is_looked_up(
    example: str, ran: dict[str, Recorded]
) -> None:
    found = ran[example]
    assert [path.name for path in found.folder.iterdir()] == ["artifacts"]
    assert found.outside == []
    if found.names is None:
        pytest.skip(
            "files were checked; looking up names can be recorded on Linux with a C compiler only"
        )
    assert found.written == set()
    assert found.names == set()


def test_what_a_program_writes_and_looks_up_is_recorded(tmp_path: Path) -> None:
    """By Python and by a library in C: else the tests above could not fail."""
    code = """
import contextlib, os, pathlib, socket, sqlite3, sys
pathlib.Path.home().joinpath("note").write_text("x")
sqlite3.connect(sys.argv[1]).execute("CREATE TABLE t (x)")
with contextlib.suppress(OSError):
    socket.getaddrinfo("telemetry.invalid", 443)
with contextlib.suppress(OSError):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 443))
"""
    elsewhere = str(tmp_path / "elsewhere.db")
    found = recorded([sys.executable, "-c", code, elsewhere], tmp_path / "run")

    assert found.run.returncode == 0, found.run.stderr
    assert found.outside == ["home/note"]
    if found.names is None:
        pytest.skip("looking up names can be recorded on Linux with a C compiler only")

    assert found.names == {"telemetry.invalid", "192.0.2.1"}
    assert found.written is not None
    assert elsewhere in found.written


def test_the_readme_has_python_examples_to_run() -> None:
    assert len(PYTHON) == len(EXAMPLES)


def test_both_languages_show_the_same_code() -> None:
    assert blocks(ENGLISH) == blocks(PORTUGUESE)


def test_both_languages_have_the_same_shape_and_figures() -> None:
    def shape(text: str) -> list[str]:
        return re.findall(r"^(#+ |\| ?-|!\[)", text, re.MULTILINE)

    def figures(text: str) -> list[str]:
        return re.findall(r"\d+\.\d+", re.sub(r"(\d),(\d)", r"\1.\2", text))

    assert shape(ENGLISH) == shape(PORTUGUESE)
    assert figures(ENGLISH) == figures(PORTUGUESE)
    assert len(re.findall(r"^\|", ENGLISH, re.MULTILINE)) == len(
        re.findall(r"^\|", PORTUGUESE, re.MULTILINE)
    )


@pytest.mark.parametrize("name", ["README.md", "README.pt-br.md", "docs/MODEL_CARD.md"])
def test_links_to_files_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (ROOT / target).exists() or (ROOT / "docs" / target).exists(), target


def test_the_tests_that_guard_the_promises_exist() -> None:
    names = re.findall(r"`(test_\w+)`", ENGLISH)
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")
    )
    assert names
    for name in names:
        assert f"def {name}(" in sources, name
