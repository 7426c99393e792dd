"""From quotes to the training table: features, labels, and a count of every row that is left out, by reason."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.errors import SingleClassError, TooLittleHistoryError
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.table import Dataset
from b3shared.features.assembly import TableJoin, table_part
from b3shared.features.build import Coverage, coverage_of
from b3shared.features.formulas import BOOK
from b3shared.features.series import LIQUIDITY_WINDOW
from b3shared.params.run import PipelineParams


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
        frame: quotes sorted by ticker and date, one row each
            (:func:`b3shared.quotes.loading.load.load_quotes`).
        params: feature set, label, horizon, liquidity limit.

    Raises:
        InvalidQuotesError: The source lacks a column that the feature set needs.
        TooLittleHistoryError: No row has complete features.
        SingleClassError: All labels are of one class.
    """
    coverage = coverage_of(frame)
    part = table_part(frame, params, coverage)
    join = TableJoin([lambda: part], params.features)
    report = describe(join, coverage, params)
    return Preprocessed(join.dataset(), next(join.column("row")), report)


def describe(join: TableJoin, coverage: Coverage, params: PipelineParams) -> dict[str, Any]:
    """What a training table holds and lacks, as JSON types.

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
    unknown, counts = (
        int(labels[0]),
        {name: int(n) for name, n in zip(CLASSES, labels[1:], strict=True)},
    )
    if (kinds := sum(n > 0 for n in counts.values())) < 2:
        raise SingleClassError(
            f"label {params.label!r} gives {kinds} class among {sum(counts.values())} labelled rows: {counts}; "
            "at least two are needed: widen the data or change label_width",
            counts=counts,
        )
    warnings = []
    if without := [name for name in BOOK if params.features == "v1" and name not in join.names]:
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
    if join.unknown == join.quotes:
        return f"no ticker has the {LIQUIDITY_WINDOW} sessions whose median turnover tells whether it is liquid"
    if not join.liquid:
        return (
            f"no row's trailing median turnover exceeds min_turnover = R$ {params.min_turnover:,.0f}; "
            "lower it or choose more liquid tickers"
        )
    if not join.complete:
        return (
            f"no liquid row has a finite value in all {len(join.names)} features ({join.rarest()} has fewest): the history "
            "is too short or a column is missing"
        )
    return "no liquid row with complete features has a known volatility; choose a longer period"
