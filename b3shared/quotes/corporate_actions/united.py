"""Unites the corporate actions of a lake: announced, then detected, then the user's own."""

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.announced import announced_events
from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.completeness import event_findings
from b3shared.quotes.corporate_actions.confirmation import Confirmed, confirm_events
from b3shared.quotes.corporate_actions.coverage import coverage_of
from b3shared.quotes.corporate_actions.detection import detect_actions
from b3shared.quotes.corporate_actions.event_findings import to_table
from b3shared.quotes.corporate_actions.overrides import apply_overrides
from b3shared.quotes.corporate_actions.papers import read_papers
from b3shared.quotes.corporate_actions.table import APPLIED, sorted_actions

_ROWS = "announced_rows"


@dataclass(frozen=True)
class UnitedEvents:
    """The corporate actions of a lake, and what is known of them.

    Attributes:
        events: columns as in :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`, one row
            per event.
        coverage: columns as in
            :data:`b3shared.quotes.corporate_actions.coverage.COVERAGE_TYPES`.
        findings: columns as in
            :data:`b3shared.quotes.corporate_actions.event_findings.FINDING_TYPES`.
        unplaced: number of announcements of papers that the lake has no quotes of.
    """

    events: pd.DataFrame
    coverage: pd.DataFrame
    findings: pd.DataFrame
    unplaced: int


def united_events(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    renames: pd.DataFrame,
    announcements: Announcements,
    overrides: pd.DataFrame | None = None,
) -> UnitedEvents:
    """Unite what was announced, what the prices show and no list has, and the user's own rows.

    The detector is given the announced factors and payments as if the quotes listed them, so that
    it finds only what they lack. The user's rows come last and stand for all of their day.

    Args:
        connection: where the relation can be read; temporary tables are made in it, and dropped.
        relation: the lake's quotes, renamed tickers under their newest name.
        renames: ``old`` and ``new`` names of the lake's tickers, and ``date``, the first session
            after ``old``.
        announcements: of the exchange.
        overrides: as :func:`b3shared.quotes.corporate_actions.overrides.read_overrides` returns
            them; None if there are none.

    Raises:
        InvalidActionsError: The overrides have a bad row.
        B3Error: The relation cannot be read.
    """
    papers = read_papers(connection, relation, renames, announcements.companies)
    announced = announced_events(announcements, papers, _sessions(connection, relation))
    confirmed = confirm_events(connection, relation, announced.events)
    detected = _detected(connection, relation, confirmed)
    coverage = coverage_of(announcements, papers, renames)
    findings = to_table(event_findings(confirmed.events, confirmed.days, detected, coverage))

    filled = [frame for frame in (confirmed.events, detected) if len(frame)] or [detected]
    events = sorted_actions(pd.concat(filled, ignore_index=True))
    if overrides is not None:
        events = apply_overrides(events, overrides)
        findings = _without_overridden(findings, events)
    return UnitedEvents(events, coverage, findings, announced.unplaced)


def _sessions(connection: duckdb.DuckDBPyConnection, relation: str) -> np.ndarray:
    """(sessions,) datetime64[D] of all tickers of a relation, sorted."""
    day = 'CAST("date" AS DATE)'
    sql = f'SELECT DISTINCT {day} AS day FROM {relation} WHERE "date" IS NOT NULL ORDER BY 1'
    return connection.execute(sql).df()["day"].to_numpy().astype("datetime64[D]")


def _detected(
    connection: duckdb.DuckDBPyConnection, relation: str, confirmed: Confirmed
) -> pd.DataFrame:
    """Detect what the announced events leave."""
    events = confirmed.events
    acting = events[events["state"].isin(APPLIED)]
    # what came before a ticker's first quote left its trace there
    after_first = confirmed.days[confirmed.days["previous_row"].notna()]
    rows = acting.merge(after_first, on=["ticker", "date"])
    if rows.empty:
        return detect_actions(connection, relation)

    effects = rows.groupby(["ticker", "row"], sort=True).agg({"factor": "prod", "dividend": "sum"})
    try:
        connection.register("announced_effects", effects.reset_index())
        connection.execute(
            f"CREATE TEMP TABLE {_ROWS} AS SELECT CAST(ticker AS VARCHAR) AS ticker, "
            "CAST(row AS DATE) AS row, factor, dividend FROM announced_effects"
        )
        return detect_actions(connection, _joined(connection, relation))
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {_ROWS}")
        connection.unregister("announced_effects")


def _joined(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SQL of the quotes with the announced factors and payments where they have none."""
    found = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    values = {
        "split_factor": _own_or("split_factor", "1", "factor", found),
        "dividend": _own_or("dividend", "0", "dividend", found),
    }
    there = [f"{sql} AS {name}" for name, sql in values.items() if name in found]
    new = "".join(f", {sql} AS {name}" for name, sql in values.items() if name not in found)
    columns = f"quoted.* REPLACE ({', '.join(there)})" if there else "quoted.*"

    return (
        f"(SELECT {columns}{new} FROM {relation} AS quoted LEFT JOIN {_ROWS} AS listed "
        'ON quoted.ticker = listed.ticker AND CAST(quoted."date" AS DATE) = listed.row)'
    )


def _own_or(column: str, none: str, announced: str, found: set[str]) -> str:
    """SQL of the quotes' own value, or else the announced one."""
    if column not in found:
        return f"coalesce(listed.{announced}, {none})"
    own = f"quoted.{column}"
    return f"CASE WHEN coalesce({own}, {none}) <> {none} THEN {own} ELSE listed.{announced} END"


def _without_overridden(findings: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Leave out the findings of days for which a row of the user stands."""
    days = events[events["state"].isin(["given", "overridden"])]
    settled = pd.MultiIndex.from_frame(findings[["ticker", "date"]]).isin(
        pd.MultiIndex.from_frame(days[["ticker", "date"]])
    )
    return findings[~settled].reset_index(drop=True)
