"""Labels: the outcomes to be forecast, each with the session at whose close it is known."""

from dataclasses import dataclass

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import BUY, HOLD, SELL, UNLABELLED
from b3shared.features.panel import lag
from b3shared.features.series import Series
from b3shared.params.run import PipelineParams

NEVER = np.datetime64("NaT", "D")


@dataclass(frozen=True)
class Labels:
    """Labels per row of the quotes.

    Attributes:
        label: (rows,) int8 class code; -1 where not known yet.
        label_end: (rows,) datetime64[D] session at whose close label and ``future_return`` are both
            known; NaT else.
        future_return: (rows,) float64 total return from the close of t to the outcome, a fraction;
            NaN where unknown.
        known_label: (rows,) int8 newest label of the ticker that is known at the close of t; -1 if
            none.
    """

    label: IntArray
    label_end: Array
    future_return: FloatArray
    known_label: IntArray


def build_labels(series: Series, params: PipelineParams) -> Labels:
    """Label every row by the kind that the parameters name.

    ``direction``: the total return over ``horizon`` sessions of the ticker against plus and minus
    ``label_width`` times the trailing 20-session volatility times sqrt(horizon). ``triple_barrier``
    (Lopez de Prado 2018, ch. 3): which of the same two limits a close reaches first within
    ``horizon`` sessions, hold if neither; the return ends there too. ``signal``: the reference
    project's rule of the inputs, ``signal_lag`` sessions ahead; its return is that over
    ``horizon``. The trade behind all of them is entered at the close of t. No label reaches over a
    hole that breaks the panel's line (:class:`b3shared.features.panel.Panel`): rows before it have
    no outcome.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        label, ahead, future = _KINDS[params.label](series, params)

    panel = series.panel
    column = np.arange(panel.shape[1])
    dates = panel.grid(panel.date, fill=NEVER)
    end = np.take_along_axis(
        dates, np.minimum(column + np.maximum(ahead, 0), panel.shape[1] - 1), axis=1
    )
    unknown = (ahead < 0) | np.isnat(end) | np.isnan(future)

    known = lag(_masked(label, np.isnan(series.close)), max(1, params.signal_lag), fill=UNLABELLED)
    label = _masked(label, unknown)
    if params.label != "signal":
        known = lag(label, params.horizon, fill=UNLABELLED)

    return Labels(
        panel.rows(label),
        panel.rows(np.where(unknown, NEVER, end)),
        panel.rows(np.where(unknown, np.nan, future)),
        panel.rows(known),
    )


def _masked(label: IntArray, unknown: Array) -> IntArray:
    """Replace unknown labels by the code for none."""
    return np.where(unknown, UNLABELLED, label).astype(np.int8)


def _band(series: Series, params: PipelineParams) -> FloatArray:
    """Return the return above which a row is a buy and below minus which a sell."""
    band: FloatArray = params.label_width * series.volatility * np.sqrt(params.horizon)
    return band


def _side(returns: FloatArray, band: FloatArray) -> IntArray:
    return np.select([returns > band, returns < -band], [BUY, SELL], default=HOLD).astype(np.int8)


def _ahead(series: Series, sessions: int) -> IntArray:
    """Return ``sessions`` where the outcome that far ahead is there; -1 where it is not."""
    here = ~np.isnan(series.close) & ~np.isnan(lag(series.close, -sessions))
    return np.where(here, sessions, -1)


def _direction(series: Series, params: PipelineParams) -> tuple[IntArray, IntArray, FloatArray]:
    future = lag(series.close, -params.horizon) / series.close - 1.0
    band = _band(series, params)
    ahead = np.where(np.isnan(band), -1, _ahead(series, params.horizon))
    return _side(future, band), ahead, future


def _triple_barrier(
    series: Series, params: PipelineParams
) -> tuple[IntArray, IntArray, FloatArray]:
    band = _band(series, params)
    label = np.full(band.shape, HOLD, dtype=np.int8)
    # A touch counts only where the whole horizon is known: else the newest rows would all be buys
    # and sells.
    ahead = np.where(np.isnan(band), -1, _ahead(series, params.horizon))
    future = lag(series.close, -params.horizon) / series.close - 1.0

    for sessions in range(params.horizon, 0, -1):  # the earliest touch is written last
        returns = lag(series.close, -sessions) / series.close - 1.0
        side = _side(returns, band)
        touched = (side != HOLD) & (ahead >= 0)
        label = np.where(touched, side, label)
        ahead = np.where(touched, sessions, ahead)
        future = np.where(touched, returns, future)
    return label, ahead, future


def _signal(series: Series, params: PipelineParams) -> tuple[IntArray, IntArray, FloatArray]:
    rule = lag(series.rule(), -params.signal_lag, fill=HOLD)
    future = lag(series.close, -params.horizon) / series.close - 1.0
    return rule, _ahead(series, max(params.horizon, params.signal_lag)), future


_KINDS = {"direction": _direction, "triple_barrier": _triple_barrier, "signal": _signal}
