"""What a request for quotes asks the exchange for, and how it is done in slices."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cotahist_text import Quote, cotahist, zipped

from b3shared.clock import today
from b3shared.config import COTAHIST_ADDRESS, Settings
from b3shared.errors import InvalidParameterError, NoQuotesError, NotPublishedError
from b3shared.pipeline.ingest_quotes import IngestRequest, ingest_quotes, missing_days
from b3shared.quotes.calendar import sessions
from b3shared.quotes.lake import LAKE, Lake, LakeSource
from b3shared.quotes.periods import annual, covering, period_name, period_of
from b3shared.quotes.sources import QuoteQuery
from b3shared.services import B3IngestionService
from b3shared.storage import FolderStorage


class World:
    """A lake, and a server with the files that a test gives it."""

    def __init__(self, settings: Settings, files: dict[str, bytes], asked: list[str]) -> None:
        self.settings, self.files, self.asked = settings, files, asked
        self.storage = FolderStorage(settings.storage)

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
            self.send_response(200 if name in files else 404)
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
    return IngestRequest.of(event)


def test_years_are_fetched_oldest_first_and_a_slice_leaves_the_rest(world: World) -> None:
    for year in (2019, 2020, 2021):
        world.publish(f"A{year}", date(year, 1, 4))
    left: Any = {"years": [2021, 2019, 2020]}
    told = []
    for _ in range(3):
        answer = ingest_quotes(IngestRequest.of(left), world.settings, more_time=lambda: False)
        told.append((answer["status"], answer["changed"], [file["name"] for file in answer["files"]]))
        left = answer["request"]
    assert told == [
        ("partial", True, ["COTAHIST_A2019.ZIP"]),
        ("partial", True, ["COTAHIST_A2020.ZIP"]),
        ("done", True, ["COTAHIST_A2021.ZIP"]),
    ]
    assert world.lake_days() == ["2019-01-04", "2020-01-04", "2021-01-04"]


def test_a_change_of_an_early_slice_is_not_forgotten_by_a_late_one(world: World) -> None:
    world.publish("A2019", date(2019, 1, 4))
    ingest_quotes(asking(years=[2019]), world.settings)
    answer = ingest_quotes(asking(periods=["A2019"], changed=True), world.settings)
    assert (answer["changed"], answer["files"][0]["changed"]) == (True, False)
    assert ingest_quotes(asking(periods=["A2019"]), world.settings)["changed"] is False


def test_what_the_lake_lacks_is_asked_for_and_a_day_that_is_not_there_is_no_error(world: World) -> None:
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


def test_a_year_or_a_day_that_is_asked_for_by_name_must_be_there(world: World) -> None:
    for event in ({"years": [2019]}, {"periods": ["D02012020"]}):
        with pytest.raises(NotPublishedError, match="is not there"):
            ingest_quotes(IngestRequest.of(event), world.settings)
    assert FolderStorage(world.settings.storage).list() == []


def test_a_month_that_is_not_there_yet_is_fetched_by_its_days(world: World) -> None:
    days = [f"D{day:%d%m%Y}" for day in sessions(date(2020, 3, 1), date(2020, 3, 31)).tolist()]
    answer = ingest_quotes(asking(periods=["M032020"], optional=True), world.settings, more_time=lambda: False)
    assert (answer["status"], answer["not_published"]) == ("partial", ["M032020"])
    assert answer["request"] == {"periods": days, "optional": True, "changed": False}


def test_an_empty_lake_is_told_and_left_to_a_person(world: World) -> None:
    answer = ingest_quotes(asking(), world.settings)
    assert (answer["status"], answer["changed"], world.asked) == ("done", False, [])
    assert "ask for years" in answer["reason"]
    with pytest.raises(NoQuotesError, match="ask for years"):
        list(B3IngestionService(world.settings).ingest_published())


def test_a_person_gets_word_of_every_file(world: World) -> None:
    for year in (2019, 2020):
        world.publish(f"A{year}", date(year, 1, 4))
    words: list[dict[str, Any]] = []
    service = B3IngestionService(world.settings, words.append)
    assert [file["last_session"] for file in service.ingest_published([2019, 2020])] == ["2019-01-04", "2020-01-04"]
    assert {"step": "A2020", "phase": "downloading"} in words
    assert Lake(world.storage).manifest().sequence == 2


def test_an_object_in_the_bucket_is_taken_in_whole_or_as_a_part(world: World) -> None:
    day = date(2020, 1, 6)
    world.storage.put("inputs/cotahist/COTAHIST_A2020.TXT", cotahist([Quote(day), Quote(day, "VALE3")], 2020))
    world.storage.put("inputs/cotahist/partial/COTAHIST_A2020.TXT", cotahist([Quote(day, close=11.0)], 2020, records=9))
    for key in world.storage.list("inputs/"):
        event = {"detail-type": "Object Created", "source": "aws.s3", "detail": {"object": {"key": key}}}
        assert ingest_quotes(IngestRequest.of(event), world.settings)["changed"] is True
    frame = LakeSource(f"{world.settings.storage}/{LAKE}").read(QuoteQuery())
    assert frame[["ticker", "close"]].to_numpy().tolist() == [["PETR4", 11.0], ["VALE3", 10.0]]


@pytest.mark.parametrize(
    "event",
    [
        {"year": 2020},
        {"years": ["MMXX"]},
        {"since": "yesterday"},
        {"detail-type": "Object Created", "detail": {}},
        ["A2020"],
        None,
    ],
)
def test_what_is_no_request_is_refused(event: Any) -> None:
    with pytest.raises(InvalidParameterError):
        IngestRequest.of(event)


@pytest.mark.parametrize("event", [{"years": [1985]}, {"years": [2999]}, {"periods": ["A20"]}, {"key": "runs/x"}])
def test_what_the_exchange_cannot_have_is_refused(world: World, event: Any) -> None:
    with pytest.raises(InvalidParameterError):
        ingest_quotes(IngestRequest.of(event), world.settings)
    assert world.asked == []


def names(days: list[date]) -> list[str]:
    return [period_name(period) for period in covering(days)]


def test_few_days_are_daily_files_and_many_are_months_and_years() -> None:
    march = sessions(date(2020, 3, 1), date(2020, 3, 31)).tolist()
    quarter = sessions(date(2020, 1, 1), date(2020, 3, 31)).tolist()
    assert names(march[:2]) == ["D02032020", "D03032020"]
    assert names(march) == ["M032020"]
    assert names(quarter) == ["A2020"]
    assert names([*march, date(2021, 1, 4)]) == ["M032020", "D04012021"]
    assert names([]) == []
    month = sessions(today().replace(day=1), today()).tolist()
    assert all(name.startswith("D") for name in names(month)), "the month that is going on has no file of its own"


@pytest.mark.parametrize("name", ["A2020", "M022020", "D29022020"])
def test_a_period_has_one_name(name: str) -> None:
    assert period_name(period_of(name)) == name


@pytest.mark.parametrize("name", ["", "A20201", "M132020", "D31022020", "a2020", "COTAHIST_A2020", "../A2020"])
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="period"):
        period_of(name)


def test_the_address_is_the_exchanges_unless_a_mirror_is_set() -> None:
    assert Settings.from_environment({}).cotahist_address == COTAHIST_ADDRESS
    mirror = "https://mirror.example/{period}.zip"
    assert Settings.from_environment({"B3_COTAHIST_ADDRESS": mirror}).cotahist_address == mirror
    with pytest.raises(InvalidParameterError, match="period"):
        ingest_quotes(IngestRequest(years=[2020]), replace(Settings(), cotahist_address="https://mirror.example/"))
    assert annual(2020).first == date(2020, 1, 1)
