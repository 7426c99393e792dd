"""Cuts the bundled sample: ``python data/cut_sample.py FOLDER``.

The folder holds ``b3_daily.parquet``, ``b3_daily_tickers.csv`` and ``company/`` with
``cash_dividends.parquet``, ``cdi_daily.csv``, ``ibovespa.csv``, ``sectors.csv`` and
``share_events.csv``. Kept so that anybody with the sources can repeat it; running the project never
needs it. NOTICE.md says where each came from.
"""

import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from vendor_quotes import VendorQuotes, raw_tickers, read_vendor_quotes

HERE = Path(__file__).parent
TICKERS = 62
START = pd.Timestamp("2014-01-01")
END = pd.Timestamp("2023-12-31")
MIN_SESSIONS_2013 = 120
MAX_OFF_CENT = 0.1
"""Share of a year's closes that are no whole number of cents; above it they are not as traded."""
MAX_DISAGREEMENT = 0.1
"""Relative difference between a factor, with its payment, and the price's step that is printed."""
SECTORS_READ = "2026-01-01"
"""The source says 2026 and no day: the first of that year stands for it."""

LIQUID = """
SELECT ticker FROM read_parquet(?) quotes JOIN read_csv(?) USING (ticker)
WHERE list_contains(?, ticker) AND date BETWEEN DATE '2013-01-01' AND DATE '2013-12-31'
GROUP BY ticker HAVING count(*) >= ?
ORDER BY median(close * volume / median_volume_ratio) DESC, ticker
"""
"""By the turnover of 2013 alone, before the first row.

The vendor multiplied the volume of some tickers by later splits; the ratio to the exchange's volume
undoes that.
"""


def liquid_tickers(folder: Path) -> list[str]:
    """Return the most liquid tickers of 2013 whose prices are as traded, most liquid first."""
    quotes = folder / "b3_daily.parquet"
    off_cent = duckdb.execute(
        "SELECT DISTINCT ticker FROM read_parquet(?) WHERE date BETWEEN ? AND ? "
        "GROUP BY ticker, year(date) "
        "HAVING avg((abs(100 * close - round(100 * close)) > 0.03)::INT) > ?",
        [str(quotes), START, END, MAX_OFF_CENT],
    ).df()["ticker"]
    candidates = sorted(set(raw_tickers(folder)) - set(off_cent))

    names = str(folder / "b3_daily_tickers.csv")
    values = [str(quotes), names, candidates, MIN_SESSIONS_2013]
    ranked = duckdb.execute(LIQUID, values).df()["ticker"].tolist()
    print(f"not as traded, left out: {', '.join(sorted(set(off_cent) & set(raw_tickers(folder))))}")
    return ranked[:TICKERS]


def report_payments(quotes: VendorQuotes) -> None:
    """Print how many payments are in the sample, and where the others lie."""
    placed = quotes.placed
    inside = placed["date"].between(START, END)
    moved = placed[inside & (placed["date"] > placed["ex_date"])]
    outside = quotes.outside
    late = outside[outside["last_cum"] >= quotes.frame["date"].max()]

    print(f"payments: {placed.loc[inside, 'payments'].sum()} on {inside.sum()} ex-dates")
    print(f"  on the ticker's next row, as it has none on the ex-date: {len(moved)}")
    print(f"  left out, ex-date before {START.date()}: {placed.loc[~inside, 'payments'].sum()}")
    early = outside["payments"].sum() - late["payments"].sum()
    print(f"  left out, before the ticker's first row: {early}")
    print(f"  left out, ex-date after {END.date()}: {late['payments'].sum()}", end="")
    print(f" ({', '.join(sorted(set(late['ticker'])))})")


def report_factors(frame: pd.DataFrame) -> None:
    """Print the factors that the price does not show, and large steps without a factor."""
    previous = frame.groupby("ticker")["close"].shift(1)
    growth = (frame["close"] * frame["split_factor"] + frame["dividend"]) / previous - 1
    listed = frame["split_factor"] != 1
    print(f"factors: {listed.sum()} in {frame.loc[listed, 'ticker'].nunique()} tickers")

    for row in frame[listed & (growth.abs() > MAX_DISAGREEMENT)].itertuples():
        print(f"  {row.ticker} {row.date.date()}: {row.split_factor} unlike the price's step")
    for row in frame[~listed & (growth.abs() > 0.40)].itertuples():
        print(f"  {row.ticker} {row.date.date()}: {growth[row.Index]:+.3f} without a factor")


def check_share_events(folder: Path, frame: pd.DataFrame) -> None:
    """Stop unless each published share event of a bundled ticker and session is in the sample."""
    events = pd.read_csv(folder / "company" / "share_events.csv", parse_dates=["last_date_prior"])
    events["factor"] = pd.to_numeric(events["multiplier_shares"], errors="coerce")
    inside = events["last_date_prior"].between(START, END) & events["ticker"].isin(frame["ticker"])

    for event in events[inside & events["factor"].notna()].itertuples():
        own = frame[(frame["ticker"] == event.ticker) & (frame["date"] > event.last_date_prior)]
        if not np.isclose(own["split_factor"].iloc[0], event.factor):
            raise SystemExit(f"{event.ticker} lacks {event.factor} after {event.last_date_prior}")
        print(f"published and in the sample: {event.ticker} {event.factor}")


def write_quotes(frame: pd.DataFrame) -> None:
    """Write ``quotes.parquet``; ``frame`` has the columns of the file."""
    target = HERE / "quotes.parquet"
    with duckdb.connect() as connection:
        connection.register("sample", frame)
        connection.execute(
            "COPY (SELECT * REPLACE (date::DATE AS date) FROM sample ORDER BY ticker, date) "
            "TO ? (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)",
            [str(target)],
        )
    size = target.stat().st_size / 1e6
    print(f"{target.name}: {len(frame)} rows, {frame['ticker'].nunique()} tickers, {size:.2f} MB")


def write_market(folder: Path, tickers: list[str]) -> None:
    """Write the daily rate, the index and the sectors."""
    first = pd.Timestamp("2013-01-01")
    for name, source, column in (
        ("cdi.csv", "cdi_daily.csv", "cdi_daily"),
        ("ibovespa.csv", "ibovespa.csv", "close"),
    ):
        rows = pd.read_csv(folder / "company" / source, parse_dates=["date"], dtype={column: str})
        rows = rows.loc[rows["date"].between(first, END), ["date", column]]
        if column == "cdi_daily":
            # the source has the binary noise of a division: the published rate has six decimals
            rows["rate"] = [f"{round(float(rate), 8):.8f}" for rate in rows.pop(column)]
        rows.to_csv(HERE / name, index=False, date_format="%Y-%m-%d", lineterminator="\n")
        print(f"{name}: {len(rows)} sessions")

    sectors = pd.read_csv(folder / "company" / "sectors.csv").set_index("ticker")
    missing = sorted(set(tickers) - set(sectors.index))
    print(f"sectors.csv: without a sector: {', '.join(missing) or 'none'}")
    known = sectors.loc[sorted(set(tickers) - set(missing))].assign(read=SECTORS_READ)
    known.to_csv(HERE / "sectors.csv", lineterminator="\n")


def main(folder: Path) -> None:
    """Write the four files beside this one; print what was left out."""
    tickers = liquid_tickers(folder)
    quotes = read_vendor_quotes(folder, tickers)
    frame = quotes.frame[quotes.frame["date"].between(START, END)].reset_index(drop=True)

    report_payments(quotes)
    report_factors(frame)
    check_share_events(folder, frame)
    write_quotes(frame)
    write_market(folder, tickers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
