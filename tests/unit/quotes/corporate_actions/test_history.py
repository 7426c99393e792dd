"""The table of events only grows, and tells what holds now and what was known when."""

from datetime import date

import pandas as pd
import pytest
from action_tables import DAYS, actions
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.quotes.corporate_actions.history import (
    current_events,
    events_known_at,
    with_revision,
)
from b3shared.quotes.corporate_actions.table import no_actions

SPLIT = {"date": DAYS[1], "event": "share DESDOBRAMENTO 2023-01-02 100", "state": "announced"}
PAYMENT = {"date": DAYS[2], "event": "cash DIVIDENDO 2023-01-03 0.5", "factor": 1.0}


def states(history: pd.DataFrame) -> list[tuple[int, str, str]]:
    rows = zip(history["revision"], history["event"], history["state"], strict=True)
    return sorted((int(revision), event.split()[0], state) for revision, event, state in rows)


def test_a_change_appends_a_row_and_an_unchanged_event_none() -> None:
    first = with_revision(None, actions(SPLIT, PAYMENT))
    assert states(first) == [(1, "cash", "detected"), (1, "share", "announced")]
    pd.testing.assert_frame_equal(with_revision(first, actions(SPLIT, PAYMENT)), first)
    second = with_revision(first, actions(SPLIT | {"state": "confirmed"}, PAYMENT))
    assert states(second)[2:] == [(2, "share", "confirmed")]
    assert current_events(second)["state"].tolist() == ["confirmed", "detected"]


def test_an_event_that_is_gone_is_withdrawn_and_may_come_back() -> None:
    first = with_revision(None, actions(SPLIT, PAYMENT))
    second = with_revision(first, actions(SPLIT))
    assert states(second)[2:] == [(2, "cash", "withdrawn")]
    assert current_events(second)["event"].tolist() == [SPLIT["event"]]
    pd.testing.assert_frame_equal(with_revision(second, actions(SPLIT)), second)
    third = with_revision(second, actions(SPLIT, PAYMENT))
    assert states(third)[3:] == [(3, "cash", "detected")]
    assert len(current_events(third)) == 2


def test_a_history_without_events_is_empty() -> None:
    assert with_revision(None, no_actions()).empty
    assert current_events(no_actions()).empty


ROWS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.tuples(st.sampled_from([0.5, 2.0]), st.sampled_from(["announced", "confirmed"])),
)


def texts(table: pd.DataFrame) -> set[tuple[str, ...]]:
    return set(table.astype(str).itertuples(index=False, name=None))


@settings(max_examples=12, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_every_row_of_before_stays_and_the_newest_of_each_event_holds(
    updates: list[dict[str, tuple[float, str]]],
) -> None:
    history = None

    for update in updates:
        now = actions(
            *(
                {"event": e, "factor": f, "state": s, "date": DAYS[0]}
                for e, (f, s) in update.items()
            )
        )
        after = with_revision(history, now)
        if history is not None and len(history):
            assert texts(history) <= texts(after)
        history = after
        holds = {
            e: (f, s)
            for e, f, s in zip(
                *(current_events(after)[name] for name in ("event", "factor", "state")), strict=True
            )
        }
        assert holds == update


@pytest.mark.parametrize(
    ("day", "known"),
    [
        (date(2022, 12, 1), []),
        (date(2022, 12, 2), ["share"]),
        (date(2023, 1, 5), ["share", "cash"]),
    ],
    ids=str,
)
def test_what_was_known_on_a_day_is_what_was_approved_by_then(day: date, known: list[str]) -> None:
    table = actions(
        SPLIT | {"known": "2022-12-02"},
        PAYMENT | {"known": DAYS[2]},
        {"date": DAYS[0], "source": "given", "state": "given"},
    )
    assert [event.split()[0] for event in events_known_at(table, day)["event"]] == known
