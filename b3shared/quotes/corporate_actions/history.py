"""Keeps every state of the events: a table that only grows.

Each change of the lake's events adds one revision: rows for the events that are new, changed or
gone. Earlier rows stay as they are. The newest row of an event is what holds of it now.
"""

from datetime import date

import pandas as pd

from b3shared.quotes.corporate_actions.table import ACTION_TYPES, sorted_actions

_KEY = ["ticker", "event"]
_CONTENT = [name for name in ACTION_TYPES if name not in (*_KEY, "revision")]


def with_revision(history: pd.DataFrame | None, events: pd.DataFrame) -> pd.DataFrame:
    """Return the history with one more revision, or as it is if nothing differs.

    Args:
        history: all rows so far; None if there are none.
        events: those that hold now, columns as in
            :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`, one row per ``ticker`` and
            ``event``; ``revision`` is ignored.
    """
    now = sorted_actions(events)
    if history is None or history.empty:
        return now.assign(revision=1) if len(now) else now

    before = sorted_actions(history)
    newest = _newest(before)
    unchanged = _fingerprints(now).isin(_fingerprints(newest[newest["state"] != "withdrawn"]))
    changed = now[~unchanged]

    still = pd.MultiIndex.from_frame(newest[_KEY]).isin(pd.MultiIndex.from_frame(now[_KEY]))
    gone = newest[~still & (newest["state"] != "withdrawn")].assign(state="withdrawn")
    added = [frame for frame in (changed, gone) if len(frame)]
    if not added:
        return before
    revision = int(before["revision"].max()) + 1
    return sorted_actions(pd.concat([before, *(f.assign(revision=revision) for f in added)]))


def current_events(history: pd.DataFrame) -> pd.DataFrame:
    """Return the newest row of each event, without those that were withdrawn."""
    newest = _newest(sorted_actions(history))
    return newest[newest["state"] != "withdrawn"].reset_index(drop=True)


def events_known_at(events: pd.DataFrame, day: date) -> pd.DataFrame:
    """Return the events that were known on a day, at its close: announced or detected by then.

    The user's own rows have no such day and are left out.
    """
    return events[events["known"] <= pd.Timestamp(day)].reset_index(drop=True)


def _newest(history: pd.DataFrame) -> pd.DataFrame:
    latest = history.groupby(_KEY, sort=False)["revision"].transform("max")
    return history[history["revision"] == latest]


def _fingerprints(rows: pd.DataFrame) -> pd.Series:
    """One value per row that tells whether two rows say the same of the same event."""
    texts = rows[[*_KEY, *_CONTENT]].astype(object).where(rows[[*_KEY, *_CONTENT]].notna(), None)
    return pd.Series([repr(tuple(row)) for row in texts.itertuples(index=False)], dtype="object")
