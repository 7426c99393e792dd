"""Loading keeps the period and the tickers with enough history, and counts every row left out."""

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import (
    InvalidParameterError,
    NoQuotesError,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.params.run import PipelineParams
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.loading.shards import load_shards
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery

SOURCE = ParquetSource(BUNDLED_QUOTES)
FIVE_YEARS = f"(FROM '{BUNDLED_QUOTES}' WHERE date >= DATE '2019-01-01')"
"""The rows that the default period reads."""


def cut(tmp_path: Path, sql: str) -> ParquetSource:
    path = tmp_path / "cut.parquet"
    duckdb.execute(f"COPY (SELECT * FROM {FIVE_YEARS} q WHERE {sql}) TO '{path}' (FORMAT parquet)")
    return ParquetSource(path)


def test_rows_read_are_kept_or_counted_as_dropped() -> None:
    quotes = load_quotes(SOURCE, PipelineParams())
    report = quotes.report
    assert report["rows_read"] == report["rows"] + sum(report["dropped"].values())
    assert report["rows"] == len(quotes.frame)
    assert report["dropped"] == {"zero_volume": 1}
    assert report["missing_columns"] == ["avg", "best_buy", "best_sell", "trades", "turnover"]
    assert (report["first_session"], report["last_session"], report["tickers"]) == (
        "2019-01-02",
        "2023-12-28",
        62,
    )
    assert report["dividends_known"] == {
        "tickers_with_unknown": 0,
        "rows_unknown": 0,
        "earliest_until": "2023-12-28",
        "latest_until": "2023-12-28",
        "tickers_never_known": 0,
        "dividends_known_until": {},
    }


def test_the_bundled_sample_is_what_the_notice_says() -> None:
    assert Path(BUNDLED_QUOTES).stat().st_size <= 6_000_000
    frame = SOURCE.read(QuoteQuery())
    assert not frame.duplicated(["ticker", "date"]).any()
    assert (len(frame), frame["ticker"].nunique()) == (152_000, 62)
    assert (str(frame["date"].min().date()), str(frame["date"].max().date())) == (
        "2014-01-02",
        "2023-12-28",
    )
    assert int((frame["split_factor"] != 1).sum()) == 66


def test_a_period_before_all_quotes_is_refused_and_one_longer_than_the_calendar_is_cut() -> None:
    with pytest.raises(NoQuotesError, match="from 0001-01-01 to 0004-01-01"):
        load_quotes(SOURCE, PipelineParams(end=date(4, 1, 1)))
    everything = load_quotes(SOURCE, PipelineParams(start=date(1990, 1, 1))).frame
    assert len(load_quotes(SOURCE, PipelineParams(period="9999y")).frame) == len(everything)


def test_start_and_end_win_over_the_period_and_an_end_in_the_future_is_the_newest() -> None:
    params = PipelineParams.from_values(start="2021-06-01", end="2030-01-01", period="1y")
    report = load_quotes(SOURCE, params).report
    assert (report["first_session"], report["last_session"]) == ("2021-06-01", "2023-12-28")


def test_a_ticker_with_too_little_history_is_left_out_by_name(tmp_path: Path) -> None:
    source = cut(tmp_path, "ticker <> 'PETR4' OR date >= DATE '2023-06-01'")
    report = load_quotes(source, PipelineParams()).report
    assert report["tickers"] == 61
    assert report["tickers_with_too_little_history"] == {"PETR4": 145}
    assert report["dropped"]["too_little_history"] == 145


def test_a_ticker_with_few_rows_is_a_warning(tmp_path: Path) -> None:
    source = cut(tmp_path, "ticker <> 'PETR4' OR date >= DATE '2022-01-01'")
    report = load_quotes(source, PipelineParams()).report
    assert report["tickers_with_few_rows"] == {"DASA3": 928, "PETR4": 498}
    assert report["tickers"] == 62


def test_no_ticker_with_enough_history_says_how_much_there_is_and_is_needed() -> None:
    with pytest.raises(TooLittleHistoryError, match=r"286 sessions .* has 2\d\d"):
        load_quotes(SOURCE, PipelineParams.from_values(period="1y"))


def test_dates_before_the_data_an_unknown_ticker_and_only_bad_rows_are_named(
    tmp_path: Path,
) -> None:
    with pytest.raises(NoQuotesError, match="no quote from 2001-01-01 to 2001-12-31"):
        load_quotes(SOURCE, PipelineParams.from_values(start="2001-01-01", end="2001-12-31"))
    with pytest.raises(UnknownTickerError, match="XXXX3"):
        load_quotes(SOURCE, PipelineParams.from_values(tickers=["PETR4", "XXXX3"]))
    path = tmp_path / "halted.parquet"
    duckdb.execute(
        f"COPY (SELECT * REPLACE (0 AS volume) FROM {FIVE_YEARS}) TO '{path}' (FORMAT parquet)"
    )
    with pytest.raises(NoQuotesError, match="76619 zero_volume"):
        load_quotes(ParquetSource(path), PipelineParams())


def changed(tmp_path: Path, replace: str, where: str, more: str = "false") -> ParquetSource:
    """Write the bundled quotes with one column replaced in the rows of ``where``.

    The rows of ``more`` are there a second time; ``where`` can tell them by ``second``.
    """
    path = tmp_path / "changed.parquet"
    rows = (
        f"SELECT *, false AS second FROM {FIVE_YEARS} "
        f"UNION ALL SELECT *, true FROM {FIVE_YEARS} WHERE {more}"
    )
    column, value = replace.split("=")
    new = f"CASE WHEN {where} THEN {value} ELSE {column} END AS {column}"
    duckdb.execute(
        f"COPY (SELECT * EXCLUDE (second) REPLACE ({new}) FROM ({rows})) "
        f"TO '{path}' (FORMAT parquet)"
    )
    return ParquetSource(path)


DAY = "ticker = 'PETR4' AND date = DATE '2023-06-01'"


@pytest.mark.parametrize(
    ("replace", "kind"),
    [
        ("date=DATE '2099-01-01'", "future_date"),
        ("date=NULL", "no_date"),
        ("ticker=NULL", "no_ticker"),
    ],
)
@pytest.mark.parametrize("params", [{}, {"tickers": ["PETR4", "VALE3"]}])
def test_a_row_of_no_day_or_no_ticker_is_counted_and_changes_nothing_else(
    replace: str, kind: str, params: dict[str, object], tmp_path: Path
) -> None:
    expected = load_quotes(SOURCE, PipelineParams.from_values(params))
    found = load_quotes(
        changed(tmp_path, replace, "second", DAY), PipelineParams.from_values(params)
    )
    assert found.report["dropped"] == expected.report["dropped"] | {kind: 1}
    assert found.report["rows_read"] == expected.report["rows_read"] + 1
    assert found.report["last_session"] == "2023-12-28"
    pd.testing.assert_frame_equal(found.frame, expected.frame)


def test_a_future_row_outside_the_period_is_not_read(tmp_path: Path) -> None:
    source = changed(tmp_path, "date=DATE '2099-01-01'", "second", DAY)
    assert load_quotes(source, PipelineParams.from_values(end="2023-12-28")).report["dropped"] == {
        "zero_volume": 1
    }
    with pytest.raises(
        NoQuotesError,
        match="no quote of PETR4 from 2001-01-01 to 2001-12-31; its newest is of 2023-12-28",
    ):
        load_quotes(
            source,
            PipelineParams.from_values(start="2001-01-01", end="2001-12-31", tickers=["PETR4"]),
        )


def test_undated_rows_alone_are_no_quotes_of_a_period(tmp_path: Path) -> None:
    source = changed(tmp_path, "date=NULL", "second", DAY)
    with pytest.raises(NoQuotesError, match="no quote from 2001-01-01 to 2001-12-31"):
        load_quotes(source, PipelineParams.from_values(start="2001-01-01", end="2001-12-31"))


def test_a_bad_twin_of_a_good_row_costs_no_day(tmp_path: Path) -> None:
    expected = load_quotes(SOURCE, PipelineParams())
    found = load_quotes(changed(tmp_path, "volume=0", "second", DAY), PipelineParams())
    assert found.report["dropped"] == {"zero_volume": 2}
    pd.testing.assert_frame_equal(found.frame, expected.frame)


def test_a_year_without_volume_is_reported_and_only_bad_rows_name_the_tickers(
    tmp_path: Path,
) -> None:
    source = changed(tmp_path, "volume=NULL", "year(date) = 2022")
    (finding,) = (
        f
        for f in load_quotes(source, PipelineParams()).report["findings"]
        if f["kind"] == "missing_value"
    )
    assert (finding["rows"], finding["action"]) == (
        len(SOURCE.read(QuoteQuery(date(2022, 1, 1), date(2022, 12, 31)))),
        "kept",
    )
    assert finding["examples"][0].endswith("2022-01-03: no volume")
    halted = changed(tmp_path, "volume=0", "ticker = 'PETR4'")
    with pytest.raises(NoQuotesError, match=r"all \d+ rows of PETR4 were dropped: \d+ zero_volume"):
        load_quotes(halted, PipelineParams.from_values(tickers=["PETR4"]))


@pytest.mark.parametrize(
    "params",
    [
        {"period": "5"},
        {"period": "0y"},
        {"start": "2022-01-01", "end": "2021-01-01"},
        {"tickers": []},
        {"tickers": ["petr4; DROP"]},
        {"min_turnover": -1},
        {"start": "soon"},
    ],
)
def test_parameters_that_mean_nothing_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError):
        PipelineParams.from_values(params)


def test_a_table_written_twice_has_the_same_bytes(tmp_path: Path, eight: pd.DataFrame) -> None:
    first, second = (write_parquet(eight, tmp_path / f"{n}.parquet").read_bytes() for n in (1, 2))
    assert first == second
    pd.testing.assert_frame_equal(
        load_quotes(ParquetSource(tmp_path / "1.parquet"), PipelineParams()).frame, eight
    )


def test_without_a_column_of_dividends_none_is_known_and_the_report_says_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "without.parquet"
    duckdb.execute(
        f"COPY (SELECT * EXCLUDE (dividend) FROM {FIVE_YEARS} "
        f"WHERE ticker IN ('PETR4', 'VALE3')) TO '{path}' (FORMAT parquet)"
    )
    quotes = load_quotes(ParquetSource(path), PipelineParams())
    assert quotes.frame["dividend"].isna().all()
    assert quotes.report["dividends_known"] == {
        "tickers_with_unknown": 2,
        "rows_unknown": len(quotes.frame),
        "earliest_until": None,
        "latest_until": None,
        "tickers_never_known": 2,
        "dividends_known_until": {"PETR4": None, "VALE3": None},
    }
    assert quotes.report["corporate_actions"]["dividends"] == 0
    (found,) = [f for f in quotes.findings if f.kind == "dividends_unknown"]
    assert found.rows == len(quotes.frame)


def test_dividends_known_for_some_rows_are_told_by_ticker_in_any_shards(
    eight: pd.DataFrame, tmp_path: Path
) -> None:
    later = (eight["ticker"] == "VALE3") & (eight["date"] > "2022-06-30")
    unknown = later | (eight["ticker"] == "PETR4")
    holed = eight.assign(dividend=eight["dividend"].mask(unknown))
    source = ParquetSource(write_parquet(holed, tmp_path / "holed.parquet"), loaded=True)

    whole = load_quotes(source, PipelineParams())
    shards = load_shards(source, PipelineParams(), tmp_path, shard_rows=3_000)
    known = whole.report["dividends_known"]
    assert known["tickers_with_unknown"] == 2
    assert known["rows_unknown"] == int(unknown.sum())
    assert known["earliest_until"] == known["dividends_known_until"]["VALE3"] == "2022-06-30"
    assert known["dividends_known_until"]["PETR4"] is None
    assert len(shards.shards) > 1
    assert shards.report == whole.report

    again = [ParquetSource(path, loaded=True).read(QuoteQuery()) for path in shards.shards]
    pd.testing.assert_series_equal(
        pd.concat(again, ignore_index=True)["dividend"], whole.frame["dividend"]
    )
