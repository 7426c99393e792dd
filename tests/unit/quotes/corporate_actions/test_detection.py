"""Splits are detected with their factor; crashes, bad ticks and ordinary days are not."""

import json

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_actions import PLANTED, applied, day, split, walk

from b3shared.core.errors import InvalidQuotesError
from b3shared.quotes.corporate_actions.candidates import LATE_LISTING
from b3shared.quotes.corporate_actions.detection import LONGEST_HOLE, detect_actions, detect_in
from b3shared.quotes.corporate_actions.table import ACTION_TYPES


def marked(
    frame: pd.DataFrame, mark: str, at: int = PLANTED, *, rises: bool = True
) -> pd.DataFrame:
    """Quotes with a DISMES that rises and an ex-mark that stays for five sessions."""
    row = np.arange(len(frame))
    kind = np.where((row >= at) & (row < at + 5), f"PN  {mark:<4}N2", "PN      N2")
    return frame.assign(type=kind, isin="BRPETRACNPR6", dismes=100 + (row >= at) * rises)


LIVELY = st.floats(0.008, 0.03)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    LIVELY,
    st.sampled_from([2.0, 3.0, 4.0, 5.0, 10.0, 100.0, 1 / 2, 1 / 4, 1 / 5, 1 / 10, 1 / 100]),
)
def test_a_planted_split_is_found_with_its_factor(
    seed: int, volatility: float, factor: float
) -> None:
    price = 3_000.0 if factor >= 10 else 30.0 if factor > 0.1 else 5.0
    frame = split(walk(seed, volatility, price=price), factor)
    found = detect_in(frame)
    [(ticker, date, detected)] = applied(found)
    assert (ticker, date) == ("PETR4", day(frame))

    near = sorted(
        {2.0, 3.0, 4.0, 5.0, 10.0, 100.0},
        key=lambda f: abs(np.log(f / max(detected, 1 / detected))),
    )[0]
    assert near == pytest.approx(max(factor, 1 / factor)), (
        "an action closer to another usual factor"
    )
    assert abs(np.log(detected / factor)) < np.log(1.25)


@pytest.mark.parametrize("factor", [2.0, 3.0, 4.0, 5.0, 0.5, 0.2, 0.1, 0.01])
def test_on_a_quiet_share_the_usual_factors_are_exact(factor: float) -> None:
    frame = split(walk(3, 0.01, price=50.0), factor)
    assert applied(detect_in(frame)) == [("PETR4", day(frame), factor)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), LIVELY)
def test_nothing_is_found_in_a_walk_without_a_split(seed: int, volatility: float) -> None:
    assert applied(detect_in(walk(seed, volatility))) == []


def spiked(frame: pd.DataFrame, factor: float) -> pd.DataFrame:
    """The same quotes with another price on one session."""
    out = frame.copy()
    for column in ("open", "high", "low", "close"):
        out.loc[PLANTED, column] = round(out[column].iloc[PLANTED] * factor, 2)
    return out


@given(
    st.integers(0, 10_000), st.floats(0.008, 0.02), st.sampled_from([0.1, 0.5, 2.0, 3.0, 7.0, 10.0])
)
@settings(max_examples=60, deadline=None)
def test_a_price_that_goes_back_is_no_split(seed: int, volatility: float, factor: float) -> None:
    assert applied(detect_in(spiked(walk(seed, volatility), factor))) == []


def stuck(frame: pd.DataFrame, factor: float, sessions: int) -> pd.DataFrame:
    """The same quotes with some sessions at one price and without a range, on another level."""
    out = frame.copy()
    rows = slice(PLANTED, PLANTED + sessions - 1)
    price = round(out["close"].iloc[PLANTED - 1] * factor, 2)
    for column in ("open", "high", "low", "close"):
        out.loc[rows, column] = price
    return out


@given(
    st.integers(0, 10_000),
    st.floats(0.008, 0.02),
    st.sampled_from([0.1, 0.2, 0.5, 2.0, 3.0, 5.0, 7.0, 10.0]),
    st.integers(1, 8),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_price_stuck_on_a_far_level_that_goes_back_is_no_action(
    seed: int, volatility: float, factor: float, sessions: int, closes_alone: bool
) -> None:
    frame = stuck(walk(seed, volatility), factor, sessions)
    assert applied(detect_in(frame[["ticker", "date", "close"]] if closes_alone else frame)) == []


def test_a_price_stuck_14_percent_low_seldom_passes_for_a_bonus() -> None:
    """A wrong level so near is ambiguous when the price comes back only in part.

    Of 1,900 such walks 10 were taken for a bonus.
    """
    walks = 190
    found = 0
    names = [f"A{chr(65 + n)}AA3" for n in range(19)]  # too few for a market's gap
    for first in range(0, walks, len(names)):
        frames = []
        for seed, name in enumerate(names, first):
            volatility = (0.008, 0.010, 0.012, 0.014, 0.016, 0.020)[seed % 6]
            frame = walk(seed, volatility, ticker=name)
            frames.append(stuck(frame, 0.86, 1 + seed // 6 % 8))
        found += len({ticker for ticker, *_ in applied(detect_in(pd.concat(frames)))})
    assert found <= 0.02 * walks


@pytest.mark.parametrize("sessions", [1, 2, 5])
def test_a_split_followed_by_a_stuck_price_is_found(
    sessions: int,
) -> None:
    frame = split(walk(volatility=0.01), 2.0)
    frame = stuck(frame, 0.5, sessions)
    assert applied(detect_in(frame)) == [("PETR4", day(frame), 2.0)]


def paid(frame: pd.DataFrame, part: float, listed: int = 0, at: int = PLANTED) -> pd.DataFrame:
    """The same quotes after a payout of part of the price, listed some sessions off its ex-date."""
    amount = round(part * frame["close"].iloc[at - 1], 4)
    out = frame.assign(dividend=0.0)
    rest = np.arange(len(frame)) >= at
    for column in ("open", "high", "low", "close"):
        out[column] = np.where(
            rest, np.maximum(np.round(out[column] * (1 - part), 2), 0.01), out[column]
        )
    out.loc[at + listed, "dividend"] = amount
    return out


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(0.008, 0.02),
    st.floats(0.05, 0.9),
    st.sampled_from([-1, 0, 1]),
)
def test_a_fall_that_a_listed_payout_explains_is_no_split(
    seed: int, volatility: float, part: float, listed: int
) -> None:
    assert applied(detect_in(paid(walk(seed, volatility, price=300.0), part, listed))) == []


def test_the_same_fall_without_a_listed_payout_is_a_split() -> None:
    frame = paid(walk(price=300.0), 0.5)
    assert applied(detect_in(frame)) == []
    assert [found[:2] for found in applied(detect_in(frame.drop(columns=["dividend"])))] == [
        ("PETR4", day(frame))
    ]
    for beside in (-3, 3):  # too far away to be this one
        assert applied(detect_in(paid(walk(price=300.0), 0.5, beside))) == applied(
            detect_in(frame.drop(columns=["dividend"]))
        )


@pytest.mark.parametrize(
    ("part", "factor", "listed"),
    [
        (0.02, 4.0, -1),
        (0.02, 4.0, 0),
        (0.02, 4.0, 1),
        (0.3, 2.0, 0),
        (0.5, 10.0, 0),
        (0.825, 1 / 25, 0),
    ],
)
def test_the_rest_of_a_jump_after_a_listed_payout_is_the_split(
    part: float, factor: float, listed: int
) -> None:
    """CSAN3 2021 paid 1 % and split in four on one day; BRPR3 2023 paid 82 % and grouped 25."""
    frame = paid(split(walk(price=300.0, volatility=0.01), factor), part, listed)
    found = detect_in(frame)
    assert applied(found) == [("PETR4", day(frame), pytest.approx(factor))]
    told = json.loads(found[found["factor"] != 1]["evidence"].iloc[0])
    assert ("payout" in told) == (listed == 0)


@pytest.mark.parametrize("payout", [0, -1], ids=["paid on the day", "listed on the session before"])
def test_beside_a_listed_split_and_payout_nothing_is_detected(payout: int) -> None:
    for part, factor in ((0.02, 4.0), (0.825, 1 / 25), (0.5, 2.0)):
        frame = paid(split(walk(price=300.0), factor), part, payout).assign(split_factor=1.0)
        frame.loc[PLANTED, "split_factor"] = factor
        assert applied(detect_in(frame)) == []


@pytest.mark.parametrize("part", [0.5, 0.9, 1.0, 20.0, -0.5, np.nan, np.inf])
def test_a_listed_payout_that_no_price_shows_makes_no_action(part: float) -> None:
    frame = walk(price=300.0).assign(dividend=0.0)
    frame.loc[PLANTED, "dividend"] = part * 300.0
    assert applied(detect_in(frame)) == []


def test_a_jump_on_the_newest_day_has_less_confidence_than_a_settled_one() -> None:
    frame = split(walk(), 2.0)
    newest = detect_in(frame.iloc[: PLANTED + 1])
    settled = detect_in(frame)
    one, other = (f[f["factor"] != 1].iloc[0] for f in (newest, settled))
    assert one["confidence"] < other["confidence"]
    assert [json.loads(row["evidence"])["confirmed_by_next_session"] for row in (one, other)] == [
        False,
        True,
    ]


def test_a_crash_with_unchanged_dismes_is_no_split() -> None:
    # As AMER3 on 2023-01-12: 12.00 to 2.72 on 251 million shares, ten times the usual, DISMES
    # unchanged.
    frame = split(walk(1, 0.03, price=12.0), 4.41)
    row = frame.index == PLANTED
    frame.loc[row, "volume"] = 2.5e8
    frame.loc[row, "high"] = frame.loc[row, "open"] * 1.2
    frame.loc[row, "low"] = frame.loc[row, "open"] * 0.8
    frame.loc[PLANTED:, "volume"] = np.maximum(frame.loc[PLANTED:, "volume"], 8e7)
    still = frame.assign(dismes=117, type="ON      NM", isin="BRAMERACNOR6")
    assert applied(detect_in(still)) == []
    worst = detect_in(still)["confidence"].max()
    assert np.isnan(worst) or worst < 0.01


def jump(factor: float, times_volume: float, seed: int, volatility: float = 0.02) -> pd.DataFrame:
    """A fall to 1 / factor of the price on so many times the usual shares."""
    before = walk(seed, volatility, price=40.0)
    after = split(before, factor).assign(volume=before["volume"])
    after.loc[PLANTED, "volume"] *= times_volume
    return after


@pytest.mark.parametrize(
    ("factor", "times_volume", "spread"), [(2, 8, 1.03), (4, 8, 1.03), (5, 10, 1.2), (10, 10, 1.2)]
)
@pytest.mark.parametrize("volatility", [0.02, 0.03])
def test_a_crash_to_a_round_part_of_the_price_is_no_split(
    factor: float, times_volume: float, spread: float, volatility: float
) -> None:
    for seed in range(8):
        frame = jump(factor, times_volume, seed, volatility)
        frame.loc[PLANTED, "high"] *= spread
        frame.loc[PLANTED, "low"] /= spread
        assert (
            applied(detect_in(frame.assign(dismes=117, type="ON      NM", isin="BRAMERACNOR6")))
            == []
        )


@pytest.mark.parametrize("mark", ["ED", "EJ", "ES", "EC", "EA", "EDJ"])
@pytest.mark.parametrize(
    ("part", "times_volume"), [(0.8, 1), (0.67, 1), (0.5, 1), (0.5, 8), (0.25, 8)]
)
def test_a_fall_on_the_ex_date_of_another_right_is_no_split(
    mark: str, part: float, times_volume: float
) -> None:
    for seed in range(4):
        assert applied(detect_in(marked(jump(1 / part, times_volume, seed), mark))) == []


@pytest.mark.parametrize(
    ("mark", "factor"), [("EB", 2.0), ("EB", 1.25), ("EDB", 3.0), ("EG", 0.1), ("EX", 2.0)]
)
def test_a_marked_action_is_found_beside_other_rights(mark: str, factor: float) -> None:
    for seed in range(4):
        frame = marked(split(walk(seed, 0.01, price=60.0), factor), mark)
        assert applied(detect_in(frame)) == [("PETR4", day(frame), factor)]


def test_a_rise_of_dismes_raises_the_confidence_and_no_change_lowers_it() -> None:
    frame = split(walk(4, 0.025), 1.5).drop(columns=["volume", "high", "low"])
    rose = np.arange(len(frame)) >= PLANTED

    def confidence(quotes: pd.DataFrame) -> float:
        found = detect_in(quotes)
        return float(found.loc[found["kind"] != "ex_mark", "confidence"].sum())

    still, unknown, risen = (
        confidence(q) for q in (frame.assign(dismes=117), frame, frame.assign(dismes=117 + rose))
    )
    assert still < 0.1 * unknown
    assert risen > unknown


@pytest.mark.parametrize("factor", [1.03, 1.05, 1.1])
def test_a_small_bonus_is_found_only_with_its_mark(factor: float) -> None:
    frame = split(walk(5, 0.012), factor)
    assert applied(detect_in(marked(frame, "EB"))) == [("PETR4", day(frame), factor)]
    found = detect_in(marked(frame, "EB"))
    assert found["kind"].tolist() == ["bonus", "ex_mark"]
    assert applied(detect_in(frame)) == []


def test_a_mark_of_grouping_allows_only_a_reverse_split() -> None:
    frame = marked(split(walk(2), 0.1), "EG")
    assert applied(detect_in(frame)) == [("PETR4", day(frame), 0.1)]
    assert applied(detect_in(marked(split(walk(2), 1.1), "EG"))) == []


def test_the_fall_on_a_marked_dividend_is_no_bonus() -> None:
    frame = marked(split(walk(7, 0.01), 1.1), "EDJ")
    found = detect_in(frame)
    assert applied(found) == []
    mark = found[found["kind"] == "ex_mark"].iloc[0]
    assert (str(mark["date"].date()), mark["factor"], mark["dividend"]) == (day(frame), 1.0, 0.0)
    rights = ["dividend", "interest on capital"]
    assert json.loads(mark["evidence"]) == {"mark": "EDJ", "rights": rights, "dismes": [100, 101]}


def test_a_mark_counts_once_and_again_when_dismes_rises() -> None:
    frame = marked(walk(), "EJ")
    assert detect_in(frame)["date"].dt.date.astype(str).tolist() == [day(frame)]
    frame["dismes"] += np.arange(len(frame)) >= PLANTED + 2
    assert detect_in(frame)["date"].dt.date.astype(str).tolist() == [
        day(frame),
        day(frame, PLANTED + 2),
    ]


def test_a_rise_of_dismes_without_a_mark_is_an_ex_date() -> None:
    frame = marked(walk(), "ED").assign(type="PN      N2")
    [evidence] = detect_in(frame)["evidence"]
    assert json.loads(evidence) == {"mark": None, "rights": [], "dismes": [100, 101]}


def test_without_dismes_the_first_session_of_a_mark_is_its_ex_date() -> None:
    frame = marked(walk(), "ED").drop(columns=["dismes", "isin"])
    found = detect_in(frame)
    assert (found["kind"].tolist(), found["date"].dt.date.astype(str).tolist()) == (
        ["ex_mark"],
        [day(frame)],
    )


def test_a_fall_of_the_whole_market_is_no_split() -> None:
    crash = [split(walk(seed, 0.015, ticker=f"AAA{chr(65 + seed)}3"), 1.25) for seed in range(26)]
    together = pd.concat(crash, ignore_index=True).assign(volume=1e6)
    alone = detect_in(crash[0].assign(volume=1e6))
    assert applied(detect_in(together)) == []
    ticker = crash[0]["ticker"].iloc[0]
    shared = detect_in(together)
    assert alone["confidence"].max() > shared[shared["ticker"] == ticker][
        "confidence"
    ].max() or ticker not in set(shared["ticker"])


def test_the_fall_of_the_market_is_no_part_of_the_factor() -> None:
    market = [split(walk(seed, 0.015, ticker=f"AAA{chr(65 + seed)}3"), 1.25) for seed in range(26)]
    own = split(walk(30, 0.015), 2.5)  # two for one, on a day on which everything lost a fifth
    found = applied(detect_in(pd.concat([*market, own], ignore_index=True)))
    assert ("PETR4", day(own), 2.0) in found
    assert applied(detect_in(own)) == [("PETR4", day(own), 2.5)]


def test_a_second_bonus_under_the_mark_of_the_first_is_found_too() -> None:
    frame = marked(split(split(walk(5, 0.012), 1.05), 1.05, PLANTED + 2), "EB")
    frame["dismes"] += np.arange(len(frame)) >= PLANTED + 2
    assert [f for _, _, f in applied(detect_in(frame))] == [1.05, 1.05]


def test_no_unmarked_split_is_found_over_a_long_hole() -> None:
    frame = split(walk(), 2.0)
    short = frame.copy()
    long = frame.copy()
    short.loc[PLANTED:, "date"] += pd.Timedelta(days=LONGEST_HOLE - 10)
    long.loc[PLANTED:, "date"] += pd.Timedelta(days=LONGEST_HOLE)
    assert [f for _, _, f in applied(detect_in(short))] == [2.0]
    assert applied(detect_in(long)) == []


@pytest.mark.parametrize("days", [LONGEST_HOLE + 1, 200, 700])
def test_a_marked_grouping_is_found_after_any_hole(days: int) -> None:
    frame = marked(split(walk(2, 0.02), 0.1), "EG")
    frame.loc[PLANTED:, "date"] += pd.Timedelta(days=days)
    [(_, date, factor)] = applied(detect_in(frame))
    assert date == day(frame)
    assert 0.05 <= factor <= 0.2, "over a long hole the price moves too"


def test_closes_are_enough_and_days_without_trade_are_skipped() -> None:
    frame = split(walk(), 5.0)
    assert applied(detect_in(frame[["ticker", "date", "close"]])) == [("PETR4", day(frame), 5.0)]
    idle = frame.copy()
    idle.loc[PLANTED, "volume"] = 0.0
    assert applied(detect_in(idle)) == [("PETR4", day(frame, PLANTED + 1), 5.0)]


def test_other_tickers_row_order_and_duplicates_change_nothing() -> None:
    frame = split(walk(), 3.0)
    others = [walk(seed, ticker=name) for seed, name in ((11, "ABEV3"), (12, "VALE3"))]
    mixed = pd.concat([frame, *others, frame.iloc[[PLANTED]]]).sample(frac=1, random_state=1)
    assert applied(detect_in(mixed)) == [("PETR4", day(frame), 3.0)]


@pytest.mark.parametrize(
    ("at", "listed", "found"),
    [
        *[(at, 10.0, []) for at in (0, -1, 1, -2, 2, 3, -LATE_LISTING, LATE_LISTING)],
        *[(at, 10.0, [10.0]) for at in (-LATE_LISTING - 1, LATE_LISTING + 1)],
        *[(at, 9.0, []) for at in (-2, 3)],  # about the same: the price of a session lies between
        *[
            (at, factor, [10.0]) for at in (-2, 3) for factor in (0.1, 2.0, 1.1, 0.0, -10.0, None)
        ],  # another action, or none
    ],
)
def test_a_listed_split_is_not_detected_again(
    at: int, listed: float | None, found: list[float]
) -> None:
    frame = split(walk(price=3_000.0), 10.0).assign(split_factor=1.0)
    frame.loc[PLANTED + at, "split_factor"] = listed
    assert [factor for _, _, factor in applied(detect_in(frame))] == found


def test_a_small_factor_that_is_listed_does_not_hide_a_greater_one() -> None:
    frame = marked(split(walk(volatility=0.005), 1.25), "EB").assign(split_factor=1.0)
    alone = applied(detect_in(frame))
    assert [found[:2] for found in alone] == [("PETR4", day(frame))]
    frame.loc[PLANTED + 3, "split_factor"] = 1.1
    assert applied(detect_in(frame)) == alone


def test_sessions_later_than_two_change_no_detection() -> None:
    frame = split(walk(), 2.0)
    whole = detect_in(frame)
    cut = detect_in(frame.iloc[: PLANTED + 3])
    pd.testing.assert_frame_equal(whole[whole["factor"] == 2], cut[cut["factor"] == 2])


def test_an_empty_table_has_its_columns_and_bad_quotes_are_refused() -> None:
    empty = detect_in(walk().iloc[:0])
    assert (list(empty.columns), len(empty)) == (list(ACTION_TYPES), 0)
    with pytest.raises(InvalidQuotesError, match="lacks close"):
        detect_in(walk().drop(columns="close"))
    with duckdb.connect() as connection, pytest.raises(InvalidQuotesError, match="cannot be read"):
        detect_actions(connection, "nowhere")


def test_a_numbering_restarted_with_a_new_isin_is_no_bonus() -> None:
    days = pd.bdate_range("2022-01-03", periods=60).astype("datetime64[s]")
    new = pd.Series(range(60)) >= 40
    for step in (1.0, 1.01, 0.98):
        close = 40.0 * new.map({True: step, False: 1.0})
        quotes = pd.DataFrame(
            {"ticker": "EGIE3", "date": days, "close": close, "type": "ON      NM"}
        )
        told = quotes.assign(
            isin=new.map({True: "BR2", False: "BR1"}), dismes=new.map({True: 100, False: 143})
        )
        assert detect_in(told).empty
