"""Scores tickers of a snapshot with a version, alike in Python and over HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from b3shared.core.arrays import IntArray
from b3shared.core.errors import B3Error, TooLittleHistoryError, UnknownTickerError
from b3shared.models.base import Forecast
from b3shared.serving.rows import check_usable, find
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version


@dataclass(frozen=True)
class Scores:
    """Forecasts of tickers, and the reason for every ticker without one.

    Attributes:
        rows: of the snapshot, those with a forecast, in the order that they were asked in.
        forecast: of these rows; None if there is none.
        actions: (rows,) int8 codes into :data:`b3shared.core.vocabulary.CLASSES`.
        refused: ticker -> why it has no forecast.
    """

    rows: list[int] = field(default_factory=list)
    forecast: Forecast | None = None
    actions: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    refused: dict[str, B3Error] = field(default_factory=dict)


def score_tickers(snapshot: Snapshot, version: Version, tickers: Iterable[str]) -> Scores:
    """Forecast tickers from their newest rows.

    Args:
        snapshot: has the version's features (:func:`b3shared.serving.rows.check_fits`).
        version: to ask.
        tickers: trimmed and in capitals, each once.
    """
    rows: list[int] = []
    windows = []
    refused: dict[str, B3Error] = {}
    for ticker in tickers:
        try:
            row = find(snapshot, ticker)
            windows.append(check_usable(snapshot, row, version))
            rows.append(row)
        except (UnknownTickerError, TooLittleHistoryError) as error:
            refused[ticker] = error

    if not rows:
        return Scores(refused=refused)

    forecast = version.scorer.score(np.stack(windows), snapshot.volatility[rows])
    return Scores(rows, forecast, version.scorer.decide(forecast), refused)
