"""The bundled sample is what its script cuts, and its payments stand on the exchange's sessions."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from b3shared.core.config import BUNDLED_MARKET, BUNDLED_QUOTES
from data.vendor_quotes import FACTORS, RIGHTS, read_vendor_quotes

TICKERS = ["BBAS3", "COGN3", "ITSA4", "NATU3", "PETR4", "TIMS3"]
BUNDLED = BUNDLED_QUOTES.parent


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    sql = f"FROM '{BUNDLED_QUOTES}' WHERE list_contains({TICKERS}, ticker) ORDER BY ticker, date"
    return duckdb.execute(sql).df()


def test_the_sample_is_what_the_script_reads(sample: pd.DataFrame, shared_data: Path) -> None:
    if not (shared_data / "company").exists():
        pytest.skip("the payments are not part of the repository")
    quotes = read_vendor_quotes(shared_data, TICKERS).frame
    inside = quotes["date"].between("2014-01-01", "2023-12-31")
    found = quotes[inside].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, sample, check_dtype=False)


def test_every_payment_stands_on_the_session_after_the_last_one_with_the_right(
    sample: pd.DataFrame, shared_data: Path
) -> None:
    path = shared_data / "company" / "cash_dividends.parquet"
    if not path.exists():
        pytest.skip("the payments are not part of the repository")
    names = [ticker for ticker in TICKERS if ticker not in ("NATU3", "TIMS3")]
    paid = duckdb.execute(
        "SELECT ticker, last_cum::DATE AS day, value FROM read_parquet(?) "
        "WHERE list_contains(?, ticker) AND last_cum BETWEEN '2014-01-02' AND '2023-12-27'",
        [str(path), names],
    ).df()
    calendar = read_vendor_quotes(shared_data, ["PETR4"]).calendar

    expected: dict[tuple[str, pd.Timestamp], float] = {}
    rows = {ticker: own["date"].tolist() for ticker, own in sample.groupby("ticker")}
    for ticker, day, value in paid.itertuples(index=False):
        ex_date = next(session for session in calendar if session > day)
        row = next(date for date in rows[ticker] if date >= ex_date)
        expected[ticker, row] = expected.get((ticker, row), 0.0) + value

    own = sample[sample["ticker"].isin(names) & (sample["dividend"] > 0)]
    own = own[own["date"] > "2014-01-02"].set_index(["ticker", "date"])["dividend"]
    assert set(own.index) == set(expected)
    np.testing.assert_allclose(own, [expected[key] for key in own.index], rtol=1e-12)


def test_the_corrected_factors_agree_with_the_price(sample: pd.DataFrame) -> None:
    previous = sample.groupby("ticker")["close"].shift(1)
    step = previous / sample["close"]
    listed = sample["split_factor"] != 1
    known = sample["split_factor"] + sample["dividend"] / sample["close"]
    assert listed.sum() == 9
    assert (np.abs(step / known - 1)[listed] < 0.10).all()

    by_row = sample.set_index(["ticker", "date"])["split_factor"]
    for (ticker, day), (factor, _) in FACTORS.items():
        if (ticker, pd.Timestamp(day)) in by_row.index:
            assert by_row[ticker, pd.Timestamp(day)] == factor
    for day in RIGHTS["ITSA4"].split():
        assert by_row.get(("ITSA4", pd.Timestamp(day)), 1.0) == 1.0


def test_the_market_s_files_have_a_row_for_each_session_or_ticker() -> None:
    sessions = f"(SELECT DISTINCT date FROM '{BUNDLED_QUOTES}')"
    for name, missing in (("cdi.csv", []), ("ibovespa.csv", ["2020-11-20"])):
        sql = f"SELECT date FROM {sessions} ANTI JOIN '{BUNDLED / name}' USING (date)"
        assert [str(day) for (day,) in duckdb.execute(sql).fetchall()] == missing

    (rates,) = duckdb.execute(
        f"SELECT min(rate), max(rate) FROM '{BUNDLED / 'cdi.csv'}'"
    ).fetchall()
    assert 0.00005 < rates[0] < rates[1] < 0.0006

    sectors = pd.read_csv(BUNDLED / "sectors.csv")
    assert list(sectors.columns) == ["ticker", "sector", "subsector", "segment", "read"]
    assert sectors.notna().all(axis=None)
    tickers = {
        t for (t,) in duckdb.execute(f"SELECT DISTINCT ticker FROM '{BUNDLED_QUOTES}'").fetchall()
    }
    assert tickers - set(sectors["ticker"]) == {"CSNA3", "MRFG3", "NATU3"}
    assert set(BUNDLED_MARKET) == {path.name for path in BUNDLED.glob("*.csv")}
