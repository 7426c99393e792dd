"""Small tables of quotes and of corporate actions for tests."""

import pandas as pd

from b3shared.quotes.corporate_actions.table import ACTION_TYPES, no_actions, sorted_actions
from b3shared.quotes.schema import QUOTE_TYPES


def quotes(**columns: list[object]) -> pd.DataFrame:
    """Rows in the schema: ticker and date as given, prices of 10.0, no action of their own."""
    size = len(next(iter(columns.values())))
    frame = pd.DataFrame({name: [None] * size for name in QUOTE_TYPES})
    frame["ticker"] = "PETR4"
    frame["split_factor"] = 1.0
    frame["dividend"] = 0.0
    frame["volume"] = 100
    for column in ("open", "high", "low", "close"):
        frame[column] = 10.0

    for name, values in columns.items():
        frame[name] = values
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[s]")
    return frame


def actions(*rows: dict[str, object]) -> pd.DataFrame:
    """A table of actions; by default detected splits of PETR4 by 2, with confidence 1."""
    base = {
        "ticker": "PETR4",
        "kind": "split",
        "factor": 2.0,
        "dividend": 0.0,
        "confidence": 1.0,
        "evidence": "{}",
    }
    base |= {"source": "detected", "state": "detected", "revision": 0}
    named = [{"event": f"event {number}"} | base | row for number, row in enumerate(rows)]
    table = pd.DataFrame(named, columns=list(ACTION_TYPES))

    return sorted_actions(table) if rows else no_actions()


DAYS = ["2023-01-02", "2023-01-03", "2023-01-05"]


def splits(frame: pd.DataFrame) -> list[float]:
    return frame["split_factor"].tolist()
