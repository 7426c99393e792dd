"""Checks that a snapshot and a version can answer before they are served.

What loads but cannot answer must not replace what answers. A version and a
snapshot are checked by themselves, and together by one answer from start to end.
"""

from typing import get_args

import numpy as np

from b3shared.core.errors import (
    ArtifactCorruptError,
    B3Error,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.market import OF_SECTORS
from b3shared.models.base import Forecast
from b3shared.models.decision import Decision
from b3shared.serving.explanation import explain
from b3shared.serving.rows import check_fits, check_usable, expected
from b3shared.serving.snapshot import COLUMNS, Snapshot
from b3shared.serving.version import Version

_KINDS = {
    "ticker": "U",
    "company": "U",
    "isin": "U",
    "date": "M",
    "age": "i",
    "sessions": "i",
    "close": "f",
    "volatility": "f",
    "turnover": "f",
}
"""Column of a snapshot -> kind of its dtype."""


def check_snapshot(snapshot: Snapshot) -> None:
    """Raise ArtifactCorruptError unless the arrays of a snapshot are valid.

    They must be of the right kinds, of one length, and in order.
    """
    count = len(snapshot.ticker)
    if not count:
        _refuse("the snapshot has no ticker")

    for name in COLUMNS:
        column = getattr(snapshot, name)
        if column.dtype.kind != _KINDS[name] or column.shape != (count,):
            _refuse(
                f"the snapshot's {name} is {column.dtype} {column.shape}, "
                f"not one value for each of {count} tickers"
            )

    sectors = snapshot.sectors
    if sectors is not None and {len(getattr(sectors, name)) for name in OF_SECTORS} != {count}:
        _refuse(f"the snapshot's sectors are not one for each of {count} tickers")

    for name in ("dividends_until", "dividends_from"):
        days = getattr(snapshot, name)
        if days is not None and (days.dtype.kind != "M" or days.shape != (count,)):
            _refuse(f"the snapshot's {name} is {days.dtype} {days.shape}, not {count} dates")
    if (snapshot.ticker[1:] <= snapshot.ticker[:-1]).any():
        _refuse("the snapshot's tickers are not in order, each once")
    if (snapshot.age < 0).any() or np.isnat(snapshot.date).any() or np.isnat(snapshot.as_of):
        _refuse("the snapshot has a ticker without a date, or with one in the future")
    if not (np.isfinite(snapshot.close) & (snapshot.close > 0)).all():
        _refuse("the snapshot has a ticker without a price")
    if not snapshot.windows:
        _refuse("the snapshot has no features")

    for name, window in snapshot.windows.items():
        _check_windows(snapshot, name, window.shape[1] if window.ndim == 3 else 0)


def _check_windows(snapshot: Snapshot, name: str, lookback: int) -> None:
    """Raise ArtifactCorruptError unless a set of windows is valid.

    Windows are (tickers, rows, features), and each row with features needs a volatility.
    """
    window = snapshot.windows[name]
    shape = (len(snapshot.ticker), lookback, len(snapshot.names[name]))
    if window.dtype != np.float32 or window.shape != shape or not lookback:
        _refuse(
            f"the snapshot's features {name} are {window.dtype} {window.shape}, not float32 {shape}"
        )

    slots = snapshot.slots.get(name)
    if slots is not None and (slots.dtype.kind != "i" or slots.shape != shape[:2]):
        _refuse(
            f"the snapshot's sessions of {name} are {slots.dtype} {slots.shape}, "
            f"not numbers {shape[:2]}"
        )

    usable = np.isfinite(window[:, -1]).all(axis=1)
    known = np.isfinite(snapshot.volatility) & (snapshot.volatility >= 0)
    if (usable & ~known).any():
        _refuse(f"the snapshot has features {name} of a ticker whose volatility is not known")


def check_version(version: Version) -> None:
    """Raise ArtifactCorruptError unless a version's parts agree and it scores a row of medians."""
    scorer = version.scorer
    metadata = scorer.metadata
    names = scorer.feature_names
    if list(names) != list(version.manifest.get("features", names)):
        _refuse(f"the model of version {version.name} takes other features than its manifest names")

    for part in ("importance", "medians", "base_rates", "calibration", "decision"):
        if part not in metadata:
            _refuse(f"version {version.name} has no {part}")
    if set(metadata["importance"]) != set(names) or len(metadata["medians"]) != len(names):
        _refuse(f"version {version.name} has importances or medians of other features than its own")

    if metadata["decision"] not in get_args(Decision):
        _refuse(
            f"version {version.name} decides by {metadata['decision']!r}, "
            "which is no rule of this code"
        )

    rates = scorer.base_rates
    if rates.shape != (len(CLASSES),) or not (np.isfinite(rates) & (rates > 0)).all():
        _refuse(
            f"version {version.name} has base rates {rates.tolist()}: "
            "one positive share for each class is needed"
        )

    row = np.asarray(metadata["medians"], dtype=np.float32)
    lookback = version.params.lookback
    window = np.tile(row, (lookback, 1)) if scorer.takes_sequences else row
    _check_forecast(version, scorer.score(window[None], np.array([0.02])))


def _check_forecast(version: Version, forecast: Forecast) -> None:
    probabilities = forecast.probabilities
    if probabilities.shape != (1, len(CLASSES)) or not np.isfinite(probabilities).all():
        _refuse(f"version {version.name} answers a row with probabilities {probabilities.tolist()}")

    if (version.scorer.return_scale is None) != (forecast.returns is None):
        _refuse(
            f"version {version.name} has a scale of returns and says none, or the other way round"
        )
    if forecast.returns is not None and not np.isfinite(forecast.returns).all():
        _refuse(
            f"version {version.name} answers a row with a return of {forecast.returns.tolist()}"
        )
    version.scorer.decide(forecast)


def check_pair(snapshot: Snapshot, version: Version) -> None:
    """Answer for the first ticker that can be answered, from start to end.

    Raises:
        IncompatibleFeaturesError: The snapshot has not what the version needs.
        TooLittleHistoryError: No ticker can be answered.
        B3Error: The version refuses its input.
    """
    check_fits(snapshot, version)
    refused: B3Error = TooLittleHistoryError(f"the snapshot of {snapshot.as_of} has no ticker")
    for row in range(len(snapshot.ticker)):
        try:
            window = check_usable(snapshot, row, version)
        except (TooLittleHistoryError, UnknownTickerError) as error:
            refused = error
            continue

        forecast = version.scorer.score(window[None], snapshot.volatility[[row]])
        _check_forecast(version, forecast)
        action = int(version.scorer.decide(forecast)[0])
        explain(version.scorer, window, snapshot.volatility[row], action, forecast, "none")
        expected(snapshot, row, version, forecast, 0)
        return

    raise TooLittleHistoryError(
        f"version {version.name} can answer for no ticker "
        f"of the snapshot of {snapshot.as_of}: {refused.message}"
    )


def check_together(snapshot: Snapshot, version: Version, *, cold: bool) -> None:
    """Raise unless the version can answer from the snapshot.

    Args:
        snapshot: checked by itself.
        version: likewise.
        cold: whether nothing answers yet. Then a snapshot without a single usable ticker is served
            too: its answers name the reason for each ticker.
    """
    try:
        check_pair(snapshot, version)
    except TooLittleHistoryError:
        if not cold:
            raise


def works_together(snapshot: Snapshot, version: Version) -> bool:
    """Return whether the version can answer from the snapshot."""
    try:
        check_pair(snapshot, version)
    except B3Error:
        return False
    return True


def _refuse(reason: str) -> None:
    raise ArtifactCorruptError(reason)
