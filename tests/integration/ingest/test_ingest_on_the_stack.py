"""New files, in the bucket or of the exchange, reach predictions without a retraining."""

import json
from datetime import date, timedelta

import requests
from waiting import until

from b3shared.core.clock import today
from b3shared.quotes.calendar import sessions
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import Lake
from b3shared.registry.release import Release


def test_a_file_put_into_the_bucket_is_served(market) -> None:
    day = date(2024, 1, 2)
    before = Release(market.storage).state()
    market.storage.put("inputs/cotahist/COTAHIST_D02012024.TXT", market.day(day))
    until(lambda: Release(market.storage).state().as_of == str(day), "the new snapshot")
    after = Release(market.storage).state()

    assert after.live == before.live
    assert after.events[-1]["who"] == "ingest"
    until(lambda: "RUNNING" not in market.executions(), "the end of the execution")
    assert market.executions()[0] == "SUCCEEDED"
    assert Lake(market.storage).manifest().years[2024][0].last == str(day)
    answer = requests.post(
        f"{market.stack.api_url}/predict", json={"ticker": "PETR4"}, timeout=60
    ).json()
    assert (answer["as_of"], answer["last_price"]) == (str(day), 30.0)


def test_a_file_of_another_kind_fails_with_a_record_and_changes_nothing(market) -> None:
    lake = market.storage.read("lake/quotes/manifest.json")
    ended = len(market.executions())
    market.storage.put("inputs/cotahist/COTAHIST_D03012024.ZIP", b"<html>Access denied</html>")
    assert market.ended(before=ended) == "FAILED"
    assert market.storage.read("lake/quotes/manifest.json") == lake
    records = [
        json.loads(market.storage.read(key)) for key in market.storage.list("lake/ingested/")
    ]
    (failed,) = [record for record in records if record["status"] == "failed"]
    assert "HTML" in failed["error"]["message"]


def test_the_schedule_fetches_what_the_lake_lacks(market) -> None:
    for year in range(2024, today().year + 1):
        market.publish(year, [date(2024, 1, 3)] if year == 2024 else [date(year, 1, 6)])
    ended = len(market.executions())
    assert len(market.stack.fire_schedules("-ingest")) == 1
    assert market.ended(before=ended) == "SUCCEEDED"
    manifest = Lake(market.storage).manifest()
    assert (manifest.years[2024][0].first, manifest.years[2024][0].last) == (
        "2024-01-02",
        "2024-01-03",
    )
    assert max(manifest.years) == today().year


def test_nothing_new_is_no_error_and_changes_nothing(market) -> None:
    """The sessions since then are published day by day, and today's are not there yet."""
    lake = market.storage.read("lake/quotes/manifest.json")
    ended = len(market.executions())
    market.published.clear()
    arn, since = market.stack.outputs["IngestArn"], today() - timedelta(days=4)
    market.stack.client("stepfunctions").start_execution(
        stateMachineArn=arn, input=json.dumps({"since": str(since)})
    )
    assert market.ended(before=ended) == "SUCCEEDED"
    assert market.storage.read("lake/quotes/manifest.json") == lake


def test_one_bad_day_fails_loudly_after_the_others_are_served(market) -> None:
    days = sessions(today() - timedelta(days=30), today() - timedelta(days=1)).tolist()[-3:]
    path = f"inputs/elsewhere/COTAHIST_D{days[0]:%d%m%Y}.ZIP"
    market.storage.put(path, market.zipped_day(days.pop(0)))
    Ingest(market.storage).key(path)  # so near to today that days are asked for, not years
    market.published[f"/COTAHIST_D{days[0]:%d%m%Y}.ZIP"] = b"<html>Access denied</html>"
    market.published[f"/COTAHIST_D{days[1]:%d%m%Y}.ZIP"] = market.zipped_day(days[1])
    ended = len(market.executions())
    market.stack.fire_schedules("-ingest")

    assert market.ended(before=ended) == "FAILED"
    error = market.newest_error()
    assert error["error"] == "IncompleteIngestError"
    (failed,) = json.loads(error["cause"])
    assert (failed["period"], failed["code"]) == (f"D{days[0]:%d%m%Y}", "UNREADABLE_FILE")
    assert Release(market.storage).state().as_of == str(days[1])


def test_quotes_that_an_earlier_execution_left_unserved_are_served(market) -> None:
    """A crash between the lake's change and the function's answer leaves them so."""
    served = Release(market.storage).state().as_of
    lake = Lake(market.storage)
    newest = max(lake.manifest().years[max(lake.manifest().years)], key=lambda file: file.last)

    assert newest.last == served
    day = next(
        d
        for d in sessions(date.fromisoformat(served) - timedelta(days=9), today()).tolist()
        if str(d) < served
    )
    path = f"inputs/elsewhere/COTAHIST_D{day:%d%m%Y}.ZIP"
    market.storage.put(path, market.zipped_day(day))
    Ingest(market.storage).key(path)
    before = Release(market.storage).state().snapshot
    ended = len(market.executions())
    market.published.clear()
    arn = market.stack.outputs["IngestArn"]
    market.stack.client("stepfunctions").start_execution(
        stateMachineArn=arn, input=json.dumps({"since": str(today())})
    )
    assert market.ended(before=ended) == "SUCCEEDED"
    assert Release(market.storage).state().snapshot != before
