"""Makes the renames and corporate actions of a whole lake: announced, detected, the user's own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from b3shared.core.versions import DETECTION_VERSION
from b3shared.quotes.corporate_actions.announcements.archive import (
    announcements_state,
    read_announcements,
)
from b3shared.quotes.corporate_actions.event_findings import sentences
from b3shared.quotes.corporate_actions.history import with_revision
from b3shared.quotes.corporate_actions.overrides import (
    OVERRIDES,
    read_overrides,
    without_effect,
)
from b3shared.quotes.corporate_actions.possible_renames import possible_renames
from b3shared.quotes.corporate_actions.rename_table import RENAMES, read_renames
from b3shared.quotes.corporate_actions.renames import renamed_tickers
from b3shared.quotes.corporate_actions.united import UnitedEvents, united_events
from b3shared.quotes.lake.lake import Detected, Draft, Lake, relation_of
from b3shared.quotes.lake.manifest import Manifest, detection_hash
from b3shared.quotes.lake.merge import MEMORY
from b3shared.quotes.lake.parquet import read_parquet, write_parquet
from b3shared.storage import Storage
from b3shared.storage.database import connect

Progress = Callable[[dict[str, Any]], None]


class LakeActions:
    """Adds renames and corporate actions to the drafts of a lake.

    Args:
        storage: of the deployment, which holds the user's tables.
        lake: whose quotes are looked at.
        progress: is told of the work.

    Attributes:
        without_effect: rows of the user's tables that changed nothing in the last detection.
        possible_renames: pairs of tickers that may be one share, of the last detection.
        event_findings: what a person should look at in the corporate actions, newest first, of the
            last detection; see
            :data:`b3shared.quotes.corporate_actions.event_findings.EVENT_FINDINGS`.
    """

    def __init__(self, storage: Storage, lake: Lake, progress: Progress) -> None:
        self._storage = storage
        self._lake = lake
        self._progress = progress
        self.without_effect: list[str] = []
        self.possible_renames: list[str] = []
        self.event_findings: list[str] = []

    def completed(self, before: Manifest, years: Mapping[int, Path | None], folder: Path) -> Draft:
        """Return a draft of new years with the renames and actions of all quotes after them.

        If the manifest has those of the same quotes and rules, they stay as they are.

        Args:
            before: the lake's manifest.
            years: the new years; see :class:`b3shared.quotes.lake.lake.Draft`.
            folder: for local files.

        Raises:
            InvalidActionsError: One of the user's tables has a bad row.
        """
        overrides = self._user_table(OVERRIDES)
        renames = self._user_table(RENAMES)
        rules = _rules(overrides, renames, announcements_state(self._storage))
        if not years and before.detected_from == detection_hash(before.years, rules):
            return Draft(years)

        quotes = self._quote_files(before, years, folder)
        if not quotes:
            return Draft(years)
        self._progress({"step": "corporate actions", "phase": "detecting"})
        history = None
        if before.actions is not None and before.coverage is not None:
            history = self._lake.fetch(before.actions, folder)
        return Draft(years, self._detected(quotes, history, overrides, renames, rules, folder))

    def _quote_files(
        self, before: Manifest, years: Mapping[int, Path | None], folder: Path
    ) -> list[Path]:
        """The local files of all quotes of the lake after the change."""
        kept = [file for year, files in before.years.items() if year not in years for file in files]
        return [self._lake.fetch(file, folder) for file in kept] + [
            path for path in years.values() if path
        ]

    def _detected(
        self,
        quotes: list[Path],
        history: Path | None,
        overrides: bytes | None,
        renames: bytes | None,
        rules: str,
        folder: Path,
    ) -> Detected:
        with connect(memory_limit=MEMORY) as connection:
            given = None if renames is None else read_renames(renames)
            renamed = renamed_tickers(connection, relation_of(quotes), given)
            renames_file = write_parquet(renamed.table, folder / "renames.parquet")
            self.without_effect = [f"{RENAMES}: {words}" for words in renamed.without_effect]

            relation = relation_of(quotes, renames_file)
            self.possible_renames = possible_renames(connection, relation)
            table = None if overrides is None else read_overrides(overrides, renamed.table)
            announcements = read_announcements(self._storage)
            united = united_events(connection, relation, renamed.table, announcements, table)
            if table is not None:
                self.without_effect += without_effect(table, united.events, connection, relation)

        self.event_findings = _sentences(united)
        earlier = None if history is None else read_parquet(history)
        return Detected(
            actions=write_parquet(
                with_revision(earlier, united.events), folder / "actions.parquet"
            ),
            renames=renames_file,
            coverage=write_parquet(united.coverage, folder / "coverage.parquet"),
            findings=write_parquet(united.findings, folder / "findings.parquet"),
            rules=rules,
        )

    def _user_table(self, key: str) -> bytes | None:
        """One of the user's tables; None if there is none."""
        found = self._storage.read_versioned(key)
        return None if found is None else found[0]


def _sentences(united: UnitedEvents) -> list[str]:
    """The findings as sentences, and how many announcements are of other papers."""
    told = sentences(united.findings)
    if united.unplaced:
        told.append(f"{united.unplaced} announcements are of papers without a quote in the lake")
    return told


def _rules(overrides: bytes | None, renames: bytes | None, announcements: str) -> str:
    """The detector's version, the user's tables and the announcements' state, as one text."""
    rules = f"{DETECTION_VERSION} {announcements} {overrides!r}"
    return rules if renames is None else f"{rules} {renames!r}"
