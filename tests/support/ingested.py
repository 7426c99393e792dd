"""Reads the lake and the records of a storage, for tests of the ingest."""

import json
from datetime import date, timedelta
from typing import Any

import pandas as pd

from b3shared.quotes.ingest.records import RECORDS
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import Storage

MONDAY = date(2020, 1, 6)
TUESDAY = MONDAY + timedelta(days=1)


def lake_of(storage: Storage) -> pd.DataFrame:
    return LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery())


def closes(storage: Storage) -> dict[tuple[str, str], float]:
    frame = lake_of(storage)
    return {
        (t, str(d.date())): c
        for t, d, c in zip(frame["ticker"], frame["date"], frame["close"], strict=True)
    }


def content(storage: Storage, prefix: str = "lake/") -> dict[str, str]:
    return {key: storage.sha256(key) for key in storage.list(prefix)}


def record(storage: Storage, sha256: str) -> dict[str, object]:
    return dict(json.loads(storage.read(f"{RECORDS}/{sha256}.json")))


def change(**counts: Any) -> dict[str, Any]:
    """The record of a year that has these changes and no other."""
    return {
        "year": 2020,
        "days": 0,
        "added": 0,
        "changed": 0,
        "removed": 0,
        "confirmed": 0,
        "kept_newer": [],
        **counts,
    }
