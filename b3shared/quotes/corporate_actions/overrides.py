"""The user's own table of corporate actions: reads it, applies it, reports rows without effect."""

import io
from datetime import date

import duckdb
import numpy as np
import pandas as pd

from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.corporate_actions.override_checks import check_overrides, parse_days
from b3shared.quotes.corporate_actions.table import kind_of, sorted_actions

OVERRIDES = "lake/actions/overrides.csv"
"""Key of the table in the deployment's storage; :func:`apply_overrides` describes its columns."""


def read_overrides(data: bytes, renames: pd.DataFrame) -> pd.DataFrame:
    """Read the table; a renamed ticker is replaced by the name under which its quotes are read.

    Args:
        data: CSV text.
        renames: as :func:`b3shared.quotes.corporate_actions.renames.renamed_tickers` returns them.

    Raises:
        InvalidActionsError: It is no CSV file.
    """
    try:
        table = pd.read_csv(
            io.BytesIO(data), dtype={"ticker": str, "date": str}, skipinitialspace=True
        )
    except ValueError as error:  # of pandas' parser, and of text that is not UTF-8
        raise InvalidActionsError(f"{OVERRIDES} is not a CSV file: {error}") from error

    if "ticker" in table:
        name = table["ticker"].astype("string").str.strip().str.upper()
        newest = dict(zip(renames["old"], renames["new"], strict=True))
        table["ticker"] = name.map(
            lambda ticker: newest.get(ticker, ticker), na_action="ignore"
        ).astype("string")
    return table


def apply_overrides(found: pd.DataFrame, overrides: pd.DataFrame) -> pd.DataFrame:
    """Return the announced and detected actions with the user's overrides; the user always wins.

    A row of overrides stands for everything that happened to its ticker on its date: what was
    announced or detected there is ``overridden``, and a row with confidence 1 and source ``given``
    takes its place, unless the override only rejects. Ex-marks stay: they are facts of the
    exchange's file. Several rows for a ticker and date are events of that day: payouts are added,
    factors are multiplied. Equal rows are instalments, and each counts.

    Args:
        found: columns as in :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`.
        overrides: ``ticker``, ``date`` (a day, as text YYYY-MM-DD) and at least one of
            ``split_factor`` (positive), ``dividend`` (R$ per share of the session before, not
            negative) and ``reject`` (true: nothing happened then). Bounds:
            :data:`~b3shared.quotes.corporate_actions.override_checks.FACTORS` and
            :data:`~b3shared.quotes.corporate_actions.override_checks.DIVIDENDS`.

    Raises:
        InvalidActionsError: A column is unknown or lacking, a value is out of bounds, a row is
            empty, or rows contradict each other. The message names the row.
    """
    given = check_overrides(overrides)
    overridden = pd.MultiIndex.from_frame(given[["ticker", "date"]])
    dates = pd.to_datetime(found["date"]).astype("datetime64[s]")
    replaced = pd.MultiIndex.from_arrays([found["ticker"], dates]).isin(overridden)
    replaced &= (found["kind"] != "ex_mark").to_numpy(dtype=bool)
    kept = found.assign(state=found["state"].mask(replaced, "overridden"))

    accepted = given[~given["reject"]]
    rows = pd.DataFrame(
        {
            "ticker": accepted["ticker"],
            "date": accepted["date"],
            "kind": kind_of(accepted["split_factor"].to_numpy(np.float64)),
            "factor": accepted["split_factor"],
            "dividend": accepted["dividend"],
            "confidence": 1.0,
            "evidence": '{"given":true}',
            "source": "given",
            "last_cum": pd.NaT,
            "known": pd.NaT,
            "label": None,
            "state": "given",
            "event": [f"given {day.date()}" for day in accepted["date"]],
            "revision": 0,
        }
    )
    filled = [frame for frame in (kept, rows) if len(frame)] or [kept]
    return sorted_actions(pd.concat(filled, ignore_index=True))


def without_effect(
    overrides: pd.DataFrame,
    final: pd.DataFrame,
    connection: duckdb.DuckDBPyConnection,
    relation: str,
) -> list[str]:
    """List the rows of the user's table that change nothing, each as ``TICKER date: why``.

    Such a row rejects what was neither announced nor detected, or gives an action outside the
    sessions of its ticker. An action on a day between them without a trade counts from the next
    session.

    Args:
        overrides: as :func:`read_overrides` returns them, without faults.
        final: the actions after them.
        connection: where the relation can be read.
        relation: the lake's quotes, renamed tickers under their newest name.
    """
    sessions = _sessions(sorted(set(overrides["ticker"])), connection, relation)
    replaced = _days(final[final["state"] == "overridden"])
    given = _days(final[final["source"] == "given"])

    messages = []
    days = zip(overrides["ticker"], parse_days(overrides).dt.date, strict=True)
    for row in dict.fromkeys(days):
        ticker, day = row
        if row in replaced:
            continue
        if ticker not in sessions:
            messages.append(f"{ticker} {day}: the lake has no quote of it")
            continue
        first, last = sessions[ticker]
        if not first <= day <= last:
            messages.append(f"{ticker} {day}: its quotes are of {first} to {last}")
        elif row not in given:
            messages.append(
                f"{ticker} {day}: nothing was announced or detected that could be rejected"
            )
    return messages


def _sessions(
    tickers: list[str], connection: duckdb.DuckDBPyConnection, relation: str
) -> dict[str, tuple[date, date]]:
    """First and last session of each of the tickers that the relation has."""
    session = 'CAST("date" AS DATE)'
    rows = connection.execute(
        f"SELECT ticker, min({session}), max({session}) FROM {relation} "
        "WHERE list_contains(?, ticker) GROUP BY 1",
        [tickers],
    ).fetchall()
    return {ticker: (first, last) for ticker, first, last in rows if first is not None}


def _days(actions: pd.DataFrame) -> set[tuple[str, object]]:
    return set(zip(actions["ticker"], pd.to_datetime(actions["date"]).dt.date, strict=True))
