"""Announcements, quotes around an event, and the events that a lake makes of both."""

import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.announcements.table import (
    ANNOUNCEMENT_TYPES,
    COMPANY_TYPES,
    Announcements,
)
from b3shared.quotes.corporate_actions.announcements.values import class_of_isin
from b3shared.quotes.corporate_actions.papers import CLASS_OF_NUMBER
from b3shared.quotes.corporate_actions.table import with_actions
from b3shared.quotes.corporate_actions.united import UnitedEvents, united_events
from b3shared.quotes.schema import QUOTE_TYPES
from b3shared.storage.database import connect

FETCHED = pd.Timestamp("2026-07-01 23:30")
NO_RENAMES = pd.DataFrame({"old": [], "new": [], "date": []}, dtype="str")


def payment(
    issuer: str, share_class: str, last_cum: str, value: float, label: str = "DIVIDENDO", **row: Any
) -> dict[str, Any]:
    """A row of the history of payments."""
    own = {"answer": "cash", "issuer": issuer, "share_class": share_class, "label": label}
    return own | {"last_cum": last_cum, "value": value} | row


def listed(isin: str, label: str, last_cum: str, **row: Any) -> dict[str, Any]:
    """A row of the supplement: a share event, or a payment or subscription by ``answer``."""
    own = {"answer": "supplement_stock", "isin": isin, "issuer": isin[2:6], "label": label}
    return own | {"share_class": class_of_isin(isin), "last_cum": last_cum} | row


def announce(*rows: dict[str, Any], known: tuple[str, ...] = ()) -> Announcements:
    """Announcements, and the companies of their issuers and of ``known``."""
    issuers = sorted({row["issuer"] for row in rows} | set(known))
    times = dict.fromkeys(("details_fetched", "cash_fetched", "supplement_fetched"), FETCHED)
    companies = [{"issuer": issuer, "root": issuer} | times for issuer in issuers]
    fetched = {"first_fetched": FETCHED, "fetched": FETCHED}
    return Announcements(
        _frame([fetched | row for row in rows], ANNOUNCEMENT_TYPES),
        _frame(companies, COMPANY_TYPES),
    )


def _frame(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    dtypes = {"VARCHAR": "object", "DOUBLE": "float64", "DATE": "datetime64[s]"}
    frame = pd.DataFrame(rows, columns=list(types), dtype="object")
    for name, kind in types.items():
        if kind in ("DATE", "TIMESTAMP"):
            frame[name] = pd.to_datetime(frame[name])
        column = frame[name].astype(dtypes.get(kind, "datetime64[us]"))
        frame[name] = column.where(column.notna(), None) if kind == "VARCHAR" else column
    return frame


def around(
    ticker: str,
    last_cum: str,
    before: float,
    after: float,
    *,
    isin: str | None = None,
    stepped: bool | None = True,
    mark: str = "",
    holidays: tuple[str, ...] = (),
    **columns: Any,
) -> pd.DataFrame:
    """Quotes of some weeks around a last session with the right.

    They close at ``before`` on it, and open at ``after`` on the next session. ``stepped``: whether
    DISMES rises then; None: the quotes have none.
    """
    last = pd.Timestamp(last_cum)
    days = pd.bdate_range(last - pd.Timedelta(days=60), last + pd.Timedelta(days=20))
    days = days[~days.isin(pd.to_datetime(list(holidays)))]
    ex = days > last
    at = int(ex.argmax())
    wobble = 1 + 0.004 * np.sin(np.arange(len(days)) * 2.4)
    close = np.where(ex, after, before) * wobble
    close[at - 1] = before
    open_ = np.where(ex, after, before) * 1.0

    frame = pd.DataFrame({name: [None] * len(days) for name in QUOTE_TYPES})
    frame["ticker"] = ticker
    frame["date"] = days.astype("datetime64[s]")
    prices = {"open": open_, "close": close, "high": np.maximum(open_, close) * 1.004}
    prices["low"] = np.minimum(open_, close) / 1.004
    frame = frame.assign(**prices, volume=np.where(ex, 1e6 * before / after, 1e6).round())
    kind = columns.pop("type", "ON")
    marked = np.where(ex & (np.arange(len(days)) < at + 8), f"{kind:<4}{mark:<4}NM", f"{kind:<8}NM")
    frame = frame.assign(type=marked, isin=isin, split_factor=1.0, dividend=np.nan, **columns)
    if stepped is not None:
        frame["dismes"] = 100 + (ex & stepped)
    return frame


def unite(
    quotes: pd.DataFrame,
    announcements: Announcements,
    renames: pd.DataFrame = NO_RENAMES,
    overrides: pd.DataFrame | None = None,
) -> UnitedEvents:
    """The events of quotes in memory."""
    with connect() as connection:
        columns = [c for c in quotes if c not in ("split_factor", "dividend")]
        connection.register("quotes", quotes[columns])
        return united_events(connection, "quotes", renames, announcements, overrides)


def on(united: UnitedEvents, day: str, ticker: str | None = None) -> pd.DataFrame:
    """The events of an ex-date, without ex-marks."""
    events = united.events[united.events["kind"] != "ex_mark"]
    chosen = events["date"] == pd.Timestamp(day)
    return events[chosen & (events["ticker"] == (ticker or events["ticker"]))]


def row_on(quotes: pd.DataFrame, united: UnitedEvents, day: str, ticker: str) -> "pd.Series[Any]":
    """The row of a ticker and day as a reader sees it."""
    read = with_actions(quotes, united.events, united.coverage)
    return read[(read["ticker"] == ticker) & (read["date"] == pd.Timestamp(day))].iloc[0]


def told(united: UnitedEvents, kind: str) -> list[tuple[str, str]]:
    """(ticker, day) of the findings of a kind."""
    own = united.findings[united.findings["kind"] == kind]
    return [(t, str(d.date())) for t, d in zip(own["ticker"], own["date"], strict=True)]


def real_announcements(folder: Path, fetched: str = "2024-01-10") -> Announcements:
    """The payments and share events that were published, of a folder with both files.

    Payments without a class have an ISIN, and are rows of a supplement here. Companies are those
    with a payment or a share event.
    """
    time = pd.Timestamp(fetched)
    paid = duckdb.execute(f"FROM '{folder / 'cash_dividends.parquet'}'").df()
    by_isin = paid["type_stock"].isna()
    cash = pd.DataFrame(
        {
            "issuer": paid["ticker"].str[:4],
            "answer": np.where(by_isin, "supplement_cash", "cash"),
            "isin": paid["isin"].where(by_isin),
            "share_class": paid["type_stock"],
            "label": paid["label"],
            "last_cum": paid["last_cum"],
            "approved": paid["approved"],
            "value": paid["value"],
        }
    )
    rows = [*cash.to_dict("records"), *_share_events(folder / "share_events.csv")]
    found = announce(*rows)
    times = dict.fromkeys(("details_fetched", "cash_fetched", "supplement_fetched"), time)

    return Announcements(found.rows, found.companies.assign(**times))


def _share_events(path: Path) -> list[dict[str, Any]]:
    """The rows of a supplement that a table of published share events stands for."""
    rows = []
    for event in pd.read_csv(path).to_dict("records"):
        labels = event["label"].split("+")
        numbers = re.findall(r"[\d.]+(?:,\d+)?", event["factor_as_published"])
        price = None
        if labels == ["SUBSCRICAO"]:
            number, price = (_number(text) for text in numbers)
            numbers = [event["factor_as_published"].split(" ")[0]]
        isin = event["isin"] if isinstance(event["isin"], str) else None
        for place, number in enumerate(numbers):
            own = {"issuer": event["ticker"][:4], "isin": isin, "issue_price": price}
            own |= {"label": labels[min(place, len(labels) - 1)], "factor": _number(number)}
            own |= {"answer": "supplement_subscription" if price else "supplement_stock"}
            own |= {"share_class": CLASS_OF_NUMBER[event["ticker"][4:]]}
            rows.append(own | {"last_cum": event["last_date_prior"]})

    return rows


def _number(text: str) -> float:
    return float(text.replace(".", "").replace(",", "."))
