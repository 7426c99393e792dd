"""What a person reads of a run: what was left out and why, and what is odd about the quotes."""

from datetime import date

import pandas as pd
import pytest

from b3shared.cli import output as terminal
from b3shared.cli.output import told
from b3shared.params.steps import Step
from b3shared.runs.run import StepRecord


def preprocessed(left_out: dict[str, int]) -> StepRecord:
    summary = {
        "labelled_rows": 1200,
        "features": 30,
        "target_distribution": {"buy": 300, "hold": 600, "sell": 300},
        "left_out": left_out,
    }
    return StepRecord.model_construct(step=Step.PREPROCESS_DATA, summary=summary)


def test_preprocessing_tells_how_many_rows_were_left_out_and_why() -> None:
    said = told(
        preprocessed(
            {
                "median_turnover_not_known": 59,
                "illiquid": 19500,
                "incomplete_features": 252,
                "outcome_not_known_yet": 0,
            }
        )
    )
    assert said == (
        "1,200 labelled rows, 30 features; buy 25%, hold 50%, sell 25%; "
        "left out: 59 median turnover not known, 19,500 illiquid, 252 incomplete features"
    )
    assert told(preprocessed({"illiquid": 0})).endswith("sell 25%")


def test_a_hole_in_a_column_is_a_note_with_the_count_and_the_column() -> None:
    finding = {
        "kind": "missing_value",
        "rows": 19500,
        "action": "kept",
        "examples": ["PETR4 2022-01-03: no volume"],
    }
    bare = finding | {"kind": "unknown_session", "rows": 2, "examples": []}
    notes = terminal.findings({"missing_columns": ["avg"], "findings": [finding, bare]})
    assert list(notes) == [
        "the source has no avg",
        "19500 x missing_value (kept), such as PETR4 2022-01-03: no volume",
        "2 x unknown_session (kept)",
    ]


def test_a_training_says_how_far_it_is_and_how_well_it_goes() -> None:
    words = {
        "phase": "train",
        "done": 3,
        "total": 25,
        "train_loss": 1.03456,
        "val_loss": 1.05,
        "at": "2024-01-07",
    }
    assert terminal.course(words) == "train 3/25, train loss 1.035, val loss 1.05"
    assert terminal.course({"phase": "search"}) == "search"


def served(ticker: str, **more: object) -> dict[str, object]:
    row = {
        "ticker": ticker,
        "prediction": "buy",
        "probabilities": [0.5, 0.3, 0.2],
        "data_age_sessions": 1,
    }
    return (
        row
        | {"last_price": 37.2, "as_of": "2023-12-28"}
        | {"predicted_price": None, "interval": None}
        | more
    )


def test_an_expected_price_stands_with_its_interval_beside_the_close() -> None:
    interval = {"price_low": 35.0, "price_high": 39.5}
    table = terminal.served_forecasts(
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
    head, row, *_ = terminal.served_forecasts(answer).split("\n")
    assert head.endswith("as of")
    assert row.endswith("2023-12-28")


READING = [
    "",
    "skill weak: the model shows a little skill on the test dates, but it does not surely beat every baseline",
    "data of 2023-12-28: 727 sessions of the exchange since then",
    "buy or sell is a leaning to the more probable side; hold may still be more probable than both",
]


def test_skill_age_and_how_to_read_stand_below_served_forecasts() -> None:
    older = served("VALE3", as_of="2023-12-20", data_age_sessions=731)
    answer = {
        "predictions": [older, served("PETR4", data_age_sessions=727)],
        "errors": [],
        "skill": "weak",
    }
    assert terminal.served_forecasts(answer).split("\n")[3:] == READING


def test_skill_age_and_how_to_read_stand_below_forecasts_of_the_python_api() -> None:
    row = {"action": "buy", "buy": 0.34, "hold": 0.42, "sell": 0.24, "last_price": 37.2}
    dates = pd.to_datetime(["2023-12-20", "2023-12-28"])
    answer = pd.DataFrame([row, row], index=["PETR4", "VALE3"]).assign(as_of=dates)
    answer.attrs["skill"] = "weak"
    lines = terminal.forecasts(answer, date(2026, 11, 28)).split("\n")
    assert [line.split()[0] for line in lines[:3]] == ["ticker", "PETR4", "VALE3"]
    assert lines[3:] == READING


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (0, "data of 2023-12-28: no session of the exchange since then"),
        (1, "data of 2023-12-28: 1 session of the exchange since then"),
        (1234, "data of 2023-12-28: 1,234 sessions of the exchange since then"),
    ],
)
def test_the_age_is_told_in_sessions(age: int, said: str) -> None:
    assert said in terminal.reading("none", "2023-12-28", age)


def test_a_version_without_an_evaluation_is_told() -> None:
    assert (
        terminal.reading(None, "2023-12-28", 0)[0] == "skill unknown: the model was not evaluated"
    )


def test_no_forecast_has_nothing_to_read() -> None:
    error = {"ticker": "XXXX3", "code": "UNKNOWN_TICKER", "message": "there are no quotes of XXXX3"}
    said = terminal.served_forecasts({"predictions": [], "errors": [error], "skill": "weak"})
    assert said.endswith("there are no quotes of XXXX3")


def test_the_baselines_are_named_as_a_person_writes_them() -> None:
    figures = {"accuracy": 0.35, "macro_f1": 0.34, "directional_accuracy": 0.5}
    metrics = {"model": {"test": figures}, "baselines": {"yesterdays_label": {"figures": figures}}}
    assert terminal.comparison(metrics).split("\n")[2].startswith("yesterday's label ")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"live": True}, "is live"),
        ({"live": False, "pending": "windows of 1"}, "goes live when its windows are published"),
        ({"live": False, "pending": None}, "kept"),
    ],
)
def test_what_becomes_of_a_version_is_told(facts: dict[str, object], said: str) -> None:
    summary = {"model_version": "20231228-1", "decision": "the reason", **facts}
    assert (
        told(StepRecord.model_construct(step=Step.SAVE_MODEL, summary=summary))
        == f"20231228-1 {said}: the reason"
    )


@pytest.mark.parametrize(
    ("saved", "published", "live", "said"),
    [
        ({"live": True}, {}, True, "version v1 is live: the reason"),
        (
            {"live": False, "pending": "windows of 1"},
            {"promoted": "v1"},
            True,
            "version v1 is live: the reason",
        ),
        (
            {"live": False, "pending": None},
            {"promoted": None},
            False,
            "version v1 is registered, not live: the reason",
        ),
        (
            {"live": False, "pending": "windows of 1"},
            {"reason": "a race"},
            False,
            "version v1 is registered, not live: a race",
        ),
        (
            {"live": True},
            {},
            False,
            "version v1 was made live (the reason) and is not live any more",
        ),
        (
            {"live": False},
            {"promoted": "v1"},
            False,
            "version v1 was made live (the reason) and is not live any more",
        ),
    ],
)
def test_what_became_of_a_version_is_told_by_what_is_live_now(
    saved: dict[str, object], published: dict[str, object], live: bool, said: str
) -> None:
    summaries = {
        Step.SAVE_MODEL: {"model_version": "v1", "decision": "the reason", **saved},
        Step.PUBLISH_SERVING: published,
    }
    records = {
        step: StepRecord.model_construct(step=step, summary=summary)
        for step, summary in summaries.items()
    }
    assert terminal.standing(records, live=live) == said


def test_many_names_are_told_by_the_first_and_a_count() -> None:
    assert terminal.some(["a", "b"], shown=2) == "a, b"
    assert terminal.some(["a", "b", "c"], shown=2) == "a, b and 1 more"
