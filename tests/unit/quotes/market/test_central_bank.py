"""The CDI is fetched politely from a real local server, and nothing else depends on it."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rate_bank import Bank, serving_bank

from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.core.errors import (
    InvalidMarketError,
    InvalidParameterError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.quotes.ingest.job import MARKET_SECONDS, ingest_quotes
from b3shared.quotes.ingest.request import IngestRequest
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.market.cdi import CDI, read_cdi
from b3shared.quotes.market.central_bank import RateServer, spans
from b3shared.quotes.market.update import update_market
from b3shared.storage import FolderStorage

FIRST = date(2023, 12, 20)


@pytest.fixture
def bank() -> Iterator[Bank]:
    with serving_bank() as found:
        yield found


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A storage with a lake that begins on FIRST."""
    found = FolderStorage(tmp_path / "store")
    day = pd.DataFrame(
        {"ticker": ["PETR4"], "date": [pd.Timestamp(FIRST)], "close": [30.0], "volume": [100]}
    )
    write_lake(day, found)
    return found


def test_rates_are_fractions_of_the_days_that_have_one(bank: Bank) -> None:
    rates = bank.server().fetch(date(2023, 12, 21), date(2023, 12, 25))
    assert rates.days.tolist() == [date(2023, 12, 21), date(2023, 12, 22), date(2023, 12, 25)]
    assert rates.values.tolist() == pytest.approx([0.00043739] * 3)
    assert bank.asked == [("21/12/2023", "25/12/2023")]


def test_at_most_ten_years_are_asked_for_at_once_with_a_pause_between(bank: Bank) -> None:
    found = spans(date(1994, 7, 4), date(2023, 12, 28))
    assert found[0][0] == date(1994, 7, 4)
    assert found[-1][1] == date(2023, 12, 28)
    for (start, end), (following, _) in pairwise(found):
        assert following == end + timedelta(days=1)
        assert end < start.replace(year=start.year + 10)

    bank.server().fetch(date(2010, 1, 4), date(2023, 12, 28))
    assert len(bank.asked) == 2
    assert bank.waits == [1.0]


def test_a_busy_server_is_asked_again_later_and_then_left_alone(bank: Bank) -> None:
    bank.answers = [(503, b""), (429, b"")]
    assert len(bank.server().fetch(FIRST, FIRST))
    assert bank.waits == [2.0, 4.0]

    bank.answers = [(503, b"")] * 3
    with pytest.raises(SourceUnavailableError, match=r"status 503 \(attempt 3\)"):
        bank.server().fetch(FIRST, FIRST)
    bank.answers = [(403, b"")]
    with pytest.raises(SourceUnavailableError, match="status 403, where 200 was expected"):
        bank.server().fetch(FIRST, FIRST)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("<html>", UnreadableFileError, "something else than a list of rates"),
        ("", UnreadableFileError, "something else than a list of rates"),
        ('{"erro": "x"}', UnreadableFileError, "something else than a list of rates"),
        ('[{"data": "20/12/2023"}]', UnreadableFileError, "something else than a list of rates"),
        ('[{"data": "2023-12-20", "valor": "0.04"}]', InvalidMarketError, "row 1: data must be"),
        ('[{"data": "20/12/2022", "valor": "0.04"}]', InvalidMarketError, "from 2023-12-20 to"),
        ('[{"data": "20/12/2023", "valor": "11.65"}]', InvalidMarketError, "got '11.65'"),
        ('[{"data": "20/12/2023", "valor": "-0.04"}]', InvalidMarketError, "got '-0.04'"),
        ('[{"data": "20/12/2023", "valor": null}]', InvalidMarketError, "got None"),
    ],
)
def test_an_answer_that_is_no_list_of_rates_is_refused(
    bank: Bank, body: str, error: type[Exception], message: str
) -> None:
    bank.answers = [(200, body.encode())]
    with pytest.raises(error, match=message):
        bank.server().fetch(FIRST, FIRST)


def test_an_answer_that_is_too_large_is_refused(bank: Bank) -> None:
    bank.answers = [(200, b" " * 5_000)]
    with pytest.raises(UnreadableFileError, match="at most 4,000 are allowed"):
        bank.server(max_bytes=4_000).fetch(FIRST, FIRST)


@pytest.mark.parametrize(
    "address", ["ftp://bank/{start}{end}", "http://bank/{start}", "http://bank/{start}{end}{x}"]
)
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"\{start\} and \{end\}"):
        RateServer(address)


def test_only_days_that_the_storage_lacks_are_asked_for(bank: Bank, storage: FolderStorage) -> None:
    now = f"{today():%d/%m/%Y}"
    first = update_market(storage, bank.address)
    assert (first.added, first.newest, first.findings) == (7, "2023-12-28", [])
    assert bank.asked == [("20/12/2023", now)]

    again = update_market(storage, bank.address)
    assert (again.added, again.newest, again.findings) == (0, "2023-12-28", [])
    assert bank.asked[1:] == [("29/12/2023", now)]

    storage.put(CDI, b"date,rate\n2023-12-27,0.0004\n")
    update_market(storage, bank.address)
    assert bank.asked[2:] == [("20/12/2023", "26/12/2023"), ("28/12/2023", now)]
    rates = read_cdi(storage)
    assert rates is not None
    assert [str(day) for day in rates.days[[0, -1]]] == ["2023-12-20", "2023-12-28"]


def test_a_failure_is_a_finding_and_leaves_the_rates_as_they_were(
    bank: Bank, storage: FolderStorage
) -> None:
    storage.put(CDI, b"date,rate\n2023-12-20,0.0004\n")
    bank.answers = [(200, b"<html>")]
    (finding,) = update_market(storage, bank.address).findings
    assert finding.startswith("the CDI could not be updated: UNREADABLE_FILE: ")
    (finding,) = update_market(storage, "http://bank").findings
    assert "INVALID_PARAMETER" in finding
    assert storage.read(CDI) == b"date,rate\n2023-12-20,0.0004\n"


def test_an_address_of_never_and_an_empty_lake_ask_for_nothing(
    bank: Bank, storage: FolderStorage, tmp_path: Path
) -> None:
    assert update_market(storage, "never").findings == []
    assert update_market(FolderStorage(tmp_path / "empty"), bank.address).findings == []
    assert bank.asked == []


def test_an_ingest_asks_for_the_rates_where_wanted_and_in_time(
    bank: Bank, storage: FolderStorage
) -> None:
    base = bank.address.partition("/dados")[0]
    settings = Settings(
        storage=storage.url,
        cdi_address=bank.address,
        cotahist_address=f"{base}/{{period}}.ZIP",
    )

    def ingested(seconds: float = 600.0, **event: Any) -> dict[str, Any]:
        wanted = {"since": str(today()), "optional": True} | event
        request = IngestRequest.from_event(wanted)
        return ingest_quotes(request, settings, seconds_left=lambda: seconds)

    assert "market" not in ingested()
    late = ingested(MARKET_SECONDS, market=True)["market"]
    assert late["findings"] == ["no time was left for the CDI: the next ingest asks for it"]
    assert bank.asked == []

    answer = ingested(market=True)
    assert answer["status"] == "done"
    assert answer["market"] == {"cdi_added": 7, "cdi_newest": "2023-12-28", "findings": []}
    bank.answers = [(200, b"<html>")]
    answer = ingested(market=True)
    assert answer["status"] == "done"
    assert answer["failed"] == []
    assert "could not be updated" in answer["market"]["findings"][0]


def test_a_slice_passes_the_wish_for_rates_on(bank: Bank, storage: FolderStorage) -> None:
    base = bank.address.partition("/dados")[0]
    settings = Settings(
        storage=storage.url, cdi_address=bank.address, cotahist_address=f"{base}/{{period}}.ZIP"
    )
    request = {"periods": ["D20122023", "D21122023"], "optional": True, "market": True}
    first = ingest_quotes(IngestRequest.from_event(request), settings, more_time=lambda: False)
    assert first["status"] == "partial"
    assert "market" not in first
    last = ingest_quotes(IngestRequest.from_event(first["request"]), settings)
    assert last["market"]["cdi_added"] == 7
