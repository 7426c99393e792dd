"""Every file has a record of its changes or of its fault."""

import json
from pathlib import Path

import pytest
from cotahist_text import Quote, daily
from ingested import MONDAY, change, record

from b3shared.core.errors import (
    B3Error,
)
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.storage import Storage


def test_every_file_has_a_record_of_its_changes(storage: Storage, files: Path) -> None:
    path = daily(
        files, MONDAY, [Quote(MONDAY), Quote(MONDAY), Quote(MONDAY, "PETRT9", market="070")]
    )
    done = Ingest(storage).file(path)
    found = record(storage, done.sha256)
    assert (found["status"], found["name"], found["source"]) == ("done", path.name, str(path))
    assert (found["changed"], found["sequence"], found["partial"]) == (True, 1, False)
    assert found["years"] == [change(days=1, added=1)]

    report = found["report"]
    assert isinstance(report, dict)
    assert (report["cash_records"], report["duplicates"], report["other_markets"]) == (
        1,
        1,
        {"070": 1},
    )


def test_a_refused_file_has_a_record_with_the_reason(storage: Storage, files: Path) -> None:
    path = daily(files, MONDAY, [Quote(MONDAY, close=1.0), Quote(MONDAY, close=2.0)])
    with pytest.raises(B3Error) as refused:
        Ingest(storage).file(path)
    (key,) = storage.list()
    found = json.loads(storage.read(key))
    assert (found["status"], found["error"]["code"]) == ("failed", refused.value.code)
    assert "PETR4" in found["error"]["message"]
