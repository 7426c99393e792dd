"""Looks for announced events that the quotes lack, and for steps of the quotes without an event."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from b3shared.quotes.corporate_actions.event_findings import EventFinding
from b3shared.quotes.corporate_actions.labels import (
    CASH,
    GROUPING,
    GROWTH,
    SUBSCRIPTION,
    WITHOUT_RATIO,
)
from b3shared.quotes.corporate_actions.marks import UPDATED

_LABELS = CASH | GROWTH | GROUPING | SUBSCRIPTION | WITHOUT_RATIO


def event_findings(
    announced: pd.DataFrame, days: pd.DataFrame, detected: pd.DataFrame, coverage: pd.DataFrame
) -> list[EventFinding]:
    """Return what a person should look at; nothing of events before a ticker's first quote.

    Args:
        announced: events with their states.
        days: as in :class:`b3shared.quotes.corporate_actions.confirmation.Confirmed`.
        detected: actions and ex-marks that were found in the quotes.
        coverage: days for which the events of each ticker are known; see
            :func:`b3shared.quotes.corporate_actions.coverage.coverage_of`.
    """
    key = pd.MultiIndex.from_frame(announced[["ticker", "date"]])
    early = days[days["previous_row"].isna()]
    announced = announced[~key.isin(pd.MultiIndex.from_frame(early[["ticker", "date"]]))]
    reached = pd.MultiIndex.from_frame(days[["ticker", "date"]])
    quoted = pd.MultiIndex.from_frame(announced[["ticker", "date"]]).isin(reached)
    return [
        *_doubts(announced, quoted),
        *_known_late(announced),
        *_without_step(announced, days),
        *_without_event(detected, days, coverage),
    ]


def _doubts(events: pd.DataFrame, quoted: Any) -> Iterator[EventFinding]:
    for event, has_quotes in zip(events.to_dict("records"), quoted, strict=True):
        facts = json.loads(event["evidence"])
        published = f"{event['label']} of {facts.get('published', facts.get('value')):g}"

        if event["state"] == "contradicted":
            text = f"{published} is announced, and the price {_price(facts)}does not show it"
            yield EventFinding("event_contradicted", event["ticker"], event["date"], text)
        elif event["state"] == "unclear":
            text = f"{published} is not applied: what it did to the shares is not established"
            yield EventFinding("event_unclear", event["ticker"], event["date"], text)
        elif event["label"] not in _LABELS:
            text = f"{published} is not applied: the label is not known"
            yield EventFinding("unknown_label", event["ticker"], event["date"], text)
        elif event["kind"] == "right" and has_quotes:
            yield EventFinding(
                "right_not_known", event["ticker"], event["date"], _right(event, facts)
            )


def _known_late(events: pd.DataFrame) -> Iterator[EventFinding]:
    """Yield the events that were approved after the last session with the right."""
    acting = events[events["state"].isin(["announced", "confirmed"]) & (events["kind"] != "right")]
    for event in acting.to_dict("records"):
        facts = json.loads(event["evidence"])
        if "approved" in facts:
            published = f"{event['label']} of {facts.get('published', facts.get('value')):g}"
            text = f"{published} is applied from its ex-date on, and was approved only on "
            text = f"{text}{facts['approved']}, after the last session with the right"
            yield EventFinding("known_after_ex_date", event["ticker"], event["date"], text)


def _price(facts: dict[str, Any]) -> str:
    if "price" not in facts:
        return ""
    before, first = facts["price"]
    return f"({before:g} to {first:g}) "


def _right(event: dict[Any, Any], facts: dict[str, Any]) -> str:
    """Say that the worth of a right is not known, and how that of a subscription is computed."""
    text = f"{event['label']} of {facts['published']:g}: its worth is not announced; give it as a"
    text = f"{text} dividend in your table"
    price = facts.get("issue_price")
    if price is None or "price" not in facts:
        return text
    share = facts["published"] / 100.0
    worth = (facts["price"][0] - price) * share / (1.0 + share)
    if worth <= 0:
        return f"{text}. By (price - issue price) x share / (1 + share) it was worth nothing"
    return f"{text}. (price - issue price) x share / (1 + share) is {worth:.4f}"


def _without_step(events: pd.DataFrame, days: pd.DataFrame) -> Iterator[EventFinding]:
    """Yield the days of announced events on which DISMES did not rise."""
    silent = days[days["stepped"] == 0]
    standing = events[events["state"].isin(["announced", "confirmed"])]
    rows = silent.merge(standing, on=["ticker", "date"])
    labels = rows.groupby(["ticker", "date"], sort=True)["label"].agg(lambda own: sorted(set(own)))
    for day in labels.reset_index().to_dict("records"):
        text = f"{', '.join(day['label'])}: announced, and DISMES did not rise"
        yield EventFinding("event_without_step", day["ticker"], day["date"], text)


def _without_event(
    detected: pd.DataFrame, days: pd.DataFrame, coverage: pd.DataFrame
) -> Iterator[EventFinding]:
    """Yield the ex-marks of tickers whose events are known, and that no list has."""
    marks = detected[detected["kind"] == "ex_mark"].merge(coverage, on="ticker")
    known = marks["date"] <= marks["known_until"]
    known &= marks["known_from"].isna() | (marks["date"] >= marks["known_from"])
    rows = pd.MultiIndex.from_frame(days[["ticker", "row"]])
    listed = pd.MultiIndex.from_frame(marks[["ticker", "date"]]).isin(rows)

    for mark in marks[known & ~listed].to_dict("records"):
        facts = json.loads(mark["evidence"])
        if facts["mark"] == UPDATED:
            continue
        shown = " and ".join(_step(facts))
        text = f"{shown}, and no announced event has this ex-date"
        yield EventFinding("step_without_event", mark["ticker"], mark["date"], text)


def _step(facts: dict[str, Any]) -> list[str]:
    steps = [f"mark {facts['mark']}"] if facts["mark"] else []
    if "dismes" in facts:
        before, now = facts["dismes"]
        steps.append(f"DISMES {before} to {now}")
    return steps
