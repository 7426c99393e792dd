"""The files of the market are read strictly, from the storage or beside the quotes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from paths import SHARED_DATA

from b3shared.core.errors import InvalidMarketError
from b3shared.dataset.market import Daily, Market, Sectors
from b3shared.quotes.corporate_actions.announcements.table import COMPANY_TYPES
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.market.cdi import CDI, add_rates, parse_cdi, read_cdi, write_cdi
from b3shared.quotes.market.csv_file import Found
from b3shared.quotes.market.ibovespa import parse_ibovespa, read_ibovespa, write_ibovespa
from b3shared.quotes.market.load import load_market
from b3shared.quotes.market.sectors import (
    parse_sectors,
    read_sectors,
    sectors_of,
    update_sectors,
    write_sectors,
)
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.storage import FolderStorage

COMPANY = SHARED_DATA / "company"
PARSERS = {"cdi": parse_cdi, "ibovespa": parse_ibovespa, "sectors": parse_sectors}
SECTOR_ROW = "PETR4,Petróleo,Exploração,Refino,2023-12-28"


def daily(first: str, *values: float) -> Daily:
    days = np.datetime64(first) + np.arange(len(values))
    return Daily("CDI", CDI, days, np.array(values))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("cdi", "day,rate\n", "must have the columns date, rate, got 'day, rate'"),
        ("cdi", "", "must have the columns date, rate, got ''"),
        ("cdi", "date,rate,note\n", "must have the columns"),
        ("cdi", "date,rate\n2023-12-28,0.0004,1\n", "row 2: 2 values are needed, got 3"),
        ("cdi", "date,rate\n28/12/2023,0.0004\n", "row 2: date must be a date such as"),
        ("cdi", "date,rate\n20231228,0.0004\n", "got '20231228'"),
        ("cdi", "date,rate\n2023-12-28,0.0004\n2023-12-28,0.0004\n", "row 3: date must stand once"),
        ("cdi", "date,rate\n2023-12-28,0.043739\n", "got '0.043739'"),
        ("cdi", "date,rate\n2023-12-28,-0.0001\n", "row 2: rate must be a fraction a day"),
        ("cdi", "date,rate\n2023-12-28,nan\n", "row 2: rate must be a number"),
        ("ibovespa", "date,close\n2023-12-28,-134185\n", "row 2: close must be above 0"),
        ("ibovespa", "date,close\n2023-12-28,\n", "row 2: close must be a number"),
        ("sectors", "ticker,sector,subsector,segment\n", "must have the columns ticker, sector"),
        ("sectors", "{head}petr4,a,b,c,2023-12-28\n", "row 2: ticker must be such as PETR4"),
        ("sectors", "{head}{row}\n{row}\n", "row 3: ticker must stand once, got 'PETR4' again"),
        ("sectors", "{head}PETR4,,b,c,2023-12-28\n", "row 2: sector must not be empty"),
        ("sectors", "{head}PETR4,a,b,c,today\n", "row 2: read must be a date"),
    ],
)
def test_a_fault_names_the_row_and_the_value(kind: str, text: str, message: str) -> None:
    filled = text.format(head="ticker,sector,subsector,segment,read\n", row=SECTOR_ROW)
    with pytest.raises(InvalidMarketError) as raised:
        PARSERS[kind](Found(filled.encode(), "given.csv"))
    assert message in raised.value.message
    assert raised.value.message.startswith("given.csv")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidMarketError, match="must be a CSV file in UTF-8"):
        parse_sectors(Found("ticker,sector\nção".encode("latin-1"), "given.csv"))


def test_rows_may_come_in_any_order_and_every_digit_is_kept(tmp_path: Path) -> None:
    text = "rate,date\n0.00043739,2023-12-28\n0.1e-3,2023-12-27\n"
    rates = parse_cdi(Found(text.encode(), "given.csv"))
    assert rates.days.tolist() == [date(2023, 12, 27), date(2023, 12, 28)]
    assert rates.values.tolist() == [0.0001, 0.00043739]

    storage = FolderStorage(tmp_path)
    write_cdi(storage, rates)
    again = read_cdi(storage)
    assert again is not None
    assert again.values.tolist() == rates.values.tolist()


def test_the_file_of_the_storage_comes_before_the_one_beside_the_quotes(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "store")
    quotes = tmp_path / "quotes.parquet"
    assert read_ibovespa(storage, str(quotes)) is None

    (tmp_path / "ibovespa.csv").write_text("date,close\n2023-12-28,134185.23\n")
    assert read_ibovespa(storage, str(quotes)) is None  # there are no quotes that it lies beside
    quotes.touch()
    beside = read_ibovespa(storage, f"{quotes}#table")
    assert beside is not None
    assert (beside.source, beside.values.tolist()) == (
        "ibovespa.csv beside the quotes",
        [134185.23],
    )

    write_ibovespa(storage, Daily("Ibovespa", "", beside.days, beside.values * 2))
    stored = read_ibovespa(storage, str(quotes))
    assert stored is not None
    assert (stored.source, stored.values.tolist()) == ("market/ibovespa.csv", [2 * 134185.23])


def test_a_rate_that_is_known_is_never_replaced(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    assert add_rates(storage, daily("2023-12-26", 0.0001, 0.0002)) == 2
    assert add_rates(storage, daily("2023-12-25", 0.0005, 0.0006, 0.0007, 0.0008)) == 2
    assert add_rates(storage, daily("2023-12-25", 0.0009)) == 0

    rates = read_cdi(storage)
    assert rates is not None
    assert rates.values.tolist() == [0.0005, 0.0001, 0.0002, 0.0008]
    with pytest.raises(InvalidMarketError, match="rate must be a fraction"):
        add_rates(storage, daily("2023-12-29", 0.04))


def quotes_of(tmp_path: Path, closes: dict[str, list[float]], factor: float = 1.0) -> ParquetSource:
    frame = pd.DataFrame(
        {
            "ticker": [ticker for ticker, values in closes.items() for _ in values],
            "date": [
                pd.Timestamp(2023, 12, 26) + pd.Timedelta(days=n)
                for values in closes.values()
                for n in range(len(values))
            ],
            "close": [close for values in closes.values() for close in values],
            "volume": 1_000,
        }
    )
    frame["split_factor"] = [factor if n == 1 else 1.0 for n in range(len(frame))]

    return ParquetSource(write_parquet(frame, tmp_path / "quotes.parquet"))


def test_the_fund_among_the_quotes_comes_before_the_file_and_its_splits_are_no_return(
    tmp_path: Path,
) -> None:
    source = quotes_of(tmp_path, {"BOVA11": [100.0, 11.0, 12.0], "PETR4": [30.0]}, factor=10.0)
    (tmp_path / "ibovespa.csv").write_text("date,close\n2023-12-27,5\n2024-01-02,6\n")
    storage = FolderStorage(tmp_path / "store")
    last = date(2023, 12, 31)

    market = load_market(source, date(2023, 12, 26), last, storage, str(source.path))
    assert [index.name for index in market.indices] == ["Ibovespa (BOVA11)", "Ibovespa"]
    assert market.indices[0].values.tolist() == [100.0, 110.0, 120.0]
    assert market.indices[1].values.tolist() == [5.0]  # of the period alone
    assert market.cdi is None
    assert market.sectors is None


def test_a_market_of_which_nothing_is_known_is_false(tmp_path: Path) -> None:
    source = quotes_of(tmp_path, {"PETR4": [30.0, 31.0]})
    day = date(2023, 12, 26)
    assert not load_market(source, day, day, FolderStorage(tmp_path / "store"), str(source.path))
    assert not Market()


def test_a_kept_market_is_the_same_and_has_the_same_bytes(tmp_path: Path) -> None:
    sectors = parse_sectors(
        Found(f"ticker,sector,subsector,segment,read\n{SECTOR_ROW}\n".encode(), "given.csv")
    )
    market = Market(daily("2023-12-28", 0.0004), (daily("2023-12-28", 9.0),), sectors)
    kept = market.save(tmp_path)
    before = kept.read_bytes()

    loaded = Market.load(kept)
    assert loaded.save(tmp_path).read_bytes() == before
    assert loaded.sectors is not None
    assert loaded.sectors.sector.tolist() == ["Petróleo"]
    assert loaded.cdi is not None
    assert loaded.cdi.values.tolist() == [0.0004]
    assert Market.load(Market().save(tmp_path)) == Market()


def companies(*rows: tuple[str | None, str | None, str]) -> pd.DataFrame:
    """Company details: ticker, sector and the day on which they were fetched."""
    frame = pd.DataFrame({name: [None] * len(rows) for name in COMPANY_TYPES})
    frame["ticker"] = [row[0] for row in rows]
    frame["sector"] = [row[1] for row in rows]
    frame["segment"] = "Bancos"
    frame["details_fetched"] = pd.to_datetime([row[2] for row in rows], format="ISO8601")
    return frame


def test_the_newest_reading_of_a_ticker_counts_and_no_ticker_is_lost(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    first = companies(
        ("PETR4", "Petróleo", "2023-01-02 12:00"), ("OIBR3", "Comunicações", "2023-01-02 12:00")
    )
    assert update_sectors(storage, first)
    assert not update_sectors(storage, first)

    later = companies(
        ("PETR4", "Energia", "2023-06-02 00:30"),
        ("PETR4", "Minas", "2023-03-01"),
        ("VALE3", None, "2023-06-01"),
        (None, "Energia", "2023-06-01"),
    )
    assert update_sectors(storage, later)
    table = read_sectors(storage)
    assert table is not None
    assert table.ticker.tolist() == ["OIBR3", "PETR4"]
    assert table.sector.tolist() == ["Comunicações", "Energia"]
    assert [str(day) for day in table.read] == ["2023-01-02", "2023-06-01"]
    assert table.subsector.tolist() == ["", ""]


def test_updates_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    tickers = [f"AAA{n}3" for n in range(8)]
    tables = [companies((ticker, "Petróleo", "2023-01-02 12:00")) for ticker in tickers]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda table: update_sectors(storage, table), tables))
    found = read_sectors(storage)
    assert found is not None
    assert found.ticker.tolist() == tickers


def test_codes_that_are_no_tickers_are_left_out_and_the_file_stays_readable(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    both = [("ABEV-DEB61", "Consumo", "2023-01-02 12:00"), ("ABEV3", "Consumo", "2023-01-02 12:00")]
    assert update_sectors(storage, companies(*both))
    assert not update_sectors(storage, companies(*both))

    found = read_sectors(storage)
    assert found is not None
    assert found.ticker.tolist() == ["ABEV3"]


def test_companies_without_details_leave_the_storage_as_it_was(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    assert not update_sectors(storage, companies())
    assert storage.list() == []


def test_tickers_without_a_sector_are_empty_not_invented() -> None:
    table = sectors_of(companies(("PETR4", "Petróleo", "2023-01-02")))
    found = table.of(np.array(["AAAA3", "PETR4", "ZZZZ3"]))
    assert found.sector.tolist() == ["", "Petróleo", ""]
    assert np.isnat(found.read).tolist() == [True, False, True]
    assert sectors_of(companies()).of(np.array(["PETR4"])).sector.tolist() == [""]


@pytest.mark.skipif(not COMPANY.exists(), reason="the larger development data is absent")
def test_the_real_rates_closes_and_sectors_are_read(tmp_path: Path) -> None:
    rates = pd.read_csv(COMPANY / "cdi_daily.csv").rename(columns={"cdi_daily": "rate"})
    text = rates.to_csv(index=False).encode()
    assert len(parse_cdi(Found(text, "cdi.csv"))) == len(rates)

    closes = pd.read_csv(COMPANY / "ibovespa.csv").drop(columns="source").dropna()
    text = closes.to_csv(index=False).encode()
    assert len(parse_ibovespa(Found(text, "ibovespa.csv"))) == len(closes)

    sectors = pd.read_csv(COMPANY / "sectors.csv").assign(read="2023-12-28")
    text = sectors.to_csv(index=False).encode()
    table = parse_sectors(Found(text, "sectors.csv"))
    assert isinstance(table, Sectors)
    assert len(table) == len(sectors)
    assert write_sectors(FolderStorage(tmp_path), table)
