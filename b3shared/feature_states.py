"""The saved states of the features, and the way from them to what a source holds now.

A state is saved after every update; the newest few stay, and of those before them the last of each month. When the past
was corrected, the newest state from before the correction is taken and all sessions since are appended again: the cost
is that of the sessions after the correction and at most a month more, and the result is that of the whole history.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from b3shared.appending import NewFeatures
from b3shared.fingerprint import feature_code
from b3shared.incremental import FeatureState
from b3shared.storage import Storage

NEWEST_KEPT = 5
MONTHS_KEPT = 13
"""The last states of so many months stay: corrections come in days as a rule, and after a year hardly any."""


class FeatureStates:
    """States of one feature set and liquidity limit under a prefix of a storage.

    Args:
        storage: where they are kept.
        prefix: of the states; those of other feature sets and limits may lie beside them.
        version: feature set.
        min_turnover: liquidity limit.
    """

    def __init__(self, storage: Storage, prefix: str, version: str, min_turnover: float) -> None:
        self.version, self.min_turnover = version, min_turnover
        self._storage, self._folder = storage, f"{prefix}/{version}-{min_turnover:.2f}"

    def dates(self) -> list[str]:
        """The sessions after which there is a state that today's code made, ISO text, ascending."""
        code = feature_code()
        names = (key.rpartition("/")[2].removesuffix(".npz").split("_") for key in self._storage.list(f"{self._folder}/"))
        return sorted(name[0] for name in names if name[1:] == [code])

    def load(self, day: str) -> FeatureState:
        """The state after the session of a date; ArtifactNotFoundError if there is none."""
        with tempfile.TemporaryDirectory(prefix="b3-state-") as folder:
            return FeatureState.load(self._storage.download(self._key(day), Path(folder, "state.npz")))

    def save(self, state: FeatureState) -> None:
        """Keep a state, and let go of those that nobody will need."""
        with tempfile.TemporaryDirectory(prefix="b3-state-") as folder:
            self._storage.upload(state.save(Path(folder, "state.npz")), self._key(str(state.as_of)))
        self._thin()

    def drop(self, day: str) -> None:
        """Forget the state of a date."""
        self._storage.delete(self._key(day))

    def _key(self, day: str) -> str:
        return f"{self._folder}/{day}_{feature_code()}.npz"

    def _thin(self) -> None:
        days = self.dates()
        last_of_month = {day[:7]: day for day in days[:-NEWEST_KEPT]}
        kept = {*days[-NEWEST_KEPT:], *list(last_of_month.values())[-MONTHS_KEPT:]}
        for key in self._storage.list(f"{self._folder}/"):
            if key not in {self._key(day) for day in kept}:  # states of other code as well
                self._storage.delete(key)


@dataclass(frozen=True)
class Update:
    """How a state was brought up to date.

    Attributes:
        state: after the newest session of the quotes.
        fresh: features of the sessions that were appended; None where the whole history was counted in anew, or
            nothing was new.
        since: the session after which they were appended, ISO text; None as with ``fresh``.
        corrected: the first session of the past that was found changed, ISO text; None if none was.
    """

    state: FeatureState
    fresh: NewFeatures | None
    since: str | None
    corrected: str | None


def bring_up_to_date(states: FeatureStates, frame: pd.DataFrame) -> Update:
    """Carry the newest state that the quotes still agree with to their newest session, and save it.

    Quotes that end before a saved state, from an older file, say nothing of the sessions after: that state stays for
    those that reach it, and what is carried is an earlier one.

    Args:
        states: the saved ones; those up to the quotes' newest session that they contradict are dropped.
        frame: clean quotes sorted by ticker and date. Sessions before its first are taken as they were counted.

    Raises:
        InvalidQuotesError: The feature set cannot be had from these quotes.
    """
    corrected, newest = None, frame["date"].max()
    for day in reversed([day for day in states.dates() if pd.Timestamp(day) <= newest]):
        state = states.load(day)
        if (found := state.first_difference(frame)) is None:
            break
        corrected = str(found)
        states.drop(day)
    else:
        state = FeatureState.of(frame, states.version, states.min_turnover)
        states.save(state)
        return Update(state, None, None, corrected)
    after = frame[frame["date"] > pd.Timestamp(state.as_of)]
    if after.empty:
        return Update(state, None, None, corrected)
    since = str(state.as_of)
    state, fresh = state.append(after)
    states.save(state)
    return Update(state, fresh, since, corrected)
