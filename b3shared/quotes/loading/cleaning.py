"""Drops what cannot be a quote, clears impossible values, and reports everything odd.

Every finding is counted and shown with examples; only impossible rows are dropped.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd

from b3shared.core.clock import today
from b3shared.quotes.calendar import TradingActivity, closed_days
from b3shared.quotes.findings import EXAMPLES, Finding
from b3shared.quotes.loading.known_dividends import known_until
from b3shared.quotes.schema import CASH_EQUITY

PRICES = ("open", "high", "low", "close")
JUMP = 0.40
"""A larger close-to-close return that no corporate action explains is reported."""
EXPECTED = ("open", "high", "low", "volume")
"""Columns that features need beside the close; holes in them are reported if a source has them."""
TICK = 0.0051
"""Tolerance in comparisons of prices, which are published rounded to the cent."""
MAX_PRICE = 1e6
"""R$ per share above which a price is absurd."""


def clean(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop what cannot be a quote of a traded cash equity; report everything odd.

    A dropped row is counted once, under the first reason that holds. Of several rows for one ticker
    and date the last that is not dropped for another reason stays. Corporate actions of a dropped
    row pass to the ticker's next row, so that no split or dividend is lost.

    Args:
        frame: quotes in the schema, sorted by ticker and date; ``attrs["missing"]`` names columns
            that the source lacks.

    Returns:
        The clean frame (sorted, one row per ticker and date, fresh index) and the findings of at
        least one row.
    """
    frame, findings = clean_part(frame)
    findings.append(gaps(frame, np.unique(frame["date"].to_numpy())))
    return frame, [f for f in findings if f.rows]


def clean_part(
    frame: pd.DataFrame, market: TradingActivity | None = None
) -> tuple[pd.DataFrame, list[Finding]]:
    """Clean some of the tickers of a market, as :func:`clean` does, but without the gaps.

    Gaps are counted in the sessions of the whole market, see :func:`gaps`.

    Args:
        frame: as for :func:`clean`.
        market: activity of all quotes; None if these are all.

    Returns:
        The clean frame and the findings, also those of no rows, always in the same order, so that
        those of parts can be added up. The first is of the whole market, and the same for every
        part.
    """
    closed, findings = closed_days(frame, market)
    dropped = np.zeros(len(frame), dtype=bool)
    for kind, mask, show in [*_impossible_rows(frame), ("closed_day", closed, "close")]:
        findings.append(_finding(frame, kind, mask & ~dropped, "dropped", show))
        dropped |= mask

    duplicate = _earlier_duplicates(frame, dropped)
    findings.append(_finding(frame, "duplicate", duplicate, "dropped", "close"))
    frame = _carry_actions(frame, dropped | duplicate)

    frame, bad_actions = _clear_bad_actions(frame)
    frame, empty_book = _clear_empty_book(frame)
    findings += [*bad_actions, *empty_book]
    findings += [*_missing_values(frame), _dividends_unknown(frame)]
    findings += [_crossed_book(frame), *_jumps(frame)]
    return frame, findings


def _impossible_rows(frame: pd.DataFrame) -> list[tuple[str, Any, str]]:
    """Return kind, mask and the column to show of each reason to drop a row."""
    prices = {c: frame[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in PRICES}
    low = prices["low"]
    high = prices["high"]
    close = prices["close"]
    with np.errstate(invalid="ignore"):
        inconsistent = (low > high + TICK) | (close > high + TICK) | (close < low - TICK)
        absurd = np.any([(p <= 0) | (p > MAX_PRICE) | np.isinf(p) for p in prices.values()], axis=0)

    ticker = frame["ticker"]
    volume = frame["volume"]
    no_ticker = ticker.isna() | (ticker.str.strip() == "")
    cash_equity = ticker.str.fullmatch(CASH_EQUITY).fillna(False).to_numpy(dtype=bool)
    return [
        ("no_date", frame["date"].isna().to_numpy(), "close"),
        ("no_ticker", no_ticker.to_numpy(dtype=bool), "close"),
        ("future_date", (frame["date"] > pd.Timestamp(today())).to_numpy(), "close"),
        ("not_a_cash_equity", ~cash_equity, "close"),
        ("no_price", np.isnan(close), "close"),
        ("absurd_price", absurd, "close"),
        ("close_outside_range", inconsistent, "close"),
        ("zero_volume", (volume.notna() & (volume <= 0)).to_numpy(dtype=bool), "volume"),
    ]


def _earlier_duplicates(frame: pd.DataFrame, dropped: Any) -> Any:
    """Return a mask of the rows that a later one of the same ticker and date replaces."""
    rest = np.flatnonzero(~dropped)
    duplicate = np.zeros(len(frame), dtype=bool)
    duplicate[rest] = frame[["ticker", "date"]].iloc[rest].duplicated(keep="last").to_numpy()
    return duplicate


def _carry_actions(frame: pd.DataFrame, dropped: Any) -> pd.DataFrame:
    """Remove the dropped rows, and move their splits and dividends to the ticker's next row.

    Actions belong to a day: they are not moved if another row of the day stays, and moved once if
    several rows of the day go. Where a dropped row's dividend is not known (NaN), a next row
    without one is not known either.
    """
    kept = np.flatnonzero(~dropped)
    split = frame["split_factor"].to_numpy(dtype=np.float64).copy()
    dividend = frame["dividend"].to_numpy(dtype=np.float64).copy()
    ticker = frame["ticker"].to_numpy()
    date = frame["date"].to_numpy()

    new_day = np.r_[True, (ticker[1:] != ticker[:-1]) | (date[1:] != date[:-1])][: len(frame)]
    day = np.cumsum(new_day)
    paid = np.nan_to_num(dividend, nan=0.0)
    gone = dropped & ~np.isin(day, day[kept])
    _pass_unknown(dividend, np.flatnonzero(gone & np.isnan(dividend)), kept, ticker)
    lost = np.flatnonzero(gone & ((split != 1) | (paid != 0)))
    last_of_day = lost[np.append(np.diff(day[lost]) > 0, True)[: len(lost)]]

    for row in last_of_day[::-1]:
        position = np.searchsorted(kept, row)
        if position == len(kept):
            continue
        following = kept[position]
        if ticker[following] == ticker[row]:
            if paid[row] or not np.isnan(dividend[following]):
                paid[following] = paid[row] + split[row] * paid[following]
                dividend[following] = paid[following]
            split[following] *= split[row]

    out = frame.assign(split_factor=split, dividend=dividend).iloc[kept].reset_index(drop=True)
    out.attrs = frame.attrs
    return out


def _pass_unknown(dividend: Any, rows: Any, kept: Any, ticker: Any) -> None:
    """Set to NaN, in place, the dividends of 0 in the kept rows that follow the given ones."""
    position = np.searchsorted(kept, rows)
    inside = position < len(kept)
    following = kept[position[inside]]
    same = ticker[following] == ticker[rows[inside]]
    none = following[same & (dividend[following] == 0.0)]
    dividend[none] = np.nan


def _clear_bad_actions(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Clear impossible factors to 1 and impossible dividends to NaN: what was paid is not known."""
    split = frame["split_factor"]
    dividend = frame["dividend"]
    previous = frame["close"].shift(1).where(frame["ticker"] == frame["ticker"].shift(1))
    bad_split = ~((split > 0) & np.isfinite(split))
    bad_dividend = (dividend < 0) | (dividend >= previous) | np.isinf(dividend)
    findings = [
        _finding(frame, "impossible_split", bad_split.to_numpy(), "cleared", "split_factor"),
        _finding(frame, "impossible_dividend", bad_dividend.to_numpy(), "cleared", "dividend"),
    ]

    out = frame.assign(
        split_factor=split.mask(bad_split, 1.0), dividend=dividend.mask(bad_dividend)
    )
    out.attrs = frame.attrs
    return out, findings


def _clear_empty_book(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Clear best bids and asks of 0, which mean that there was none."""
    changes = {}
    findings = []
    for side in ("best_buy", "best_sell"):
        empty = (frame[side] <= 0).to_numpy()
        findings.append(_finding(frame, f"no_{side}", empty, "cleared", side))
        changes[side] = frame[side].mask(empty)

    out = frame.assign(**changes)
    out.attrs = frame.attrs
    return out, findings


def _missing_values(frame: pd.DataFrame) -> list[Finding]:
    """Find holes in the columns that features need, a finding for each column.

    Columns that the source lacks are named in the report instead.
    """
    present = [c for c in EXPECTED if c not in frame.attrs.get("missing", [])]
    return [
        _finding(frame, "missing_value", frame[c].isna().to_numpy(), "kept", c) for c in present
    ]


def _dividends_unknown(frame: pd.DataFrame) -> Finding:
    """Find the rows for which it is not known whether a dividend left the price."""
    unknown = frame["dividend"].isna()
    until = known_until(frame)
    rows = unknown.groupby(frame["ticker"], sort=True).sum()
    rows = rows[rows > 0]

    examples = tuple(
        f"{ticker} in {int(count)} rows, known {_until(until[str(ticker)])}"
        for ticker, count in rows.head(EXAMPLES).items()
    )
    return Finding("dividends_unknown", int(unknown.sum()), "kept", examples)


def _until(day: pd.Timestamp) -> str:
    return "on no day" if pd.isna(day) else f"until {day.date()}"


def _crossed_book(frame: pd.DataFrame) -> Finding:
    return _finding(
        frame,
        "crossed_book",
        (frame["best_buy"] > frame["best_sell"]).to_numpy(),
        "kept",
        "best_buy",
    )


def _jumps(frame: pd.DataFrame) -> list[Finding]:
    """Find returns beyond :data:`JUMP` that no corporate action explains.

    They are bad ticks, real crashes, or actions that are only suspected.
    """
    same = (frame["ticker"] == frame["ticker"].shift(1)).to_numpy()
    before = (frame["close"].shift(1) - frame["dividend"].fillna(0.0)) / frame["split_factor"]
    move = (frame["close"] / before - 1).to_numpy()
    with np.errstate(invalid="ignore"):
        far = same & (np.abs(move) > JUMP)

    suspected: dict[Any, float] = frame.attrs.get("suspected_actions", {})
    days = frame["date"].to_numpy().astype("datetime64[D]")
    factor = np.full(len(frame), np.nan)
    for row in np.flatnonzero(far):
        factor[row] = suspected.get((frame["ticker"].iat[int(row)], days[row]), np.nan)

    shown = frame.assign(move=np.round(move, 3), suspected_factor=factor)
    doubtful = far & np.isfinite(factor)
    return [
        _finding(shown, "unexplained_jump", far & ~doubtful, "kept", "move"),
        _finding(shown, "suspected_action", doubtful, "kept", "suspected_factor"),
    ]


def gaps(frame: pd.DataFrame, calendar: Any) -> Finding:
    """Find rows before which the ticker misses one or more sessions of the market.

    Args:
        frame: clean quotes with ticker and date, of all tickers or some of them.
        calendar: (sessions,) datetime64, dates of all tickers, sorted.
    """
    session = np.searchsorted(calendar, frame["date"].to_numpy())
    same = (frame["ticker"] == frame["ticker"].shift(1)).to_numpy()
    missing = np.where(same, np.diff(session, prepend=0) - 1, 0)
    return _finding(
        frame.assign(missing_sessions=missing), "gap", missing > 0, "kept", "missing_sessions"
    )


def _finding(
    frame: pd.DataFrame,
    kind: str,
    mask: Any,
    action: Literal["dropped", "kept", "cleared"],
    show: str,
) -> Finding:
    rows = frame.loc[mask, ["ticker", "date", show]]
    examples = tuple(
        _example(row[0], row[1], row[2], show)
        for row in rows.head(EXAMPLES).itertuples(index=False)
    )
    return Finding(kind, len(rows), action, examples)


def _example(ticker: Any, date: Any, value: Any, show: str) -> str:
    name = "no ticker" if pd.isna(ticker) or not ticker.strip() else ticker
    day = "no date" if pd.isna(date) else pd.Timestamp(date).date()
    shown = f"no {show}" if pd.isna(value) else f"{show} {value}"
    return f"{name} {day}: {shown}"
