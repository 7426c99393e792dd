"""Reads the vendor's quotes with corrected share factors and the exchange's own payments.

``cut_sample.py`` cuts the bundled sample from them, and ``tests/bench/bench_skill.py`` measures on
them. The folder holds ``b3_daily.parquet``, ``b3_daily_tickers.csv`` and
``company/cash_dividends.parquet``.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

FACTORS: dict[tuple[str, str], tuple[float, str]] = {
    ("TUPY3", "2010-07-20"): (1.0, "close 13.14 -> 14.18: no grouping of 1000 on this session"),
    ("ABEV3", "2013-12-02"): (5.0, "close 87.00 -> 17.51, a step of 4.97"),
    ("PRIO3", "2014-08-11"): (0.1, "close 1.40 -> 14.05, a step of 0.100"),
    ("COGN3", "2014-09-15"): (4.0, "close 61.94 -> 15.24, a step of 4.06"),
    ("RCSL3", "2023-05-02"): (2.0, "close 3.31 -> 1.66, a step of 1.99; the vendor has 0.5"),
}
"""(ticker, session) -> the factor that the price shows, and its witness.

The vendor has none there, or another one; its own adjusted close knows the three that it lacks.
"""

RIGHTS: dict[str, str] = {
    "ABCB4": "2012-07-03 2013-01-03 2013-07-01 2014-01-02 2015-01-02 2015-07-01 2016-01-04 "
    "2016-07-01 2017-01-02 2017-07-03 2018-01-02 2018-07-02 2019-01-02",
    "BPAN4": "2012-01-19 2014-06-17",
    "ELET6": "2011-01-12",
    "ENGI11": "2018-11-14",
    "ITSA4": "2011-05-02 2013-05-08 2014-02-19 2015-02-11 2017-02-21 2018-02-23 2023-08-18",
    "SEER3": "2017-09-18",
}
"""Sessions on which the vendor turned a subscription right into a factor between 1.001 and 1.023.

No share was given, and the second source of quotes (Yahoo's) has no split there. The factor is 1.
"""

SCALED_CLOSES: dict[tuple[str, str], float] = {
    ("ITUB3", "2013-05-20"): 1.1,
    ("ITUB4", "2013-05-20"): 1.1,
    ("DXCO3", "2014-04-22"): 1.1,
    ("ITUB3", "2014-06-05"): 1.1,
}
"""(ticker, last session before a bonus) -> what close and low have to be multiplied by.

The vendor divided both by the factor of the next session: the close of ITUB3 on 2014-06-05, 29.3637
after an open of 32.50, is 32.30 / 1.1.
"""

VOLUME_SCALES: dict[str, float] = {
    **dict.fromkeys(["B3SA3", "BBDC3", "BBDC4", "CPLE3", "CPLE6", "DXCO3", "EGIE3", "ENEV3"], 1.0),
    **dict.fromkeys(["MULT3", "ODPV3", "SAPR11"], 1.0),
    "CMIG4": 1.3,
    "GGBR4": 1.2,
    "ITSA4": 1.0546,
    "ITUB3": 1.1,
    "ITUB4": 1.1,
    "VIVT3": 2.0,
}
"""Tickers whose volume the vendor multiplied by its later factors -> the part of those after 2023.

Divided by both, volumes equal the exchange's own on 16 sessions of 2016, 21 of 2020 and 2 later.
The volume of KEPL3 is 20 to 60 times the exchange's, and not explained.
"""

BAD_BARS = (("BPAN4", "2012-02-22"), ("ODPV3", "2020-11-20"))
"""Bars of another scale than the sessions beside them: 6.93, 11.76, 6.91; 12.54, 87.46, 12.93."""

FIRST_SESSIONS = {"RAIL3": "2015-04-01"}
"""Earlier rows are of a company that merged into this one, at a ratio that no source here has."""


@dataclass(frozen=True)
class Paper:
    """The name under which the exchange lists a ticker's payments, and the days it holds for."""

    listed: str
    first: str = "1900-01-01"
    last: str = "9999-12-31"


RENAMED: dict[str, tuple[Paper, ...]] = {
    "NATU3": (Paper("NATU3", last="2019-12-17"), Paper("NTCO3", first="2019-12-18")),
    "SIMH3": (Paper("JSLG3", last="2020-09-18"), Paper("SIMH3", first="2020-09-21")),
    "TIMS3": (Paper("TIMP3", last="2020-10-09"), Paper("TIMS3", first="2020-10-13")),
}
"""Tickers whose payments stand under two names, one share each for one of the other.

Later payments of NATU3 are those of a subsidiary that is not traded.
"""


@dataclass(frozen=True)
class VendorQuotes:
    """Quotes with corrected factors and placed payments.

    Attributes:
        frame: sorted by ticker and date, with ``split_factor`` and ``dividend`` (R$ per share of
            the session before, on the ex-date).
        calendar: every session of the vendor's, sorted.
        placed: payments that ``dividend`` contains: ticker, last_cum, ex_date, date (the row, after
            ex_date where the ticker has no row that day), value (R$ a share, of all its payments
            of that day), payments.
        outside: payments of the same tickers without a row: before the first or after the last.
    """

    frame: pd.DataFrame
    calendar: pd.DatetimeIndex
    placed: pd.DataFrame
    outside: pd.DataFrame


def raw_tickers(folder: Path) -> list[str]:
    """Return the tickers whose prices are as traded, or mostly so, sorted."""
    basis = pd.read_csv(folder / "b3_daily_tickers.csv").set_index("ticker")["price_basis"]
    return sorted(basis.index[basis.isin(["raw", "mostly raw"])])


def read_vendor_quotes(folder: Path, tickers: list[str]) -> VendorQuotes:
    """Return the quotes of some tickers, corrected."""
    quotes = folder / "b3_daily.parquet"
    sql = "SELECT DISTINCT date FROM read_parquet(?) ORDER BY date"
    calendar = pd.DatetimeIndex(duckdb.execute(sql, [str(quotes)]).df()["date"])
    frame = duckdb.execute(
        "SELECT ticker, date, company, type, isin, bdi_code, open, high, low, close, volume, "
        "split_coef AS split_factor FROM read_parquet(?) WHERE list_contains(?, ticker) "
        "ORDER BY ticker, date",
        [str(quotes), tickers],
    ).df()

    frame = _corrected(frame)
    paid = _payments(folder / "company" / "cash_dividends.parquet", tickers)
    placed, outside = _placed(paid, frame, calendar)

    by_row = placed.groupby(["ticker", "date"])["value"].sum().rename("dividend")
    frame = frame.join(by_row, on=["ticker", "date"])
    return VendorQuotes(frame.fillna({"dividend": 0.0}), calendar, placed, outside)


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    """Correct volumes, factors and closes, and drop bad bars and rows of predecessors."""
    frame = frame.assign(volume=_traded_volume(frame)).set_index(["ticker", "date"])
    rights = {(ticker, day): 1.0 for ticker, days in RIGHTS.items() for day in days.split()}
    factors = {key: factor for key, (factor, _) in FACTORS.items()} | rights

    for key, factor in factors.items():
        if (row := _row(key)) in frame.index:
            frame.loc[row, "split_factor"] = factor
    for key, scale in SCALED_CLOSES.items():
        if (row := _row(key)) in frame.index:
            frame.loc[row, ["low", "close"]] = (frame.loc[row, ["low", "close"]] * scale).round(4)

    frame = frame.drop([_row(key) for key in BAD_BARS if _row(key) in frame.index])
    frame = frame.reset_index()
    first = pd.to_datetime(frame["ticker"].map(FIRST_SESSIONS))
    return frame[~(frame["date"] < first)].reset_index(drop=True)


def _traded_volume(frame: pd.DataFrame) -> pd.Series:
    """Return volumes in shares of their own day, by the vendor's own factors."""
    factors = frame["split_factor"]
    later = factors[::-1].groupby(frame["ticker"]).cumprod()[::-1] / factors
    scale = (later * frame["ticker"].map(VOLUME_SCALES)).fillna(1.0)
    return (frame["volume"] / scale).round().astype("int64")


def _row(key: tuple[str, str]) -> tuple[str, pd.Timestamp]:
    return key[0], pd.Timestamp(key[1])


def _payments(path: Path, tickers: list[str]) -> pd.DataFrame:
    """Return a row for each ticker and last session with the right: value, payments.

    Equal payments are instalments: all are added.
    """
    papers = pd.DataFrame(
        [
            (ticker, paper.listed, paper.first, paper.last)
            for ticker in tickers
            for paper in RENAMED.get(ticker, (Paper(ticker),))
        ],
        columns=["ticker", "listed", "first", "last"],
    )
    sql = """
        SELECT papers.ticker, last_cum, sum(value) AS value, count(*) AS payments
        FROM read_parquet(?) paid JOIN papers ON paid.ticker = papers.listed
        WHERE last_cum BETWEEN papers.first::DATE AND papers.last::DATE
        GROUP BY ALL ORDER BY ALL
    """

    with duckdb.connect() as connection:
        connection.register("papers", papers)
        return connection.execute(sql, [str(path)]).df()


def _placed(
    paid: pd.DataFrame, frame: pd.DataFrame, calendar: pd.DatetimeIndex
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the payments with their rows, and those that have none.

    The ex-date is the exchange's session after the last one with the right. A ticker without a row
    that day gets the payment on its next row.
    """
    position = calendar.searchsorted(paid["last_cum"], side="right")
    later = position < len(calendar)
    paid = paid.assign(ex_date=pd.NaT)
    paid.loc[later, "ex_date"] = calendar[position[later]]

    first = paid["ticker"].map(frame.groupby("ticker")["date"].min())
    known = paid["ex_date"].notna() & (paid["ex_date"] >= first)
    rows = frame[["ticker", "date"]].sort_values("date")
    placed = pd.merge_asof(
        paid[known].astype({"ex_date": rows["date"].dtype}).sort_values("ex_date"),
        rows,
        left_on="ex_date",
        right_on="date",
        by="ticker",
        direction="forward",
    )

    outside = pd.concat([paid[~known], placed[placed["date"].isna()]])
    return placed.dropna(subset=["date"]), outside[["ticker", "last_cum", "value", "payments"]]
