"""The exchange's sessions agree with real quotes, and find holes and impossible rows in a table."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from b3shared.core.errors import MissingSessionsError
from b3shared.params.run import PipelineParams
from b3shared.quotes.calendar import (
    TradingActivity,
    calendar_findings,
    check_complete,
    closed_days,
    half_days,
    missing_sessions,
    sessions,
    sessions_after,
)
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.sources.parquet import ParquetSource

HOLIDAYS_2023 = (
    "01-01",
    "02-20",
    "02-21",
    "04-07",
    "04-21",
    "05-01",
    "06-08",
    "09-07",
    "10-12",
    "11-02",
    "11-15",
    "12-25",
    "12-29",
)
YEAR = (date(2023, 1, 1), date(2023, 12, 31))


def days_of(frame: pd.DataFrame) -> np.ndarray:
    return np.unique(frame["date"].to_numpy().astype("datetime64[D]"))


def kinds(findings: list) -> dict[str, int]:
    return {finding.kind: finding.rows for finding in findings}


def told(findings: list, kind: str) -> tuple[str, ...]:
    return next(finding.examples for finding in findings if finding.kind == kind)


def without(frame: pd.DataFrame, *days: str) -> pd.DataFrame:
    return frame[~frame["date"].isin(pd.to_datetime(list(days)))].reset_index(drop=True)


def test_the_sessions_of_a_year_are_its_weekdays_without_the_holidays_of_sao_paulo() -> None:
    weekdays = pd.bdate_range(*YEAR).to_numpy().astype("datetime64[D]")
    closed = [np.datetime64(f"2023-{day}") for day in HOLIDAYS_2023]
    assert sessions(*YEAR).tolist() == [day for day in weekdays.tolist() if day not in closed]


def test_ash_wednesday_opens_late() -> None:
    assert half_days(date(2022, 1, 1), date(2024, 12, 31)).astype(str).tolist() == [
        "2022-03-02",
        "2023-02-22",
        "2024-02-14",
    ]


def test_the_next_sessions_skip_carnival() -> None:
    after = sessions_after(date(2023, 2, 17), 3)
    assert after.astype(str).tolist() == ["2023-02-22", "2023-02-23", "2023-02-24"]
    assert len(sessions_after(date(2023, 2, 17), 250)) == 250


def test_the_bundled_quotes_have_every_session_and_no_other_day(bundled: pd.DataFrame) -> None:
    days = days_of(bundled)
    assert days.tolist() == sessions(days[0].item(), days[-1].item()).tolist()


@pytest.mark.parametrize("file", ["b3_daily.parquet", "b3_cotahist_days.parquet"])
def test_no_real_quote_is_of_a_day_without_a_session(file: str, shared_data: Path) -> None:
    frame = duckdb.sql(f"SELECT ticker, date FROM '{shared_data / file}'").df()
    dropped, unknown = closed_days(frame)
    assert not dropped.any()
    assert kinds(unknown) == {"unknown_session": 0}


def test_a_long_panel_misses_no_session_and_its_thin_ones_are_named(shared_data: Path) -> None:
    frame = duckdb.sql(
        f"SELECT ticker, date FROM '{shared_data / 'b3_daily.parquet'}' ORDER BY ticker, date"
    ).df()
    findings = calendar_findings(days_of(frame), TradingActivity.from_frame(frame))

    assert kinds(findings)["missing_session"] == 0
    assert {example[:10] for example in told(findings, "thin_session")} == {
        "2014-03-19",
        "2016-09-12",
        "2017-10-17",
        "2023-04-06",
    }
    assert kinds(findings)["thin_session"] == 4


def test_a_vendors_rows_of_holidays_are_dropped_and_counted(shared_data: Path) -> None:
    """One ticker of the file goes on over nine holidays of 2017 and 2018."""
    frame = ParquetSource(shared_data / "b3_daily_adjusted.parquet")
    days = duckdb.sql(
        f"SELECT ticker, date FROM '{frame.path}' WHERE volume > 0 AND year(date) IN (2017, 2018)"
    ).df()
    dropped, _ = closed_days(days)
    assert sorted(days["date"][dropped].dt.strftime("%m-%d"))[:3] == ["01-25", "06-15", "09-07"]
    assert dropped.sum() == 9


def test_missing_sessions_are_listed_whatever_the_tickers_that_were_asked_for(
    bundled: pd.DataFrame,
) -> None:
    holed = without(bundled, "2021-03-10", "2021-03-11", "2022-06-07")
    findings = calendar_findings(days_of(holed), TradingActivity.from_frame(holed))
    assert told(findings, "missing_session") == ("2021-03-10", "2021-03-11", "2022-06-07")
    one = holed[holed["ticker"] == "PETR4"]
    assert (
        kinds(calendar_findings(days_of(bundled), TradingActivity.from_frame(one)))[
            "missing_session"
        ]
        == 0
    )


def test_a_load_with_more_holes_than_allowed_fails_with_the_list(
    bundled: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "quotes.parquet"
    write_parquet(without(bundled, "2021-03-10", "2021-03-11"), path)
    source = ParquetSource(path)
    with pytest.raises(
        MissingSessionsError, match=r"misses 2 sessions .* allows 1: 2021-03-10, 2021-03-11$"
    ) as caught:
        load_quotes(source, PipelineParams.from_values(max_missing_sessions=1))
    assert caught.value.details == {"missing": ["2021-03-10", "2021-03-11"]}
    report = load_quotes(source, PipelineParams.from_values(max_missing_sessions=2)).report
    assert next(f for f in report["findings"] if f["kind"] == "missing_session")["rows"] == 2


def test_holes_outside_of_the_period_do_not_count(bundled: pd.DataFrame) -> None:
    days = days_of(without(bundled, "2019-01-02", "2023-12-28"))  # the first and the last
    check_complete(days, 0, "quotes")
    assert not len(missing_sessions(days))


def test_a_copied_friday_on_a_sunday_is_dropped(bundled: pd.DataFrame) -> None:
    copy = bundled[(bundled["date"] == "2021-03-12") & (bundled["ticker"].isin(["PETR4", "VALE3"]))]
    frame = pd.concat([bundled, copy.assign(date=pd.Timestamp("2021-03-14"))]).sort_values(
        ["ticker", "date"]
    )
    frame = frame.reset_index(drop=True)
    frame.attrs = bundled.attrs
    cleaned, findings = clean(frame)
    assert kinds(findings)["closed_day"] == 2
    assert not (cleaned["date"] == "2021-03-14").any()


def test_a_day_on_which_everybody_traded_is_kept_though_the_calendar_does_not_know_it(
    bundled: pd.DataFrame,
) -> None:
    everybody = bundled[bundled["date"] == "2021-03-12"].assign(date=pd.Timestamp("2021-03-13"))
    frame = pd.concat([bundled, everybody]).sort_values(["ticker", "date"]).reset_index(drop=True)
    dropped, (unknown,) = closed_days(frame)
    assert not dropped.any()
    assert (unknown.rows, unknown.examples) == (
        len(everybody),
        (f"2021-03-13: {len(everybody)} tickers",),
    )


@pytest.mark.parametrize("tickers", [["PETR4"], ["PETR4", "VALE3"], None])
def test_rows_of_a_few_tickers_on_a_holiday_are_dropped_and_counted(
    tickers: list[str] | None, bundled: pd.DataFrame
) -> None:
    """Of one or two tickers a vendor's row of Christmas is a day on which "everybody" traded."""
    chosen = bundled[bundled["ticker"].isin(tickers or bundled["ticker"].unique()[:9])]
    christmas = chosen[chosen["date"] == "2023-12-22"]
    christmas = christmas.assign(
        date=np.datetime64("2023-12-25", "s"), dividend=0.0, split_factor=1.0
    )
    frame = pd.concat([chosen, christmas]).sort_values(["ticker", "date"]).reset_index(drop=True)
    frame.attrs = bundled.attrs
    cleaned, findings = clean(frame)
    assert kinds(findings)["closed_day"] == len(christmas)
    assert "unknown_session" not in kinds(findings)
    pd.testing.assert_frame_equal(cleaned, clean(chosen.reset_index(drop=True))[0])


def test_future_and_missing_dates_are_left_to_other_findings() -> None:
    frame = pd.DataFrame(
        {
            "ticker": ["PETR4", "VALE3"],
            "date": pd.to_datetime([None, date.today() + timedelta(days=9)]),
        }
    )
    dropped, (unknown,) = closed_days(frame)
    assert not dropped.any()
    assert unknown.rows == 0


def test_a_ticker_that_stopped_trading_is_stale(bundled: pd.DataFrame) -> None:
    gone = bundled[(bundled["ticker"] != "MGLU3") | (bundled["date"] <= "2023-10-31")]
    (stale,) = [
        f
        for f in calendar_findings(days_of(bundled), TradingActivity.from_frame(gone))
        if f.kind == "stale_ticker"
    ]
    ahead = len(sessions(date(2023, 11, 1), bundled["date"].max().date()))
    assert (stale.rows, stale.examples) == (1, (f"MGLU3 2023-10-31: {ahead} sessions ago",))


def test_a_load_reports_only_findings_that_exist(bundled: pd.DataFrame, tmp_path: Path) -> None:
    report = load_quotes(
        ParquetSource(write_parquet(bundled, tmp_path / "quotes.parquet")), PipelineParams()
    ).report
    assert all(finding["rows"] and finding["examples"] for finding in report["findings"])
    assert {"half_day", "thin_session"} <= {finding["kind"] for finding in report["findings"]}
    assert "missing_session" not in {finding["kind"] for finding in report["findings"]}
