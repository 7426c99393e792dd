"""The parts of an evaluation: labelled rows, outcomes, the model's forecast, actions, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import InvalidParameterError, TooLittleHistoryError
from b3shared.core.vocabulary import CLASSES, UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.evaluation.baselines import actions_of
from b3shared.evaluation.metrics import class_shares
from b3shared.evaluation.ranking import buy_minus_sell
from b3shared.evaluation.scorecard import Outcome, Scorecard
from b3shared.models.base import Forecast
from b3shared.params.run import PipelineParams

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """A part's labelled rows with their outcomes, and the model's forecast, actions and metrics."""

    rows: IntArray
    outcome: Outcome
    forecast: Forecast
    actions: IntArray
    card: Scorecard

    def describe(self) -> dict[str, Any]:
        """Rows, dates and class shares, as JSON types."""
        dates = self.card.dates
        return {
            "rows": len(self.rows),
            "dates": len(dates),
            "first": dates[0],
            "last": dates[-1],
            "class_shares": dict(zip(CLASSES, class_shares(self.outcome.label), strict=True)),
        }

    def months(self) -> list[dict[str, Any]]:
        """Metrics by month; coverage and width only of a model with intervals."""
        months = self.card.dates.astype("datetime64[M]")
        return [self._month(month, months == month) for month in np.unique(months)]

    def _month(self, month: Any, inside: Array) -> dict[str, Any]:
        sums = {name: columns[inside].sum(axis=0) for name, columns in self.card.per_date.items()}
        rows, loss = sums["log_loss"]
        ranked, ic, _ = sums["rank_ic"]
        found = {
            "month": month,
            "dates": int(inside.sum()),
            "rows": int(rows),
            "rank_ic": ic / ranked if ranked else None,
            "log_loss": loss / rows,
            "prior_log_loss": sums["skill"][1] / rows,
        }

        if "return_intervals" in sums:
            _, covered, width, _ = sums["return_intervals"]
            found |= {"interval_coverage": covered / rows, "interval_width": width / rows}
        return found


def score_parts(
    data: Dataset,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    params: PipelineParams,
) -> dict[str, Part]:
    """Score train, val and test; arguments and errors as :func:`evaluate.evaluate`."""
    missing = [name for name in PARTS if name not in parts]
    if missing:
        raise InvalidParameterError(
            f"parts must be {', '.join(PARTS)}; {', '.join(missing)} is missing"
        )

    train = np.asarray(parts["train"], np.int64)
    prior = class_shares(data.label[train[_labelled(data, train)]])
    return {name: _score(data, name, parts, forecasts, base_rates, prior, params) for name in PARTS}


def _labelled(data: Dataset, rows: IntArray) -> IntArray:
    """Positions in ``rows`` whose outcome is known."""
    return np.flatnonzero((data.label[rows] != UNLABELLED) & np.isfinite(data.future_return[rows]))


def _score(
    data: Dataset,
    name: str,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    prior: FloatArray,
    params: PipelineParams,
) -> Part:
    rows = np.asarray(parts[name], np.int64)
    if name not in forecasts:
        raise InvalidParameterError(
            f"forecasts must be of {', '.join(PARTS)}; that of part {name} is missing"
        )

    forecast = _checked(name, forecasts[name], len(rows))
    keep = _labelled(data, rows)
    if not len(keep):
        raise TooLittleHistoryError(
            f"part {name}: none of its {len(rows)} rows has a known outcome; at least one is needed"
        )

    rows = rows[keep]
    forecast = _of_rows(forecast, keep)
    outcome = Outcome(
        data.date[rows],
        data.label[rows],
        data.future_return[rows],
        data.close[rows],
        prior,
        params.interval_level,
    )
    p, returns = forecast.probabilities, forecast.returns
    actions = actions_of(p, base_rates, params, returns)
    score = buy_minus_sell(p)
    card = Scorecard.from_forecast(outcome, actions, p, score, returns, forecast.intervals)
    return Part(rows, outcome, forecast, actions, card)


def _of_rows(forecast: Forecast, rows: IntArray) -> Forecast:
    returns, intervals = (
        None if values is None else values[rows]
        for values in (forecast.returns, forecast.intervals)
    )
    return Forecast(forecast.probabilities[rows], returns, intervals)


def _checked(name: str, forecast: Forecast, n_rows: int) -> Forecast:
    p = np.asarray(forecast.probabilities, np.float64)
    if p.shape != (n_rows, len(CLASSES)):
        raise InvalidParameterError(
            f"forecast of {name}: probabilities must have shape {(n_rows, len(CLASSES))}, "
            f"got {p.shape}"
        )
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-4)):
        raise InvalidParameterError(
            f"forecast of {name}: probabilities must be finite, not negative, and sum to 1 per row"
        )

    r = forecast.returns
    if r is not None and (np.shape(r) != (n_rows,) or not np.isfinite(r).all()):
        raise InvalidParameterError(
            f"forecast of {name}: returns must be {n_rows} finite numbers or None"
        )

    bounds = forecast.intervals
    if bounds is not None:
        bounds = np.asarray(bounds, np.float64)
        if bounds.shape != (n_rows, 2) or not (
            np.isfinite(bounds).all() and (bounds[:, 0] <= bounds[:, 1]).all()
        ):
            raise InvalidParameterError(
                f"forecast of {name}: intervals must be {n_rows} finite pairs, lower end first, "
                "or None"
            )

    return Forecast(p, None if r is None else np.asarray(r, np.float64), bounds)
