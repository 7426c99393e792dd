"""Baselines that any model must beat: simple rules and a linear model, fitted on train rows only.

Persistence gets an interval in :mod:`b3shared.evaluation.comparison`, where the model has one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL, UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.evaluation.metrics import class_shares
from b3shared.evaluation.ranking import buy_minus_sell
from b3shared.models.decision import decide
from b3shared.params.run import PipelineParams

REVERSAL_SESSIONS = 5
MOMENTUM_SESSIONS = 20


@dataclass(frozen=True)
class Baseline:
    """A baseline's forecast of some rows.

    Attributes:
        name: short identifier, a key of the metrics.
        description: what it does, in one sentence.
        actions: (rows,) int8 class codes.
        probabilities: (rows, 3), None when it has none.
        score: (rows,) ranks the stocks of a day, None when it has none; NaN where its input is
            missing.
        returns: (rows,) forecast total return, None when it has none.
        intervals: (rows, 2) lower and upper end of the return, None when it has none.
    """

    name: str
    description: str
    actions: IntArray
    probabilities: FloatArray | None = None
    score: FloatArray | None = None
    returns: FloatArray | None = None
    intervals: FloatArray | None = None


def actions_of(
    probabilities: FloatArray,
    base_rates: FloatArray,
    params: PipelineParams,
    returns: FloatArray | None = None,
) -> IntArray:
    """Decide as the served model does; a class that the train part never had is never proposed."""
    rates = np.where(base_rates > 0, base_rates, np.inf)
    return decide(probabilities, rates, params.decision, returns)


def all_baselines(
    data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams
) -> list[Baseline]:
    """Every baseline's forecast of ``rows``, in the order of the report.

    Args:
        data: the whole table.
        train: indices of the train part's labelled rows.
        rows: indices of the rows to forecast; their labels and returns are not looked at.
        params: label width, decision rule and seed.
    """
    return [baseline(data, train, rows, params) for baseline in BASELINES]


def majority(data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams) -> Baseline:
    """Predict the commonest class of the train part; its class shares are the probabilities."""
    shares = class_shares(data.label[train])
    commonest = int(np.argmax(shares))
    return Baseline(
        "majority",
        f"always {CLASSES[commonest]}, the commonest class of the train part; "
        "its class shares as probabilities",
        actions=np.full(len(rows), commonest, np.int8),
        probabilities=np.tile(shares, (len(rows), 1)),
    )


def persistence(data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams) -> Baseline:
    """Predict a return of zero: the price stays, so hold."""
    return Baseline(
        "persistence",
        "tomorrow's price is today's: a return of zero, so always hold",
        actions=np.full(len(rows), HOLD, np.int8),
        returns=np.zeros(len(rows)),
    )


def yesterdays_label(
    data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams
) -> Baseline:
    """Predict the ticker's newest label known at t; the train majority where there is none."""
    known = data.known_label[rows]
    commonest = np.argmax(class_shares(data.label[train]))
    return Baseline(
        "yesterdays_label",
        "the ticker's newest label already known at the close of t",
        actions=np.where(known == UNLABELLED, commonest, known).astype(np.int8),
    )


def reversal(data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams) -> Baseline:
    """Buy what fell over 5 sessions, sell what rose."""
    return _trend(
        "reversal",
        "buys what fell over 5 sessions, sells what rose",
        -data.return_5,
        data,
        rows,
        params,
    )


def momentum(data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams) -> Baseline:
    """Buy what rose over 20 sessions, sell what fell."""
    return _trend(
        "momentum",
        "buys what rose over 20 sessions, sells what fell",
        data.return_20,
        data,
        rows,
        params,
    )


def _trend(
    name: str,
    description: str,
    score: FloatArray,
    data: Dataset,
    rows: IntArray,
    params: PipelineParams,
) -> Baseline:
    """Buy or sell where the past return leaves the labels' hold band, scaled to its sessions."""
    sessions = {"reversal": REVERSAL_SESSIONS, "momentum": MOMENTUM_SESSIONS}[name]
    score = score[rows]
    band = params.label_width * data.volatility[rows] * np.sqrt(sessions)
    actions = np.select([score > band, score < -band], [BUY, SELL], HOLD).astype(np.int8)
    return Baseline(name, description, actions=actions, score=score)


def reference_rule(
    data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams
) -> Baseline:
    """Apply the reference project's rule of RSI, MACD, momentum and volume."""
    return Baseline(
        "reference_rule",
        "the reference project's rule of RSI, MACD, momentum and volume on the same day",
        actions=data.rule[rows].astype(np.int8),
    )


def logistic_regression(
    data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams
) -> Baseline:
    """Fit multinomial logistic regression; class shares if the train part has one class."""
    shares = class_shares(data.label[train])
    if np.count_nonzero(shares) > 1:
        probabilities = _fit_logistic(data, train, rows, params)
    else:
        probabilities = np.tile(shares, (len(rows), 1))

    return Baseline(
        "logistic_regression",
        "multinomial logistic regression on the same features, standardised on the train part",
        actions=actions_of(probabilities, shares, params),
        probabilities=probabilities,
        score=buy_minus_sell(probabilities),
    )


def _fit_logistic(
    data: Dataset, train: IntArray, rows: IntArray, params: PipelineParams
) -> FloatArray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000, random_state=params.random_state)
    )
    model.fit(np.asarray(data.X[train]), data.label[train])

    probabilities = np.zeros((len(rows), len(CLASSES)))
    probabilities[:, model[-1].classes_] = model.predict_proba(np.asarray(data.X[rows]))
    return probabilities


BASELINES: tuple[Callable[[Dataset, IntArray, IntArray, PipelineParams], Baseline], ...] = (
    majority,
    persistence,
    yesterdays_label,
    reversal,
    momentum,
    reference_rule,
    logistic_regression,
)
"""In the order of the report."""
