"""Labels against loops over one ticker's own future; every label says when it became known."""

import numpy as np
import pandas as pd
import pytest

from b3shared.core.vocabulary import BUY, HOLD, SELL, UNLABELLED
from b3shared.features.labels import Labels, build_labels
from b3shared.features.panel import Panel
from b3shared.features.series import Series
from b3shared.params.run import PipelineParams

KINDS = [
    PipelineParams.from_values(label="direction", horizon=1),
    PipelineParams.from_values(label="direction", horizon=5, label_width=0.8),
    PipelineParams.from_values(label="triple_barrier", horizon=7, label_width=0.6),
    PipelineParams.from_values(label="signal", horizon=2),
    PipelineParams.from_values(label="signal", horizon=1, signal_lag=3),
]


def names(params: PipelineParams) -> str:
    return f"{params.label}-{params.horizon}-{params.signal_lag}"


@pytest.fixture(scope="module")
def some(bundled: pd.DataFrame) -> pd.DataFrame:
    rows = bundled["ticker"].isin(["BBAS3", "MGLU3", "PETR4"]) & bundled["date"].between(
        "2020-06-01", "2021-06-30"
    )
    return bundled[rows].reset_index(drop=True)


def labels_of(frame: pd.DataFrame, params: PipelineParams) -> Labels:
    with np.errstate(all="ignore"):
        return build_labels(Series(Panel(frame)), params)


def total_return(rows: dict[str, np.ndarray], start: int, end: int) -> float:
    """Compounded from the rows' own actions: the share and what it paid, over the day before."""
    value = 1.0
    for n in range(start + 1, end + 1):
        before = rows["close"][n - 1]
        value *= (rows["close"][n] * rows["split_factor"][n] + rows["dividend"][n]) / before
    return value - 1


def expected(
    rows: dict[str, np.ndarray], t: int, params: PipelineParams, rule: np.ndarray
) -> tuple[int, object, float]:
    """Return (label, label_end, return) of row t by walking forward, or that of no label."""
    unknown = (UNLABELLED, None, np.nan)
    reach = max(params.horizon, params.signal_lag)
    if t + reach >= len(rows["date"]) or (t < 20 and params.label != "signal"):
        return unknown
    if params.label == "signal":
        return (
            rule[t + params.signal_lag],
            rows["date"][t + reach],
            total_return(rows, t, t + params.horizon),
        )
    daily = [total_return(rows, n - 1, n) for n in range(t - 19, t + 1)]
    band = params.label_width * np.std(daily, ddof=1) * np.sqrt(params.horizon)
    for n in range(1, params.horizon + 1):
        outcome = total_return(rows, t, t + n)
        if params.label == "direction" and n < params.horizon:
            continue
        if abs(outcome) > band:
            return (BUY if outcome > 0 else SELL), rows["date"][t + n], outcome

    return HOLD, rows["date"][t + params.horizon], outcome


@pytest.mark.parametrize("params", KINDS, ids=names)
def test_labels_equal_those_of_a_loop_over_future_rows(
    some: pd.DataFrame, params: PipelineParams
) -> None:
    found = labels_of(some, params)
    with np.errstate(all="ignore"):
        series = Series(Panel(some))
        rules = series.panel.rows(series.rule())
    seen = set()
    for ticker in some["ticker"].unique():
        mask = (some["ticker"] == ticker).to_numpy()
        rows, where = (
            {name: some[name].to_numpy()[mask] for name in some.columns},
            np.flatnonzero(mask),
        )
        for t in range(len(where)):
            label, end, outcome = expected(rows, t, params, rules[mask])
            assert found.label[where[t]] == label, (ticker, rows["date"][t])
            seen.add(label)
            if label == UNLABELLED:
                assert np.isnat(found.label_end[where[t]])
                assert np.isnan(found.future_return[where[t]])
            else:
                assert found.label_end[where[t]] == np.datetime64(end, "D")
                assert found.future_return[where[t]] == pytest.approx(outcome, rel=1e-9)

    assert seen >= (
        {UNLABELLED, HOLD} if params.label == "signal" else {UNLABELLED, BUY, HOLD, SELL}
    )


@pytest.mark.parametrize("params", KINDS, ids=names)
def test_a_label_depends_on_no_data_after_its_end(
    some: pd.DataFrame, params: PipelineParams
) -> None:
    """Cut the data right after label_end: the label is there and the same."""
    whole = labels_of(some, params)

    for cut in ("2020-12-30", "2021-03-15"):
        earlier = (some["date"] <= cut).to_numpy()
        part = labels_of(some[earlier].reset_index(drop=True), params)
        known = part.label != UNLABELLED
        np.testing.assert_array_equal(part.label[known], whole.label[earlier][known])
        np.testing.assert_array_equal(part.label_end[known], whole.label_end[earlier][known])
        np.testing.assert_array_equal(
            part.future_return[known], whole.future_return[earlier][known]
        )
        np.testing.assert_array_equal(part.known_label, whole.known_label[earlier])
        if (
            params.label != "triple_barrier"
        ):  # an early touch counts only once its whole horizon has passed
            due = whole.label_end[earlier] <= np.datetime64(cut)
            np.testing.assert_array_equal(known, due)


@pytest.mark.parametrize("params", KINDS, ids=names)
def test_labels_end_after_their_row_and_within_the_reach(
    some: pd.DataFrame, params: PipelineParams
) -> None:
    found = labels_of(some, params)
    known = found.label != UNLABELLED
    assert known.any()
    assert (found.label_end[known] > some["date"].to_numpy().astype("datetime64[D]")[known]).all()


def test_the_known_label_is_that_of_an_earlier_row(some: pd.DataFrame) -> None:
    params = PipelineParams.from_values(label="direction", horizon=5)
    found = labels_of(some, params)
    rows = np.flatnonzero(some["ticker"] == "PETR4")
    np.testing.assert_array_equal(found.known_label[rows[5:]], found.label[rows[:-5]])
    assert (found.known_label[rows[:5]] == UNLABELLED).all()


def test_a_dividend_counts_as_return(some: pd.DataFrame) -> None:
    """PETR4 fell by 1.8 % on 2021-04-15, and paid 3.3 % that day: holders gained."""
    found = labels_of(some, PipelineParams.from_values(label="direction", horizon=1))
    row = np.flatnonzero((some["ticker"] == "PETR4") & (some["dividend"] > 0))[0] - 1
    traded = some["close"][row + 1] / some["close"][row] - 1
    assert found.future_return[row] > traded
