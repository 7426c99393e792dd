"""After the announcements, the job tells who was not fetched, shortly."""

import json
from datetime import date
from pathlib import Path

from cotahist_text import Quote, daily

from b3shared.core.config import Settings
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.ingest.job import FAILURES_SHOWN, ingest_quotes
from b3shared.quotes.ingest.request import IngestRequest
from b3shared.storage import FolderStorage

DAY = date(2020, 1, 6)
STATE_BYTES = 256 * 1024


def test_actions_alone_name_few_companies_and_pass_on_the_plans_findings(tmp_path: Path) -> None:
    """What concerns a whole batch is named before single companies."""
    storage = FolderStorage(tmp_path / "store")
    Ingest(storage).file(daily(tmp_path, DAY, [Quote(DAY)]))
    batches = [
        [{"issuer": f"{letter}{number:03}", "message": "m" * 500} for number in range(10)]
        for letter in "ABCD"
    ]
    down = {"code": "SOURCE_UNAVAILABLE", "message": "the server is down"}
    batches[-1].insert(0, down)

    request = IngestRequest(actions=True, unannounced=batches, findings=["WEGE: twice"])
    answer = ingest_quotes(request, Settings(storage=storage.url))
    first, *_, more = answer["failed"]
    assert (first, more["message"]) == (down, "and 21 more")
    assert len(answer["failed"]) == FAILURES_SHOWN + 1
    assert len(json.dumps(answer)) < STATE_BYTES / 10
    assert answer["findings"] == ["WEGE: twice"]
