"""Forecasts as a table, with how to read it."""

from datetime import date

import pandas as pd
import pytest

from b3shared.cli import forecasts


def served(ticker: str, **more: object) -> dict[str, object]:
    row = {
        "ticker": ticker,
        "prediction": "buy",
        "probabilities": [0.5, 0.3, 0.2],
        "data_age_sessions": 1,
    }
    return (
        row
        | {"last_price": 37.2, "as_of": "2023-12-28", "dividends_known_until": "2023-12-28"}
        | {"predicted_price": None, "interval": None}
        | more
    )


def test_expected_price_and_interval_follow_the_close() -> None:
    interval = {"price_low": 35.0, "price_high": 39.5}
    table = forecasts.served_forecast_table(
        {
            "predictions": [served("PETR4", predicted_price=37.31, interval=interval)],
            "errors": [
                {
                    "ticker": "XXXX3",
                    "code": "UNKNOWN_TICKER",
                    "message": "there are no quotes of XXXX3",
                }
            ],
            "skill": "weak",
        }
    ).split("\n")
    assert table[0].split() == [
        "ticker",
        "action",
        "buy",
        "hold",
        "sell",
        "close",
        "as",
        "of",
        "expected",
        "interval",
    ]
    assert table[1].split()[:5] == ["PETR4", "buy", "50.0%", "30.0%", "20.0%"]
    assert table[1].split()[5:] == ["37.20", "2023-12-28", "37.31", "35.00", "to", "39.50"]
    assert table[1].index("37.31") + 5 == table[0].index("expected") + 8
    assert table[2] == "XXXX3   UNKNOWN_TICKER: there are no quotes of XXXX3"


def test_a_model_without_expected_prices_has_no_column_for_them() -> None:
    answer = {"predictions": [served("PETR4")], "errors": [], "skill": "none"}
    head, row, *_ = forecasts.served_forecast_table(answer).split("\n")
    assert head.endswith("as of")
    assert row.endswith("2023-12-28")


READING = [
    "",
    "skill weak: the model shows a little skill on the test dates, but it does not surely beat "
    "every baseline",
    "data of 2023-12-28: 727 sessions of the exchange since then",
    "buy or sell is a leaning to the more probable side; hold may still be more probable than both",
]


def test_notes_follow_served_forecasts() -> None:
    older = served("VALE3", as_of="2023-12-20", data_age_sessions=731)
    answer = {
        "predictions": [older, served("PETR4", data_age_sessions=727)],
        "errors": [],
        "skill": "weak",
    }
    assert forecasts.served_forecast_table(answer).split("\n")[3:] == READING


def test_notes_follow_forecasts_of_the_python_api() -> None:
    row = {"action": "buy", "buy": 0.34, "hold": 0.42, "sell": 0.24, "last_price": 37.2}
    dates = pd.to_datetime(["2023-12-20", "2023-12-28"])
    answer = pd.DataFrame([row, row], index=["PETR4", "VALE3"]).assign(as_of=dates)
    answer["dividends_known_until"] = dates
    answer.attrs["skill"] = "weak"
    lines = forecasts.forecast_table(answer, date(2026, 11, 28)).split("\n")
    assert [line.split()[0] for line in lines[:3]] == ["ticker", "PETR4", "VALE3"]
    assert lines[3:] == READING


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (["2023-12-20", "2023-06-30"], "1 of 2 tickers (VALE3: known until 2023-06-30)"),
        ([None, "2023-06-30"], "2 of 2 tickers (PETR4: not known)"),
    ],
)
def test_dividends_that_are_not_known_are_told_of_both_forms_of_forecasts(
    until: list[str | None], said: str
) -> None:
    row = {"action": "buy", "buy": 0.34, "hold": 0.42, "sell": 0.24, "last_price": 37.2}
    dates = pd.to_datetime(["2023-12-20", "2023-12-28"])
    answer = pd.DataFrame([row, row], index=["PETR4", "VALE3"]).assign(as_of=dates)
    answer["dividends_known_until"] = pd.to_datetime(until)
    over_http = {
        "predictions": [
            served(ticker, as_of=str(as_of.date()), dividends_known_until=day)
            for ticker, as_of, day in zip(answer.index, dates, until, strict=True)
        ],
        "errors": [],
        "skill": "weak",
    }
    for table in (
        forecasts.forecast_table(answer, date(2026, 11, 28)),
        forecasts.served_forecast_table(over_http),
    ):
        assert table.split("\n")[-1] == (
            f"dividends: returns and features leave them out where they are not known, for {said}"
        )


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (0, "data of 2023-12-28: no session of the exchange since then"),
        (1, "data of 2023-12-28: 1 session of the exchange since then"),
        (1234, "data of 2023-12-28: 1,234 sessions of the exchange since then"),
    ],
)
def test_the_age_of_quotes_is_counted_in_sessions(age: int, said: str) -> None:
    assert said in forecasts.reading_notes("none", "2023-12-28", age)


def test_a_version_without_an_evaluation_has_unknown_skill() -> None:
    assert (
        forecasts.reading_notes(None, "2023-12-28", 0)[0]
        == "skill unknown: the model was not evaluated"
    )


def test_without_a_forecast_there_are_no_notes() -> None:
    error = {"ticker": "XXXX3", "code": "UNKNOWN_TICKER", "message": "there are no quotes of XXXX3"}
    said = forecasts.served_forecast_table({"predictions": [], "errors": [error], "skill": "weak"})
    assert said.endswith("there are no quotes of XXXX3")
