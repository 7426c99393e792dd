"""The user's own table of corporate actions: read under the tickers' newest names, and which rows change nothing."""

import io

import duckdb
import pandas as pd

from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.corporate_actions.table import override_days

OVERRIDES = "lake/actions/overrides.csv"
"""Where it lies in the deployment's storage; see :func:`b3shared.quotes.corporate_actions.table.apply_overrides`."""


def read_overrides(data: bytes, renames: pd.DataFrame) -> pd.DataFrame:
    """The rows of the table, a renamed ticker's under the name that its quotes are read by.

    Args:
        data: CSV text.
        renames: as :func:`b3shared.quotes.corporate_actions.renames.renamed_tickers` gives them.

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


def without_effect(
    overrides: pd.DataFrame,
    detected: pd.DataFrame,
    final: pd.DataFrame,
    connection: duckdb.DuckDBPyConnection,
    relation: str,
) -> list[str]:
    """Rows of the user's table that change nothing, each as ``TICKER date: why``.

    That is a rejection of what nobody detected, and an action outside the sessions of its ticker.
    One on a day between them without a trade counts from the next.

    Args:
        overrides: as :func:`read_overrides` gives them, good.
        detected: the actions before them.
        final: the actions after them.
        connection: where the relation can be read.
        relation: the lake's quotes, renamed tickers under their newest name.
    """
    listed = sorted(set(overrides["ticker"]))
    session = 'CAST("date" AS DATE)'
    spans = connection.execute(
        f"SELECT ticker, min({session}), max({session}) FROM {relation} WHERE list_contains(?, ticker) GROUP BY 1",
        [listed],
    ).fetchall()
    sessions = {ticker: (first, last) for ticker, first, last in spans if first is not None}
    struck, given = (
        _days(detected[detected["kind"] != "ex_mark"]),
        _days(final[final["source"] == "given"]),
    )
    told = []
    for row in dict.fromkeys(
        zip(overrides["ticker"], override_days(overrides).dt.date, strict=True)
    ):
        ticker, day = row
        if row in struck:
            continue
        if ticker not in sessions:
            told.append(f"{ticker} {day}: the lake has no quote of it")
        elif not sessions[ticker][0] <= day <= sessions[ticker][1]:
            told.append(
                f"{ticker} {day}: its quotes are of {sessions[ticker][0]} to {sessions[ticker][1]}"
            )
        elif row not in given:
            told.append(f"{ticker} {day}: nothing was detected that could be rejected")
    return told


def _days(actions: pd.DataFrame) -> set[tuple[str, object]]:
    return set(zip(actions["ticker"], pd.to_datetime(actions["date"]).dt.date, strict=True))
