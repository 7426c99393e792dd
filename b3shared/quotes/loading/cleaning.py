"""What is wrong with a table of quotes: every finding is counted and shown, and only what is impossible is dropped."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from b3shared.core.clock import today
from b3shared.quotes.calendar import TradingActivity, closed_days
from b3shared.quotes.findings import EXAMPLES, Finding
from b3shared.quotes.schema import CASH_EQUITY

PRICES = ("open", "high", "low", "close")
JUMP = 0.40
"""A close-to-close move beyond this, with no corporate action listed, is reported."""
EXPECTED = ("open", "high", "low", "volume")
"""Features need these beside the close; where a source has the column, holes in it are reported."""


def clean(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop what cannot be a quote of a traded cash equity; report everything odd.

    A dropped row is counted once, under the first reason that holds. Of several rows for one ticker
    and date the last that is not dropped for another reason stays. Corporate actions of a dropped
    row pass to the ticker's next row, so that no split or dividend is lost.

    Args:
        frame: quotes in the schema, sorted by ticker and date; ``attrs["missing"]`` names columns
            that the source lacks.

    Returns:
        The clean frame (sorted, one row per ticker and date, fresh index) and the findings, empty
        kinds left out.
    """
    frame, findings = clean_part(frame)
    findings.append(gaps(frame, np.unique(frame["date"].to_numpy())))
    return frame, [f for f in findings if f.rows]


def clean_part(
    frame: pd.DataFrame, market: TradingActivity | None = None
) -> tuple[pd.DataFrame, list[Finding]]:
    """As :func:`clean`, for some of the tickers of a market, without the gaps, which are counted in sessions of all.

    Args:
        frame: as there.
        market: who has rows when among all quotes; None if these are all.

    Returns:
        The clean frame, and the findings in an order of their own, empty ones too: of parts they
        can be added up. The first is of the whole market, and the same for every part.
    """
    closed, findings = closed_days(frame, market)
    dropped = np.zeros(len(frame), dtype=bool)
    for kind, mask, show in [*_impossible(frame), ("closed_day", closed, "close")]:
        findings.append(_finding(frame, kind, mask & ~dropped, "dropped", show))
        dropped |= mask
    twin = _earlier_twins(frame, dropped)
    findings.append(_finding(frame, "duplicate", twin, "dropped", "close"))
    dropped |= twin
    frame = _carry_actions(frame, dropped)
    frame = _clear_bad_actions(frame, findings)
    frame = _clear_empty_book(frame, findings)
    findings += [*_missing_values(frame), _crossed_book(frame), *_jumps(frame)]
    return frame, findings


def _impossible(frame: pd.DataFrame) -> list[tuple[str, Any, str]]:
    """(kind, mask, column to show) of the rows that must go."""
    low, high, close = (
        frame[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in ("low", "high", "close")
    )
    tick = 0.0051  # published prices are rounded to the cent
    with np.errstate(invalid="ignore"):
        inconsistent = (low > high + tick) | (close > high + tick) | (close < low - tick)
        present = [frame[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in PRICES]
        absurd = np.any([(p <= 0) | (p > 1e6) | np.isinf(p) for p in present], axis=0)
    ticker, volume = frame["ticker"], frame["volume"]
    no_ticker = ticker.isna() | (ticker.str.strip() == "")
    return [
        ("no_date", frame["date"].isna().to_numpy(), "close"),
        ("no_ticker", no_ticker.to_numpy(dtype=bool), "close"),
        ("future_date", (frame["date"] > pd.Timestamp(today())).to_numpy(), "close"),
        (
            "not_a_cash_equity",
            ~ticker.str.fullmatch(CASH_EQUITY).fillna(False).to_numpy(dtype=bool),
            "close",
        ),
        ("no_price", np.isnan(close), "close"),
        ("absurd_price", absurd, "close"),
        ("close_outside_range", inconsistent, "close"),
        ("zero_volume", (volume.notna() & (volume <= 0)).to_numpy(dtype=bool), "volume"),
    ]


def _earlier_twins(frame: pd.DataFrame, dropped: Any) -> Any:
    """Mask of the rows, among those not dropped, that a later one for the same ticker and date replaces."""
    rest = np.flatnonzero(~dropped)
    twin = np.zeros(len(frame), dtype=bool)
    twin[rest] = frame[["ticker", "date"]].iloc[rest].duplicated(keep="last").to_numpy()
    return twin


def _carry_actions(frame: pd.DataFrame, dropped: Any) -> pd.DataFrame:
    """The rows that stay; splits and dividends of dropped rows move to the next row of the ticker that stays.

    Actions belong to a day: they are not carried where a twin of the row stays, and once where
    several go.
    """
    kept = np.flatnonzero(~dropped)
    split = frame["split_factor"].to_numpy(dtype=np.float64).copy()
    dividend = frame["dividend"].to_numpy(dtype=np.float64).copy()
    ticker, date = frame["ticker"].to_numpy(), frame["date"].to_numpy()
    day = np.cumsum(
        np.r_[True, (ticker[1:] != ticker[:-1]) | (date[1:] != date[:-1])][: len(frame)]
    )
    lost = np.flatnonzero(dropped & ((split != 1) | (dividend != 0)) & ~np.isin(day, day[kept]))
    for row in lost[np.append(np.diff(day[lost]) > 0, True)[: len(lost)]][::-1]:
        after = np.searchsorted(kept, row)
        if after == len(kept):
            continue
        heir = kept[after]
        if ticker[heir] == ticker[row]:
            dividend[heir] = dividend[row] + split[row] * dividend[heir]
            split[heir] *= split[row]
    out = frame.assign(split_factor=split, dividend=dividend).iloc[kept].reset_index(drop=True)
    out.attrs = frame.attrs
    return out


def _clear_bad_actions(frame: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    split, dividend = frame["split_factor"], frame["dividend"]
    previous = frame["close"].shift(1).where(frame["ticker"] == frame["ticker"].shift(1))
    bad_split = ~((split > 0) & np.isfinite(split))
    bad_dividend = (dividend < 0) | (dividend >= previous) | ~np.isfinite(dividend)
    findings.append(
        _finding(frame, "impossible_split", bad_split.to_numpy(), "cleared", "split_factor")
    )
    findings.append(
        _finding(frame, "impossible_dividend", bad_dividend.to_numpy(), "cleared", "dividend")
    )
    out = frame.assign(
        split_factor=split.mask(bad_split, 1.0), dividend=dividend.mask(bad_dividend, 0.0)
    )
    out.attrs = frame.attrs
    return out


def _clear_empty_book(frame: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    """A best bid or ask of 0 means that nobody stood there."""
    changes = {}
    for side in ("best_buy", "best_sell"):
        empty = (frame[side] <= 0).to_numpy()
        findings.append(_finding(frame, f"no_{side}", empty, "cleared", side))
        changes[side] = frame[side].mask(empty)
    out = frame.assign(**changes)
    out.attrs = frame.attrs
    return out


def _missing_values(frame: pd.DataFrame) -> list[Finding]:
    """Holes in columns that features need, a finding a column; what the source lacks as a whole is told elsewhere."""
    present = [c for c in EXPECTED if c not in frame.attrs.get("missing", [])]
    return [
        _finding(frame, "missing_value", frame[c].isna().to_numpy(), "kept", c) for c in present
    ]


def _crossed_book(frame: pd.DataFrame) -> Finding:
    return _finding(
        frame,
        "crossed_book",
        (frame["best_buy"] > frame["best_sell"]).to_numpy(),
        "kept",
        "best_buy",
    )


def _jumps(frame: pd.DataFrame) -> list[Finding]:
    """Moves beyond 40 % that no action explains: a bad tick, a real crash, or an action that is only suspected."""
    same = (frame["ticker"] == frame["ticker"].shift(1)).to_numpy()
    before = (frame["close"].shift(1) - frame["dividend"]) / frame["split_factor"]
    move = (frame["close"] / before - 1).to_numpy()
    with np.errstate(invalid="ignore"):
        far = same & (np.abs(move) > JUMP)
    suspected: dict[Any, float] = frame.attrs.get("suspected_actions", {})
    days = frame["date"].to_numpy().astype("datetime64[D]")
    factor = np.full(len(frame), np.nan)
    for row in np.flatnonzero(far):
        factor[row] = suspected.get((frame["ticker"].iat[int(row)], days[row]), np.nan)
    shown, doubtful = (
        frame.assign(move=np.round(move, 3), suspected_factor=factor),
        far & np.isfinite(factor),
    )
    return [
        _finding(shown, "unexplained_jump", far & ~doubtful, "kept", "move"),
        _finding(shown, "suspected_action", doubtful, "kept", "suspected_factor"),
    ]


def gaps(frame: pd.DataFrame, calendar: Any) -> Finding:
    """Rows that follow a hole of one or more sessions of the market since the ticker's last row.

    Args:
        frame: clean quotes with ticker and date, of all tickers or some of them.
        calendar: the dates of all.
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
    who = "no ticker" if pd.isna(ticker) or not ticker.strip() else ticker
    day = "no date" if pd.isna(date) else pd.Timestamp(date).date()
    return f"{who} {day}: {f'no {show}' if pd.isna(value) else f'{show} {value}'}"
