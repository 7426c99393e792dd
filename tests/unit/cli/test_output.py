"""Text of a run in a terminal: progress, summaries of steps, status of a version."""

import pytest

from b3shared.cli import output
from b3shared.cli.output import step_summary
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


def test_preprocessing_lists_how_many_rows_were_left_out_and_why() -> None:
    said = step_summary(
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
    assert step_summary(preprocessed({"illiquid": 0})).endswith("sell 25%")


def test_a_hole_in_a_column_is_a_note_with_the_count_and_the_column() -> None:
    finding = {
        "kind": "missing_value",
        "rows": 19500,
        "action": "kept",
        "examples": ["PETR4 2022-01-03: no volume"],
    }
    bare = finding | {"kind": "unknown_session", "rows": 2, "examples": []}
    notes = output.quote_notes({"missing_columns": ["avg"], "findings": [finding, bare]})

    assert list(notes) == [
        "the source has no avg",
        "19500 x missing_value (kept), such as PETR4 2022-01-03: no volume",
        "2 x unknown_session (kept)",
    ]


def test_progress_of_a_training_has_its_epoch_and_its_losses() -> None:
    words = {
        "phase": "train",
        "done": 3,
        "total": 25,
        "train_loss": 1.03456,
        "val_loss": 1.05,
        "at": "2024-01-07",
    }
    assert output.progress_text(words) == "train 3/25, train loss 1.035, val loss 1.05"
    assert output.progress_text({"phase": "search"}) == "search"


def test_baselines_are_named_by_their_titles() -> None:
    figures = {"accuracy": 0.35, "macro_f1": 0.34, "directional_accuracy": 0.5}
    metrics = {"model": {"test": figures}, "baselines": {"yesterdays_label": {"figures": figures}}}
    assert output.comparison(metrics).split("\n")[2].startswith("yesterday's label ")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"live": True}, "is live"),
        ({"live": False, "pending": "windows of 1"}, "goes live when its windows are published"),
        ({"live": False, "pending": None}, "kept"),
    ],
)
def test_the_state_of_a_saved_version_is_shown(facts: dict[str, object], said: str) -> None:
    summary = {"model_version": "20231228-1", "decision": "the reason", **facts}
    assert (
        step_summary(StepRecord.model_construct(step=Step.SAVE_MODEL, summary=summary))
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
def test_the_status_of_a_version_depends_on_what_is_live_now(
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
    assert output.version_status(records, live=live) == said


def test_many_names_are_shortened_to_the_first_and_a_count() -> None:
    assert output.first_names(["a", "b"], shown=2) == "a, b"
    assert output.first_names(["a", "b", "c"], shown=2) == "a, b and 1 more"
