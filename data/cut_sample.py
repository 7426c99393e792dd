"""Cuts data/quotes.parquet: ``python data/cut_sample.py b3_daily.parquet b3_daily_tickers.csv``.

Kept so that anybody with the source tables can repeat it; running the project never needs it.
"""

import sys
from pathlib import Path

import duckdb

TICKERS = 60
SQL = """
COPY (
  WITH liquid AS (  -- judged on 2018 alone, before the first row of the sample
    SELECT ticker FROM read_parquet(?) q JOIN read_csv(?) t USING (ticker)
    WHERE t.price_basis IN ('raw', 'mostly raw')
      AND q.date BETWEEN DATE '2018-01-01' AND DATE '2018-12-31'
    GROUP BY ticker HAVING count(*) >= 200
    ORDER BY median(close * volume) DESC, ticker LIMIT {tickers}
  ), actions AS (
    -- the vendor dates a dividend on the last session with it; the ex-date is the next session
    SELECT *, coalesce(lag(dividend) OVER (PARTITION BY ticker ORDER BY date), 0) AS ex_dividend
    FROM read_parquet(?) WHERE ticker IN (FROM liquid)
  )
  SELECT ticker, date, company, type, isin, bdi_code, open, high, low, close, volume,
         split_coef AS split_factor, ex_dividend AS dividend
  FROM actions WHERE date BETWEEN DATE '2019-01-01' AND DATE '2023-12-31' ORDER BY ticker, date
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)
"""

DATING = """
WITH days AS (
  SELECT dividend, split_coef, open, close,
         lag(close) OVER own AS before, lead(open) OVER own AS next_open
  FROM read_parquet(?) WINDOW own AS (PARTITION BY ticker ORDER BY date)
), gaps AS (
  SELECT dividend / before AS yield,
         open / before - 1 AS same, next_open / close - 1 AS following
  FROM days WHERE split_coef = 1 AND dividend / before > 0.03
)
SELECT count(*), count(*) FILTER (abs(following + yield) < abs(same + yield)) FROM gaps
"""
"""Count the payments above 3 %, and those whose gap shows one session after the vendor's date."""


def main(quotes: str, tickers: str) -> None:
    """Write ``quotes.parquet`` beside this file; print how the vendor dates its dividends."""
    payments, later = duckdb.execute(DATING, [quotes]).fetchall()[0]
    print(f"of {payments} payments above 3 %, {later} show their gap one session after their date")

    target = Path(__file__).parent / "quotes.parquet"
    duckdb.execute(SQL.format(tickers=TICKERS, target=target), [quotes, tickers, quotes])
    rows, names = duckdb.execute(
        "SELECT count(*), count(DISTINCT ticker) FROM read_parquet(?)", [str(target)]
    ).fetchall()[0]
    print(f"{target}: {rows} rows, {names} tickers, {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:3])
