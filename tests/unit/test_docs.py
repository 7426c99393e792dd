"""The documents say what the code does: parameters, commands, events, files, working links."""

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import parse
from paths import ROOT

from b3shared.params.lstm import LSTMParams
from b3shared.params.run import PipelineParams
from b3shared.pipeline.requests import StepRequest
from b3shared.quotes.ingest.announcements_request import AnnouncementsRequest
from b3shared.quotes.ingest.request import IngestRequest
from infra.parameter_table import BEGIN, END, table, written

DOCUMENTS = [
    ROOT / name
    for name in ("README.md", "README.pt-br.md", "layers/README.md", "infra/local/README.md")
]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
LSTM = (ROOT / "docs" / "LSTM.md").read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """The anchors of a document: its headings, as GitHub makes addresses of them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands() -> list[str]:
    """Every call of the command line in a fenced block."""
    texts = (path.read_text(encoding="utf-8") for path in DOCUMENTS)
    blocks = (
        block
        for text in texts
        for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    )
    lines = (line for block in blocks for line in block.splitlines())
    return sorted({line.partition("#")[0].strip() for line in lines if line.startswith("b3 ")})


def test_the_table_of_the_network_s_parameters_is_that_of_the_code() -> None:
    assert written(LSTM) == LSTM, "run python -m infra.parameter_table"


def test_the_table_has_every_parameter_with_its_default() -> None:
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| (\S+) \|", LSTM.partition(BEGIN)[2].partition(END)[0], re.MULTILINE
        )
    )
    defaults = {
        "lookback": PipelineParams().lookback,
        "horizon": PipelineParams().horizon,
        "max_gap": PipelineParams().max_gap,
        "interval_level": PipelineParams().interval_level,
        **LSTMParams().model_dump(),
    }

    assert list(rows) == list(defaults)
    for name, text in rows.items():
        given = json.loads(text) if not isinstance(defaults[name], str) else text
        assert given == defaults[name], name


def test_a_table_that_was_edited_by_hand_is_detected() -> None:
    edited = re.sub(r"(?m)^\| `units` \| \d+ \|", "| `units` | 0 |", LSTM)
    assert edited != LSTM
    assert written(edited) == written(LSTM)


def test_bounds_are_shown_with_their_ends() -> None:
    allowed = dict(re.findall(r"^\| `(\w+)` \| \S+ \| (.*?) \|", table(), re.MULTILINE))
    assert allowed["learning_rate"] == "0 < x ≤ 1"
    assert allowed["dropout"] == "0 ≤ x < 1"
    assert allowed["lookback"] == "1 ≤ n ≤ 252"
    assert allowed["oversample"] == "true, false, sqrt"
    assert allowed["price_col"] == "close"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for target, anchor in re.findall(
        r"\]\((?!http)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")
    ):
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("command", commands())
def test_the_commands_are_understood(command: str) -> None:
    parse(*shlex.split(command)[1:])


def test_the_documents_name_commands() -> None:
    assert any(" ingest --folder " in command for command in commands())


def test_the_example_events_are_requests() -> None:
    readers = {
        "fetch_announcements": AnnouncementsRequest.from_event,
        "ingest_quotes": IngestRequest.from_event,
        "load_data": StepRequest.from_event,
        "train_lstm": StepRequest.from_event,
    }
    events = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
    assert events.keys() == readers.keys()
    for name, event in events.items():
        assert readers[name](event)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    """In backquotes: from the root, or from b3shared as docs/architecture.md has them."""
    named = re.findall(r"`([a-z0-9_]+/[a-zA-Z0-9_/.-]+)`", document.read_text(encoding="utf-8"))
    roots = ("tests", "docs", "infra", "functions", "layers", "b3shared")
    places = [name for name in named if name.split("/")[0] in roots]
    if document.name == "architecture.md":
        modules = [name for name in named if name.endswith(".py") and name not in places]
        places += [f"b3shared/{name}" for name in modules]

    files = [place for place in places if "." in place.rpartition("/")[2]]
    assert not [file for file in files if not (ROOT / file).exists()]
