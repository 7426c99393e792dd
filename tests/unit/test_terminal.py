"""What a person reads of a run: what was left out and why, and what is odd about the quotes."""

from b3shared import terminal
from b3shared.params import Step
from b3shared.runs import StepRecord
from b3shared.terminal import told


def preprocessed(left_out: dict[str, int]) -> StepRecord:
    summary = {
        "labelled_rows": 1200,
        "features": 30,
        "target_distribution": {"buy": 300, "hold": 600, "sell": 300},
        "left_out": left_out,
    }
    return StepRecord.model_construct(step=Step.PREPROCESS_DATA, summary=summary)


def test_preprocessing_tells_how_many_rows_were_left_out_and_why() -> None:
    said = told(preprocessed({"illiquid": 19500, "incomplete_features": 252, "outcome_not_known_yet": 0}))
    assert said == (
        "1,200 labelled rows, 30 features; buy 25%, hold 50%, sell 25%; left out: 19,500 illiquid, 252 incomplete features"
    )
    assert told(preprocessed({"illiquid": 0})).endswith("sell 25%")


def test_a_hole_in_a_column_is_a_note_with_the_count_and_the_column() -> None:
    finding = {"kind": "missing_value", "rows": 19500, "action": "kept", "examples": ["PETR4 2022-01-03: no volume"]}
    notes = terminal.findings({"missing_columns": ["avg"], "findings": [finding]})
    assert list(notes) == [
        "the source has no avg",
        "19500 x missing_value (kept), such as PETR4 2022-01-03: no volume",
    ]
