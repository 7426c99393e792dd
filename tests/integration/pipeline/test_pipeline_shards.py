"""A run whose quotes are many: the state machine works on the shards at once, and the result is that of one piece."""

import json
from collections.abc import Iterator

import pytest
from paths import TEMPLATE
from pipeline_client import Client, storage_of
from pipeline_world import TICKERS

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.params.steps import Step
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.runs.run import Run
from infra.local import LocalStack

CUT = {"Environment": "LOCAL", "WaitSeconds": "600", "ApiTimeout": "900", "ShardRows": "3000"}


@pytest.fixture(scope="module")
def cut() -> Iterator[LocalStack]:
    """A deployment that works on 3,000 quotes at once: two tickers."""
    with LocalStack(TEMPLATE, CUT) as stack:
        write_lake(
            ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=TICKERS)), storage_of(stack)
        )
        yield stack


def test_a_run_in_shards_gives_the_same_table_and_goes_through_the_map(cut, api, storage):
    other = Client(cut)
    for client in (other, api):
        client.ok("load-data", {"run_id": "shards"})
        client.ok("preprocess-data", {"run_id": "shards"})
    sharded, whole = (Run.open(place, "shards") for place in (storage_of(cut), storage))
    loaded = sharded.record(Step.LOAD_DATA)
    assert loaded.summary["shards"] == len(loaded.artifacts) == 4
    table, of_one_piece = sharded.record(Step.PREPROCESS_DATA), whole.record(Step.PREPROCESS_DATA)
    assert {n: a.sha256 for n, a in table.artifacts.items()} == {
        n: a.sha256 for n, a in of_one_piece.artifacts.items()
    }
    assert table.summary == of_one_piece.summary
    events = other.history("shards.preprocess_data.1")
    assert [e["type"] for e in events].count("MapIterationSucceeded") == 4
    marks = [
        key for key in storage_of(cut).list("runs/shards/preprocess_data/") if key.endswith(".json")
    ]
    assert [key.rpartition("/")[2] for key in marks] == [f"{n:04d}.json" for n in range(4)]
    assert max(len(json.dumps(event, default=str)) for event in events) < 32_768
