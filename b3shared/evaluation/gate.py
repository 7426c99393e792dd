"""The gate: whether a new version goes live.

Compared pair by pair, on dates after both were trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import ArtifactNotFoundError
from b3shared.core.vocabulary import UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.evaluation import bootstrap
from b3shared.evaluation.metrics import row_log_loss
from b3shared.params.run import PipelineParams
from b3shared.params.target import target_of

OUTCOMES_FILE = "test_outcomes.npz"


@dataclass(frozen=True)
class Outcomes:
    """What a version said of its test rows, before anything of them was known to it, and what happened.

    Attributes:
        ticker: (rows,) str.
        date: (rows,) datetime64[D].
        label: (rows,) int8, known.
        probabilities: (rows, 3) float64, calibrated.
        target: what the labels mean (kind, horizon, width): versions compare only within one
            meaning.
    """

    ticker: Array
    date: Array
    label: IntArray
    probabilities: FloatArray
    target: str

    @classmethod
    def of(
        cls, data: Dataset, rows: IntArray, probabilities: FloatArray, params: PipelineParams
    ) -> Self:
        """From the test part of a table; rows whose outcome is not known are left out."""
        known = data.label[rows] != UNLABELLED
        kept = rows[known]
        return cls(
            data.ticker[kept],
            data.date[kept],
            data.label[kept],
            probabilities[known],
            target_of(params),
        )

    def save(self, folder: Path) -> Path:
        """Write ``test_outcomes.npz``."""
        path = folder / OUTCOMES_FILE
        columns = {
            name: getattr(self, name) for name in ("ticker", "date", "label", "probabilities")
        }
        np.savez(path, allow_pickle=False, target=np.array(self.target), **columns)
        return path

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; ArtifactNotFoundError if it is not there."""
        path = folder / OUTCOMES_FILE
        if not path.exists():
            raise ArtifactNotFoundError(
                f"{path.name} is missing from {folder}: the version cannot be compared"
            )
        with np.load(path, allow_pickle=False) as stored:
            columns = {name: stored[name] for name in ("ticker", "date", "label", "probabilities")}
            return cls(target=str(stored["target"]), **columns)


@dataclass(frozen=True)
class Decision:
    """Whether a version goes live, why, and the figures behind it (JSON types)."""

    promote: bool
    reason: str
    evidence: dict[str, Any]


def decide(
    challenger: Outcomes,
    live: Outcomes | None,
    *,
    margin: float,
    horizon: int,
    outdated: bool = False,
) -> Decision:
    """The first version goes live; a later one only if it is better, for certain, on the same test rows.

    Both evaluated models were trained before their test parts, so rows in both test parts are after
    both trainings. The gain is live's log loss minus the challenger's over those rows, paired by
    date, with a block-bootstrap interval; its 95 % lower bound must exceed ``margin``.

    A live version that learned from features of another version than today's is outdated: it is fed
    with what it did not learn from, and every answer of it is degraded. It is replaced by a
    challenger that is not worse: one whose log loss on the common rows is not greater. The burden
    of proof is the other way round then; with noise alone such a challenger passes every second
    time, and there is one a week.

    Args:
        challenger: the new version's.
        live: those of what is live; None if nothing is.
        margin: log loss, >= 0.
        horizon: sessions of the labels, for the blocks of the bootstrap.
        outdated: whether what is live learned from features of another version.
    """
    if live is None:
        return Decision(True, "first version of this type", {})
    if challenger.target != live.target:
        return Decision(
            False,
            f"not comparable: it forecasts {challenger.target}; live forecasts {live.target}",
            {},
        )
    mine, theirs = _common(challenger, live)
    if not len(mine):
        return Decision(
            False, "no test row in common with what is live: nothing to compare", {"rows": 0}
        )
    dates, day = np.unique(challenger.date[mine], return_inverse=True)
    losses = [
        _per_date(row_log_loss(o.probabilities[rows], o.label[rows]), day, len(dates))
        for o, rows in ((live, theirs), (challenger, mine))
    ]
    counts = bootstrap.resample_counts(len(dates), bootstrap.block_length(horizon))
    gain = bootstrap.paired_interval(losses[0], losses[1], bootstrap.ratio, counts)
    low, high = gain.ci95
    evidence = {
        "log_loss_gain": gain.estimate,
        "ci95": [None if np.isnan(bound) else bound for bound in (low, high)],
        "rows": len(mine),
        "dates": len(dates),
        "margin": margin,
    }
    span = f"{len(mine)} rows of {dates[0]} to {dates[-1]}"
    if np.isnan(low):
        return Decision(False, f"too few dates in common for an interval ({len(dates)})", evidence)
    verb = "better" if gain.estimate > 0 else "worse"
    words = f"log loss {abs(gain.estimate):.5f} {verb} than live on {span}, 95 % interval of the gain {low:+.5f} to {high:+.5f}"
    if low > margin:
        return Decision(True, words, evidence)
    if outdated and gain.estimate >= 0:
        return Decision(
            True,
            f"{words}: not worse, and what is live learned from features of another version",
            evidence,
        )
    if outdated:
        return Decision(
            False,
            f"{words}: worse, though what is live learned from features of another version",
            evidence,
        )
    return Decision(False, f"{words}: the lower bound does not exceed {margin:g}", evidence)


def _common(a: Outcomes, b: Outcomes) -> tuple[IntArray, IntArray]:
    """Positions in a and in b of the rows of the same ticker and date whose labels agree."""
    keys = [np.char.add(np.char.add(o.ticker.astype(str), "@"), o.date.astype(str)) for o in (a, b)]
    _, mine, theirs = np.intersect1d(keys[0], keys[1], return_indices=True)
    same = a.label[mine] == b.label[theirs]
    return mine[same], theirs[same]


def _per_date(loss: FloatArray, day: IntArray, dates: int) -> FloatArray:
    """(dates, 2): rows and summed loss of each date."""
    return np.stack(
        [np.bincount(day, minlength=dates), np.bincount(day, loss, dates)], axis=1
    ).astype(np.float64)
