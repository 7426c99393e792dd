"""From quotes to the training table: features, labels, and a count of every row that is left out, by reason."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from b3shared.dataset import CLASSES, UNLABELLED, Array, Dataset
from b3shared.errors import SingleClassError, TooLittleHistoryError
from b3shared.features import Features, build_features
from b3shared.labels import build_labels
from b3shared.params import PipelineParams


@dataclass(frozen=True)
class Preprocessed:
    """The training table and how it came about.

    Attributes:
        data: the table.
        rows: (rows,) int64, for each row of ``data`` its row in the quotes.
        report: JSON-able facts: shapes, target distribution, rows left out by reason, warnings.
    """

    data: Dataset
    rows: Array
    report: dict[str, Any]


def preprocess(frame: pd.DataFrame, params: PipelineParams) -> Preprocessed:
    """Build the training table of clean quotes.

    Args:
        frame: quotes sorted by ticker and date, one row each (:func:`b3shared.quotes.loading.load_quotes`).
        params: feature set, label, horizon, liquidity limit.

    Raises:
        InvalidQuotesError: The source lacks a column that the feature set needs.
        TooLittleHistoryError: No row has complete features.
        SingleClassError: All labels are of one class.
    """
    features = build_features(frame, params.features, params.min_turnover)
    labels = build_labels(features.shared, params)
    complete = np.isfinite(features.X).all(axis=1)
    series = features.shared
    usable = complete & features.liquid & np.isfinite(series.panel.rows(series.volatility))
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise TooLittleHistoryError(_why_nothing(features, complete, params), tickers=len(series.panel.tickers))
    take = series.panel.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        data = Dataset(
            X=features.X[rows].astype(np.float32),
            feature_names=features.names,
            ticker=frame["ticker"].to_numpy(dtype=str)[rows],
            date=series.panel.date[rows],
            session=series.panel.session[rows].astype(np.int32),
            close=frame["close"].to_numpy(dtype=np.float64)[rows],
            volatility=take(series.volatility)[rows],
            return_5=take(series.total_return(5))[rows],
            return_20=take(series.total_return(20))[rows],
            known_label=labels.known_label[rows],
            rule=take(series.rule())[rows],
            label=labels.label[rows],
            label_end=labels.label_end[rows],
            future_return=labels.future_return[rows],
        )
    return Preprocessed(data, rows, _report(frame, features, data, complete, params))


def _report(
    frame: pd.DataFrame, features: Features, data: Dataset, complete: Array, params: PipelineParams
) -> dict[str, Any]:
    present = data.label[data.labelled]
    counts = {name: int((present == code).sum()) for code, name in enumerate(CLASSES)}
    if (kinds := sum(n > 0 for n in counts.values())) < 2:
        raise SingleClassError(
            f"label {params.label!r} gives {kinds} class among {len(present)} labelled rows: {counts}; "
            "at least two are needed: widen the data or change label_width",
            counts=counts,
        )
    warnings = []
    if features.without:
        warnings.append(f"the source has no best bid and ask: features {', '.join(features.without)} are left out")
    return {
        "rows": len(data),
        "features": len(data.feature_names),
        "feature_names": list(data.feature_names),
        "tickers": len(np.unique(data.ticker)),
        "first_date": str(data.date.min()),
        "last_date": str(data.date.max()),
        "labelled_rows": len(present),
        "target_distribution": counts,
        "left_out": {
            "illiquid": int((~features.liquid).sum()),
            "incomplete_features": int((features.liquid & ~complete).sum()),
            "outcome_not_known_yet": int((data.label == UNLABELLED).sum()),
        },
        "warnings": warnings,
    }


def _why_nothing(features: Features, complete: Array, params: PipelineParams) -> str:
    if not features.liquid.any():
        return (
            f"no row's trailing median turnover exceeds min_turnover = R$ {params.min_turnover:,.0f}; "
            "lower it or choose more liquid tickers"
        )
    if not complete.any():
        worst = features.names[int(np.isfinite(features.X).sum(axis=0).argmin())]
        return (
            f"no row has a finite value in all {len(features.names)} features ({worst} has fewest): the history is too "
            "short or a column is missing"
        )
    return "no liquid row has complete features; choose a longer period"
