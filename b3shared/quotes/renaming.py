"""The renamed tickers of a lake, each with its newest name, without reading every row into memory.

A ticker that keeps its ISIN is linked to its successor at once. One whose company got a new ISIN with its
new name is found as a possible rename, for the user to confirm in ``renames.csv``.
"""

import io
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from b3shared.errors import InvalidActionsError
from b3shared.quotes.calendar import sessions_after
from b3shared.quotes.instruments import renames
from b3shared.quotes.schema import CASH_EQUITY

RENAMES = "lake/actions/renames.csv"
"""Where the user's table lies in the deployment's storage, beside the one of corporate actions."""
COLUMNS = ("old", "new", "date")
SAME_PRICE = 1.1
"""A possible successor opens within this factor of the last close; a day's limits are wider only in a crash."""

_ENDS = """
    SELECT ticker, isin, min("date") AS "date" FROM dated GROUP BY ticker, isin
    UNION ALL SELECT ticker, isin, max("date") FROM dated GROUP BY ticker, isin
    UNION ALL SELECT NULL, NULL, "date" FROM dated GROUP BY "date"
"""
"""The first and the last session of every ticker under every ISIN, and every session once: all that a rename is told by."""


@dataclass(frozen=True)
class Renamed:
    """The renames of a lake.

    Attributes:
        table: ``old`` and ``new``, text, and ``date``, the first session after ``old``; sorted by ``old``. Of a
            chain of names every one leads to the newest.
        without_effect: rows of the user's table that name a ticker without quotes, each with the reason.
    """

    table: pd.DataFrame
    without_effect: list[str]


def read_renames(data: bytes) -> pd.DataFrame:
    """The user's table of renames.

    Args:
        data: CSV text with the columns ``old``, ``new`` and ``date``, the first session of the new ticker.

    Returns:
        The same, text in capitals and datetime64[s].

    Raises:
        InvalidActionsError: It is no CSV file, lacks a column, or a row cannot be meant; the message names it.
    """
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=str, skipinitialspace=True)
    except ValueError as error:  # of pandas' parser, and of text that is not UTF-8
        raise InvalidActionsError(f"{RENAMES} is not a CSV file: {error}") from error
    if set(table.columns) != set(COLUMNS):
        raise InvalidActionsError(
            f"{RENAMES} has the columns {', '.join(map(str, table.columns))}; {', '.join(COLUMNS)} are needed"
        )

    out = pd.DataFrame({name: table[name].astype("string").str.strip().str.upper() for name in ("old", "new")})
    text = table["date"].astype("string").str.strip()
    whole = text.str.fullmatch(r"\d{4}-\d{2}-\d{2}").fillna(False)
    out["date"] = pd.to_datetime(text.where(whole), errors="coerce", format="%Y-%m-%d").astype("datetime64[s]")
    for column, wrong, allowed in (
        ("old", ~out["old"].str.fullmatch(CASH_EQUITY).fillna(False), "a ticker such as TBLE3 is needed"),
        ("new", ~out["new"].str.fullmatch(CASH_EQUITY).fillna(False), "a ticker such as EGIE3 is needed"),
        ("new", (out["old"] == out["new"]).fillna(False), "another ticker than the old one is needed"),
        ("date", out["date"].isna(), "a day as YYYY-MM-DD is needed, such as 2016-07-21"),
        ("old", out["old"].duplicated(), "a ticker may go on under one other only"),
        ("new", out["new"].duplicated(), "a ticker may come from one other only"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InvalidActionsError(
                f"renames row {row + 1}: {column} = {table[column].tolist()[row]!r}: {allowed}", row=row + 1
            )
    return out


def renamed_tickers(connection: duckdb.DuckDBPyConnection, relation: str, given: pd.DataFrame | None = None) -> Renamed:
    """Tickers that went on under another one: by their ISIN (:func:`b3shared.quotes.instruments.renames`), and by the user.

    Args:
        connection: where the relation can be read.
        relation: what may stand after FROM; without a column isin only the user's are found.
        given: as :func:`read_renames` gives them; they win.

    Raises:
        InvalidActionsError: A row of the user's contradicts the quotes: the old ticker goes on, or the new one
            began before.
    """
    columns = {str(row[0]).lower() for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    isin = "isin" if "isin" in columns else "NULL"
    dated = f'SELECT ticker, {isin} AS isin, CAST("date" AS DATE) AS "date" FROM {relation} WHERE "date" IS NOT NULL'
    ends = connection.execute(f"WITH dated AS MATERIALIZED ({dated}) {_ENDS}").df()
    found = renames(ends)[["old", "new", "first_session_of_new"]].set_axis(list(COLUMNS), axis=1)
    if given is None or given.empty:
        return Renamed(_newest(found), [])

    usable, without_effect = _checked(given, ends)
    others = found[~found["old"].isin(usable["old"]) & ~found["new"].isin(usable["new"])]
    return Renamed(_newest(pd.concat([f for f in (others, usable) if len(f)] or [others])), without_effect)


def possible_renames(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    """Pairs of tickers that may be one share under two names and two ISINs, each as a sentence.

    The old one ends, the new one begins on the next session of the exchange, of the same class and at about the same
    price. It is a hint: of a market's many tickers two may do so by chance.

    Args:
        connection: where the relation can be read.
        relation: quotes with ticker, date, close; renamed tickers under their newest name.
    """
    columns = {str(row[0]).lower() for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    first_price = "coalesce(nullif(open, 0), close)" if "open" in columns else "close"
    spans = connection.execute(
        f"""SELECT ticker, regexp_extract(ticker, '^[A-Z0-9]{{4}}(3|4|5|6|7|8|11)$', 1) AS class,
            min(CAST("date" AS DATE)) AS first, max(CAST("date" AS DATE)) AS last,
            arg_min({first_price}, "date") AS opened, arg_max(close, "date") AS closed
        FROM {relation} WHERE ticker IS NOT NULL AND "date" IS NOT NULL AND close > 0 GROUP BY ticker ORDER BY ticker"""
    ).df()
    ended = spans[(spans["class"] != "") & (spans["last"] < spans["last"].max())]
    begun = spans[(spans["class"] != "") & (spans["first"] > spans["first"].min())]
    following = {day: sessions_after(pd.Timestamp(day).date(), 1) for day in ended["last"].unique()}
    after = [following[day][0] if len(following[day]) else None for day in ended["last"]]
    ended = ended.assign(next=pd.to_datetime(pd.Series(after, index=ended.index, dtype=object)).astype(begun["first"].dtype))
    pairs = ended.merge(begun, left_on=["next", "class"], right_on=["first", "class"], suffixes=("", "_new"))
    near = np.abs(np.log(pairs["opened_new"] / pairs["closed"])) < np.log(SAME_PRICE)
    return [
        f"{row.ticker} ended on {row.last:%Y-%m-%d} at R$ {row.closed:.2f} and {row.ticker_new} began on "
        f"{row.first_new:%Y-%m-%d} at R$ {row.opened_new:.2f}: if one became the other, add the row "
        f"{row.ticker},{row.ticker_new},{row.first_new:%Y-%m-%d} to {RENAMES}"
        for row in pairs[near].itertuples()
    ]


def _checked(given: pd.DataFrame, ends: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The user's rows whose tickers have quotes, and why the others have no effect."""
    span = ends.dropna(subset=["ticker"]).groupby("ticker")["date"].agg(["min", "max"])
    kept, told = [], []
    for number, (old, new, day) in enumerate(zip(given["old"], given["new"], given["date"], strict=True)):
        unknown = [ticker for ticker in (old, new) if ticker not in span.index]
        if unknown:
            told.append(f"rename of {old} to {new}: the lake has no quote of {' and '.join(unknown)}")
            continue
        if pd.Timestamp(span.loc[old, "max"]) >= day:
            raise InvalidActionsError(
                f"renames row {number + 1} ({old}, {new}): {old} has quotes until {span.loc[old, 'max']:%Y-%m-%d}, "
                f"and is to end before {day:%Y-%m-%d}",
                row=number + 1,
            )
        if pd.Timestamp(span.loc[new, "min"]) < day:
            raise InvalidActionsError(
                f"renames row {number + 1} ({old}, {new}): {new} has quotes from {span.loc[new, 'min']:%Y-%m-%d} on, "
                f"and is to begin on {day:%Y-%m-%d} or later",
                row=number + 1,
            )
        kept.append(number)
    return given.iloc[kept], told


def _newest(found: pd.DataFrame) -> pd.DataFrame:
    successor = dict(zip(found["old"], found["new"], strict=True))

    def last(name: str) -> str:
        while name in successor:  # a name begins after its predecessor's end, so that this comes to an end
            name = successor[name]
        return name

    table = pd.DataFrame({"old": found["old"].astype("str"), "new": [last(old) for old in found["old"]]}).astype("str")
    table["date"] = pd.to_datetime(found["date"]).to_numpy().astype("datetime64[s]")
    return table.sort_values("old", ignore_index=True)
