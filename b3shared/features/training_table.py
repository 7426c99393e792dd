"""The training table: made of quotes, with a count of every row that is left out, by reason."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.errors import SingleClassError, TooLittleHistoryError
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.table import Dataset
from b3shared.features.assembly import TableJoin, features_part
from b3shared.features.formulas import FEATURE_SETS
from b3shared.features.labels import build_labels
from b3shared.features.series import LIQUIDITY_WINDOW
from b3shared.features.ticker_features import Coverage, ticker_features
from b3shared.params.run import PipelineParams


@dataclass(frozen=True)
class Preprocessed:
    """A training table and the report of its making.

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
        frame: quotes sorted by ticker and date, one row each
            (:func:`b3shared.quotes.loading.load.load_quotes`).
        params: feature set, label, horizon, liquidity limit.

    Raises:
        InvalidQuotesError: The source lacks a column that the feature set needs.
        TooLittleHistoryError: No row has complete features.
        SingleClassError: All labels are of one class.
    """
    coverage = Coverage.from_frame(frame)
    part = table_part(frame, params, coverage)
    join = TableJoin([lambda: part], params.features)
    report = describe(join, coverage, params)
    return Preprocessed(join.dataset(), next(join.column("row")), report)


def table_part(frame: pd.DataFrame, params: PipelineParams, coverage: Coverage) -> dict[str, Array]:
    """Make the part of a training table that some tickers' quotes give.

    Args:
        frame: clean quotes of some tickers, sorted by ticker and date.
        params: feature set, label, horizon, liquidity limit, longest hole.
        coverage: of the whole source.

    Returns:
        The columns of :data:`b3shared.features.assembly.Part` and of
        :data:`b3shared.features.assembly.COLUMN_TYPES` for every liquid row, except ``session``;
        ``row``, its number in ``frame``; ``ticker_code``, its ticker's number in ``tickers``;
        ``complete``, whether it has every feature of its own; ``quotes``, the number of rows of
        ``frame``; ``unknown``, that of the rows that are not liquid because their median turnover
        is not known, as in a ticker's first 60 sessions.

    Raises:
        InvalidQuotesError: The source lacks columns or tickers that the feature set needs.
    """
    features = ticker_features(
        frame, params.features, params.min_turnover, coverage, params.max_gap
    )
    series = features.series
    panel = series.panel
    labels = build_labels(series, params)
    rows = np.flatnonzero(features.liquid)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        point_in_time = {
            "volatility": panel.rows(series.volatility)[rows],
            "return_5": panel.rows(series.total_return(5))[rows],
            "return_20": panel.rows(series.total_return(20))[rows],
            "rule": panel.rows(series.rule())[rows],
        }

    complete = np.ones(len(rows), dtype=bool)
    for values in features.columns.values():
        complete &= np.isfinite(values[rows])

    tickers, code = np.unique(frame["ticker"].to_numpy(dtype=str)[rows], return_inverse=True)
    turnover = panel.rows(series.median_turnover())
    return {
        **features_part(features),
        **point_in_time,
        "close": frame["close"].to_numpy(dtype=np.float64)[rows],
        "known_label": labels.known_label[rows],
        "label": labels.label[rows],
        "label_end": labels.label_end[rows],
        "future_return": labels.future_return[rows],
        "row": rows,
        "tickers": tickers,
        "ticker_code": code.astype(np.int32),
        "complete": complete,
        "quotes": np.array(len(frame)),
        "unknown": np.array(np.count_nonzero(np.isnan(turnover) & ~features.liquid)),
    }


def describe(join: TableJoin, coverage: Coverage, params: PipelineParams) -> dict[str, Any]:
    """Return the size of a training table, its classes, and what was left out, as JSON types.

    Raises:
        TooLittleHistoryError: No row has complete features.
        SingleClassError: All labels are of one class.
    """
    if not len(join):
        raise TooLittleHistoryError(_why_nothing(join, params), tickers=coverage.tickers)

    labels = np.sum(
        [np.bincount(label + 1, minlength=len(CLASSES) + 1) for label in join.column("label")],
        axis=0,
    )
    unknown = int(labels[0])
    counts = {name: int(n) for name, n in zip(CLASSES, labels[1:], strict=True)}
    if (kinds := sum(n > 0 for n in counts.values())) < 2:
        raise SingleClassError(
            f"label {params.label!r} gives {kinds} class among {sum(counts.values())} labelled "
            f"rows: {counts}; at least two are needed: widen the data or change label_width",
            counts=counts,
        )

    warnings = []
    if without := FEATURE_SETS[params.features].missing(join.names):
        warnings.append(
            f"the source has no best bid and ask: features {', '.join(without)} are left out"
        )

    sessions = [session for session in join.column("session") if len(session)]
    return {
        "rows": len(join),
        "features": len(join.names),
        "feature_names": list(join.names),
        "tickers": len(join.tickers()[0]),
        "first_date": str(join.calendar[min(session.min() for session in sessions)]),
        "last_date": str(join.calendar[max(session.max() for session in sessions)]),
        "labelled_rows": sum(counts.values()),
        "target_distribution": counts,
        "left_out": {
            "median_turnover_not_known": join.unknown,
            "illiquid": join.quotes - join.unknown - join.liquid,
            "incomplete_features": join.liquid - join.complete,
            "outcome_not_known_yet": unknown,
        },
        "warnings": warnings,
    }


def _why_nothing(join: TableJoin, params: PipelineParams) -> str:
    """Say why no row is left."""
    if join.unknown == join.quotes:
        return (
            f"no ticker has the {LIQUIDITY_WINDOW} sessions whose median turnover tells "
            "whether it is liquid"
        )
    if not join.liquid:
        return (
            "no row's trailing median turnover exceeds "
            f"min_turnover = R$ {params.min_turnover:,.0f}; "
            "lower it or choose more liquid tickers"
        )
    if not join.complete:
        return (
            f"no liquid row has a finite value in all {len(join.names)} features "
            f"({join.rarest()} has fewest): the history is too short or a column is missing"
        )
    return "no liquid row with complete features has a known volatility; choose a longer period"
