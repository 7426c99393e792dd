"""A request for quotes asks the exchange for the right files, in slices."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cotahist_text import Quote, cotahist, zipped

from b3shared.core.clock import today
from b3shared.core.config import COTAHIST_ADDRESS, Settings
from b3shared.core.errors import (
    IncompleteIngestError,
    InvalidParameterError,
    NoQuotesError,
    NotPublishedError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.quotes.calendar import sessions
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.cotahist.periods import annual, period_of
from b3shared.quotes.ingest.job import INGEST_SECONDS, RESERVE_SECONDS, ingest_quotes
from b3shared.quotes.ingest.request import LOOK_BACK, IngestRequest, missing_days
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.services import B3IngestionService
from b3shared.storage import FolderStorage


class World:
    """A lake, and a server with the files that a test gives it."""

    def __init__(self, settings: Settings, files: dict[str, bytes], asked: list[str]) -> None:
        self.settings = settings
        self.files = files
        self.asked = asked
        self.storage = FolderStorage(settings.storage)
        self.folder = Path(settings.storage).parent

    def publish(self, name: str, *days: date) -> None:
        year = period_of(name).first.year
        text = cotahist([Quote(day) for day in days], year)
        self.files[name] = zipped(text, f"COTAHIST_{name}.TXT")

    def lake_days(self) -> list[str]:
        frame = LakeSource(f"{self.settings.storage}/{LAKE}").read(QuoteQuery())
        return [str(day.date()) for day in frame["date"]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Exchange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/").removesuffix(".ZIP")
            asked.append(name)
            status = self.path.partition("?status=")[2]
            self.send_response(int(status) if status else 200 if name in files else 404)
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/{{period}}.ZIP"
    yield World(Settings(storage=str(tmp_path / "store"), cotahist_address=address), files, asked)
    server.shutdown()
    server.server_close()
    thread.join()


def asking(**event: Any) -> IngestRequest:
    return IngestRequest.from_event(event)


def test_years_are_fetched_oldest_first_in_slices(world: World) -> None:
    for year in (2019, 2020, 2021):
        world.publish(f"A{year}", date(year, 1, 4))
    left: Any = {"years": [2021, 2019, 2020]}
    told = []
    for _ in range(3):
        answer = ingest_quotes(
            IngestRequest.from_event(left), world.settings, more_time=lambda: False
        )
        told.append(
            (answer["status"], answer["changed"], [file["name"] for file in answer["files"]])
        )
        left = answer["request"]
    assert told == [
        ("partial", True, ["COTAHIST_A2019.ZIP"]),
        ("partial", True, ["COTAHIST_A2020.ZIP"]),
        ("done", True, ["COTAHIST_A2021.ZIP"]),
    ]
    assert world.lake_days() == ["2019-01-04", "2020-01-04", "2021-01-04"]


def test_a_change_of_an_early_slice_is_reported_by_the_last(world: World) -> None:
    world.publish("A2019", date(2019, 1, 4))
    ingest_quotes(asking(years=[2019]), world.settings)
    answer = ingest_quotes(asking(periods=["A2019"], changed=True), world.settings)
    assert (answer["changed"], answer["files"][0]["changed"]) == (True, False)
    assert ingest_quotes(asking(periods=["A2019"]), world.settings)["changed"] is False


def test_actions_are_detected_once_after_the_last_slice(world: World) -> None:
    for year in (2019, 2020, 2021):
        world.publish(f"A{year}", date(year, 1, 4))
    looked: list[int] = []

    def told(words: dict[str, Any]) -> None:
        if words["step"] == "corporate actions":
            looked.append(Lake(world.storage).manifest().sequence)

    left: Any = {"years": [2019, 2020, 2021]}
    for slice_ in range(3):
        assert looked == []
        answer = ingest_quotes(
            IngestRequest.from_event(left), world.settings, more_time=lambda: False, progress=told
        )
        left = answer["request"]
        assert (Lake(world.storage).manifest().actions is not None) == (slice_ == 2)
    assert looked == [2], "on the way from the second change to the third: with the last quotes"
    ingest_quotes(asking(years=[2019, 2020, 2021]), world.settings, progress=told)
    assert looked == [2], "nothing changed"


@pytest.mark.parametrize(
    "event",
    [{"periods": ["A2019"]}, {"periods": ["D04012021"], "optional": True}, {"since": today()}],
)
def test_the_next_request_completes_abandoned_slices(world: World, event: dict[str, Any]) -> None:
    for year in (2019, 2020):
        world.publish(f"A{year}", date(year, 1, 4))
    ingest_quotes(asking(years=[2019, 2020]), world.settings, more_time=lambda: False)
    assert Lake(world.storage).manifest().actions is None
    answer = ingest_quotes(asking(**event), world.settings)
    assert (answer["status"], answer["changed"]) == ("done", True), (
        "so that predictions are refreshed"
    )
    assert Lake(world.storage).manifest().actions is not None
    assert ingest_quotes(asking(**event), world.settings)["changed"] is False


def test_a_failed_request_detects_actions_of_the_files_it_stored(world: World) -> None:
    world.publish("A2019", date(2019, 1, 4))
    with pytest.raises(NotPublishedError):
        ingest_quotes(asking(years=[2019, 2020, 2021]), world.settings)
    assert Lake(world.storage).manifest().actions is not None


def test_missing_sessions_are_fetched_and_an_unpublished_day_is_no_error(
    world: World,
) -> None:
    last = sessions(today() - timedelta(days=30), today() - timedelta(days=1)).tolist()[-4:]
    world.publish(f"D{last[0]:%d%m%Y}", last[0])
    ingest_quotes(asking(periods=[f"D{last[0]:%d%m%Y}"]), world.settings)
    world.publish(f"D{last[2]:%d%m%Y}", last[2])
    answer = ingest_quotes(asking(), world.settings)
    absent = f"D{last[1]:%d%m%Y}"
    assert answer["status"] == "done"
    assert absent in answer["not_published"]
    assert {str(last[0]), str(last[2])} == set(world.lake_days())
    assert last[1] in missing_days(LakeSource(f"{world.settings.storage}/{LAKE}"))
    world.publish(absent, last[1])  # late, after the day that follows it
    ingest_quotes(asking(), world.settings)
    assert str(last[1]) in world.lake_days()


def put(world: World, folder: str, day: date, *tickers: str) -> dict[str, Any]:
    """A file of a day into the bucket; what the ingest of it answers."""
    key = f"inputs/cotahist/{folder}COTAHIST_D{day:%d%m%Y}.TXT"
    world.storage.put(
        key, cotahist([Quote(day, ticker) for ticker in tickers], day.year, created=f"{day:%Y%m%d}")
    )
    return ingest_quotes(
        IngestRequest.from_event(
            {"detail-type": "Object Created", "detail": {"object": {"key": key}}}
        ),
        world.settings,
    )


def test_a_session_known_only_from_a_subset_is_fetched(world: World) -> None:
    first, part, last = recent(3)
    put(world, "", first, "PETR4")
    put(world, "partial/", part, "VALE3")
    put(world, "", last, "PETR4")
    lake = LakeSource(f"{world.settings.storage}/{LAKE}")
    assert part in missing_days(lake)
    assert not {first, last} & set(missing_days(lake))
    world.publish(f"D{part:%d%m%Y}", part)
    ingest_quotes(asking(), world.settings)
    frame = lake.read(QuoteQuery(part, part))
    assert frame["ticker"].tolist() == ["PETR4"], "the exchange's file of the day, and all of it"
    assert part not in missing_days(lake)
    put(world, "partial/", last, "VALE3")
    assert last not in missing_days(lake), "a subset takes nothing from what is known as a whole"


def test_a_subset_of_a_late_day_does_not_hide_missing_days_before_it(
    world: World,
) -> None:
    days = sessions(today() - timedelta(days=90), today() - timedelta(days=1)).tolist()
    put(world, "", days[0], "PETR4")
    put(world, "partial/", days[-1], "VALE3")
    assert set(days[1:]) <= set(missing_days(LakeSource(f"{world.settings.storage}/{LAKE}")))


def test_a_lake_of_subsets_lacks_the_fortnight_before_its_newest_session(
    world: World,
) -> None:
    days = sessions(today() - timedelta(days=90), today()).tolist()
    part = days[-5]
    put(world, "partial/", part, "VALE3")
    lacking = missing_days(LakeSource(f"{world.settings.storage}/{LAKE}"))
    assert lacking == [day for day in days if day >= part - LOOK_BACK]


@pytest.mark.parametrize("manifest", [False, True], ids=["a folder", "with a manifest"])
def test_a_session_of_another_source_is_present_despite_a_subset(
    world: World, manifest: bool
) -> None:
    first, part = recent(2)
    own = pd.DataFrame(
        {"ticker": ["PETR4"] * 2, "date": pd.to_datetime([first, part]), "close": [10.0, 11.0]}
    )
    for year, rows in own.groupby(own["date"].dt.year):
        if manifest:
            write_lake(rows, world.storage)
        else:
            world.storage.upload(
                write_parquet(rows, world.folder / f"{year}.parquet"),
                f"{LAKE}/year={year}/own.parquet",
            )
    lake = LakeSource(f"{world.settings.storage}/{LAKE}")
    before = missing_days(lake)
    assert not {first, part} & set(before)
    put(world, "partial/", part, "PETR4")
    assert missing_days(lake) == before


def test_a_download_gets_the_time_that_the_ingest_does_not_need(world: World) -> None:
    first = recent(3)[0]
    world.publish(f"D{first:%d%m%Y}", first)
    busy = replace(world.settings, cotahist_address=f"{world.settings.cotahist_address}?status=503")
    with pytest.raises(SourceUnavailableError, match="attempt 1; no time for another in 1 s"):
        ingest_quotes(asking(periods=["A2020"]), busy, seconds_left=lambda: INGEST_SECONDS + 1.0)
    assert INGEST_SECONDS < RESERVE_SECONDS < 900


def recent(count: int) -> list[date]:
    days: list[date] = sessions(today() - timedelta(days=30), today() - timedelta(days=1)).tolist()[
        -count:
    ]
    return days


@pytest.mark.parametrize("slices", [False, True])
def test_newer_days_are_stored_despite_one_bad_day(world: World, slices: bool) -> None:
    first, bad, newer = recent(3)
    world.publish(f"D{first:%d%m%Y}", first)
    ingest_quotes(asking(periods=[f"D{first:%d%m%Y}"]), world.settings)
    world.files[f"D{bad:%d%m%Y}"] = b"<html>Access denied</html>"
    world.publish(f"D{newer:%d%m%Y}", newer)
    answer = ingest_quotes(asking(), world.settings, more_time=lambda: not slices)
    while answer["status"] == "partial":
        answer = ingest_quotes(
            IngestRequest.from_event(answer["request"]),
            world.settings,
            more_time=lambda: not slices,
        )
    (failed,) = answer["failed"]
    assert (failed["period"], failed["code"]) == (f"D{bad:%d%m%Y}", "UNREADABLE_FILE")
    assert "web page" in failed["message"]
    assert answer["changed"] is True
    assert set(world.lake_days()) == {str(first), str(newer)}
    with pytest.raises(IncompleteIngestError, match=f"D{bad:%d%m%Y}: UNREADABLE_FILE: .*web page"):
        list(B3IngestionService(world.settings).ingest_published())
    with pytest.raises(UnreadableFileError):
        ingest_quotes(asking(periods=[f"D{bad:%d%m%Y}"]), world.settings)


def test_an_unreadable_user_table_is_reported_and_the_days_are_stored(
    world: World,
) -> None:
    days = recent(3)
    world.publish(f"D{days[0]:%d%m%Y}", days[0])
    ingest_quotes(asking(periods=[f"D{days[0]:%d%m%Y}"]), world.settings)
    for day in days[1:]:
        world.publish(f"D{day:%d%m%Y}", day)
    world.storage.put(OVERRIDES, b"colour")
    answer = ingest_quotes(asking(), world.settings)
    assert {failed["code"] for failed in answer["failed"]} == {"INVALID_ACTIONS"}
    assert str(days[1]) in world.lake_days()


def test_a_server_without_any_answer_is_a_retryable_error(world: World) -> None:
    first = recent(3)[0]
    world.publish(f"D{first:%d%m%Y}", first)
    ingest_quotes(asking(periods=[f"D{first:%d%m%Y}"]), world.settings)
    with pytest.raises(SourceUnavailableError):
        ingest_quotes(
            asking(),
            replace(
                world.settings, cotahist_address=f"{world.settings.cotahist_address}?status=403"
            ),
        )


def test_a_year_or_day_asked_for_by_name_must_exist(world: World) -> None:
    for event in ({"years": [2019]}, {"periods": ["D02012020"]}):
        with pytest.raises(NotPublishedError, match="is not there"):
            ingest_quotes(IngestRequest.from_event(event), world.settings)
    assert FolderStorage(world.settings.storage).list() == []


def test_an_unpublished_month_is_fetched_by_days(world: World) -> None:
    days = [f"D{day:%d%m%Y}" for day in sessions(date(2020, 3, 1), date(2020, 3, 31)).tolist()]
    answer = ingest_quotes(
        asking(periods=["M032020"], optional=True), world.settings, more_time=lambda: False
    )
    assert (answer["status"], answer["not_published"]) == ("partial", ["M032020"])
    assert answer["request"] == {
        "periods": days,
        "optional": True,
        "announcements": True,
        "changed": False,
        "failed": [],
    }


def test_an_empty_lake_is_reported_and_fetches_nothing(world: World) -> None:
    answer = ingest_quotes(asking(), world.settings)
    assert (answer["status"], answer["changed"], world.asked) == ("done", False, [])
    assert "ask for years" in answer["reason"]
    with pytest.raises(NoQuotesError, match="ask for years"):
        list(B3IngestionService(world.settings).ingest_published())


def test_the_service_yields_every_file(world: World) -> None:
    for year in (2019, 2020):
        world.publish(f"A{year}", date(year, 1, 4))
    words: list[dict[str, Any]] = []
    service = B3IngestionService(world.settings, words.append)
    assert [file["last_session"] for file in service.ingest_published([2019, 2020])] == [
        "2019-01-04",
        "2020-01-04",
    ]
    assert {"step": "A2020", "phase": "downloading"} in words
    assert Lake(world.storage).manifest().sequence == 2


def test_an_object_of_the_bucket_is_ingested_whole_or_as_a_subset(world: World) -> None:
    day = date(2020, 1, 6)
    world.storage.put(
        "inputs/cotahist/COTAHIST_A2020.TXT", cotahist([Quote(day), Quote(day, "VALE3")], 2020)
    )
    world.storage.put(
        "inputs/cotahist/partial/COTAHIST_A2020.TXT",
        cotahist([Quote(day, close=11.0)], 2020, records=9),
    )
    for key in world.storage.list("inputs/"):
        event = {
            "detail-type": "Object Created",
            "source": "aws.s3",
            "detail": {"object": {"key": key}},
        }
        assert ingest_quotes(IngestRequest.from_event(event), world.settings)["changed"] is True
    frame = LakeSource(f"{world.settings.storage}/{LAKE}").read(QuoteQuery())
    assert frame[["ticker", "close"]].to_numpy().tolist() == [["PETR4", 11.0], ["VALE3", 10.0]]


@pytest.mark.parametrize("name", ["", "README.txt", "partial/"])
def test_an_object_without_cotahist_in_its_name_is_ignored(world: World, name: str) -> None:
    event = {
        "detail-type": "Object Created",
        "detail": {"object": {"key": f"inputs/cotahist/{name}"}},
    }
    answer = ingest_quotes(IngestRequest.from_event(event), world.settings)
    assert (answer["status"], answer["changed"], answer["failed"]) == ("done", False, [])
    assert "is no COTAHIST file by its name" in answer["reason"]
    assert world.storage.list() == []


@pytest.mark.parametrize(
    "event",
    [
        {"years": [2020, 1993]},
        {"periods": ["M061993"]},
        {"years": [2999]},
        {"periods": ["A20"]},
        {"key": "runs/x"},
    ],
)
def test_periods_that_the_exchange_cannot_have_are_refused(world: World, event: Any) -> None:
    with pytest.raises(InvalidParameterError):
        ingest_quotes(IngestRequest.from_event(event), world.settings)
    assert world.asked == []


def test_years_before_the_real_are_refused_before_any_download(world: World) -> None:
    world.publish("A2020", date(2020, 1, 6))
    with pytest.raises(
        InvalidParameterError,
        match=r"year must be from 1994 to \d+, got 1990; earlier prices are not in R\$",
    ):
        list(B3IngestionService(world.settings).ingest_published([2020, 1990]))
    assert world.asked == []


def test_the_address_is_the_exchanges_unless_a_mirror_is_set() -> None:
    assert Settings.from_environment({}).cotahist_address == COTAHIST_ADDRESS
    mirror = "https://mirror.example/{period}.zip"
    assert Settings.from_environment({"B3_COTAHIST_ADDRESS": mirror}).cotahist_address == mirror
    with pytest.raises(InvalidParameterError, match="period"):
        ingest_quotes(
            IngestRequest(years=[2020]),
            replace(Settings(), cotahist_address="https://mirror.example/"),
        )
    assert annual(2020).first == date(2020, 1, 1)


def test_announcements_follow_what_the_exchange_publishes_unless_they_are_not_wanted(
    world: World,
) -> None:
    world.publish("D02032020", date(2020, 3, 2))
    for wanted in (True, False):
        answer = ingest_quotes(asking(periods=["D02032020"], announcements=wanted), world.settings)
        assert answer["announcements"] == {"fetch": wanted, "failed": []}
    empty = replace(world.settings, storage=f"{world.settings.storage}-empty")
    assert ingest_quotes(asking(), empty)["announcements"]["fetch"] is False


def test_actions_alone_pass_on_who_could_not_be_fetched(world: World) -> None:
    file = {"period": "D02032020", "code": "X", "message": "x"}
    company = {"issuer": "ABEV", "code": "Y", "message": "y"}
    answer = ingest_quotes(
        asking(actions=True, failed=[file], unannounced=[[], [company]]), world.settings
    )
    assert (answer["status"], answer["changed"]) == ("done", False)
    assert answer["failed"] == [file, company]
    with pytest.raises(InvalidParameterError, match="actions must not be given with files"):
        asking(actions=True, periods=["D02032020"])
