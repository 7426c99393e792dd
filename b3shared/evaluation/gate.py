"""The gate: decides whether a new version goes live.

Versions are compared pair by pair, on dates after both were trained.
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
    """A version's forecasts of its test rows, and their actual labels.

    Attributes:
        ticker: (rows,) str.
        date: (rows,) datetime64[D].
        label: (rows,) int8, the actual class.
        probabilities: (rows, 3) float64, calibrated.
        target: definition of the labels (kind, horizon, width): only versions of the same
            definition are compared.
    """

    ticker: Array
    date: Array
    label: IntArray
    probabilities: FloatArray
    target: str

    @classmethod
    def from_dataset(
        cls, data: Dataset, rows: IntArray, probabilities: FloatArray, params: PipelineParams
    ) -> Self:
        """Take the labels from a table; rows without a known label are left out."""
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
        """Write ``test_outcomes.npz``; returns its path."""
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
    """Whether a version goes live, the reason, and the numbers behind it (JSON types)."""

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
    """Decide whether the challenger goes live: the first version does, a later one must be better.

    Both evaluated models were trained before their test parts, so rows in both test parts are after
    both trainings. The gain is live's log loss minus the challenger's over those rows, paired by
    date, with a block-bootstrap interval; its 95 % lower bound must exceed ``margin``.

    A live version that was trained on features of another version than today's is outdated: it is
    served with features that it was not trained on, and every answer of it is degraded. A
    challenger replaces it that is not worse: one whose log loss on the common rows is not greater.
    The burden of proof is the other way round then; with noise alone such a challenger passes every
    second time, and there is one a week.

    Args:
        challenger: outcomes of the new version.
        live: outcomes of the live version; None if there is none.
        margin: log loss, >= 0.
        horizon: sessions of the labels, for the blocks of the bootstrap.
        outdated: whether the live version was trained on features of another version.
    """
    if live is None:
        return Decision(True, "first version of this type", {})
    if challenger.target != live.target:
        reason = f"it forecasts {challenger.target}; live forecasts {live.target}"
        return Decision(False, f"not comparable: {reason}", {})
    mine, theirs = _common(challenger, live)
    if not len(mine):
        reason = "no test row in common with what is live: nothing to compare"
        return Decision(False, reason, {"rows": 0})

    gain, dates = _gain(challenger, live, mine, theirs, horizon)
    low, high = gain.ci95
    evidence = {
        "log_loss_gain": gain.estimate,
        "ci95": [None if np.isnan(bound) else bound for bound in (low, high)],
        "rows": len(mine),
        "dates": len(dates),
        "margin": margin,
    }
    if np.isnan(low):
        return Decision(False, f"too few dates in common for an interval ({len(dates)})", evidence)

    verb = "better" if gain.estimate > 0 else "worse"
    words = (
        f"log loss {abs(gain.estimate):.5f} {verb} than live on {len(mine)} rows of {dates[0]} to "
        f"{dates[-1]}, 95 % interval of the gain {low:+.5f} to {high:+.5f}"
    )
    promote, reason = _judge(gain.estimate, low, margin, outdated)
    return Decision(promote, words + reason, evidence)


def _judge(gain: float, low: float, margin: float, outdated: bool) -> tuple[bool, str]:
    """Whether a gain suffices, and the end of the reason."""
    if low > margin:
        return True, ""
    if not outdated:
        return False, f": the lower bound does not exceed {margin:g}"
    if gain >= 0:
        return True, ": not worse, and what is live learned from features of another version"
    return False, ": worse, though what is live learned from features of another version"


def _gain(
    challenger: Outcomes, live: Outcomes, mine: IntArray, theirs: IntArray, horizon: int
) -> tuple[bootstrap.Interval, Array]:
    """Live's log loss minus the challenger's on the common rows, paired by date; and the dates."""
    dates, day = np.unique(challenger.date[mine], return_inverse=True)
    of_live, of_challenger = (
        _per_date(row_log_loss(o.probabilities[rows], o.label[rows]), day, len(dates))
        for o, rows in ((live, theirs), (challenger, mine))
    )
    counts = bootstrap.resample_counts(len(dates), bootstrap.block_length(horizon))
    return bootstrap.paired_interval(of_live, of_challenger, bootstrap.ratio, counts), dates


def _common(a: Outcomes, b: Outcomes) -> tuple[IntArray, IntArray]:
    """Positions in a and in b of the rows of the same ticker and date whose labels agree."""
    keys = [np.char.add(np.char.add(o.ticker.astype(str), "@"), o.date.astype(str)) for o in (a, b)]
    _, mine, theirs = np.intersect1d(keys[0], keys[1], return_indices=True)
    same = a.label[mine] == b.label[theirs]
    return mine[same], theirs[same]


def _per_date(loss: FloatArray, day: IntArray, n_dates: int) -> FloatArray:
    """(dates, 2): rows and summed loss of each date."""
    rows = np.bincount(day, minlength=n_dates)
    sums = np.bincount(day, loss, n_dates)
    return np.stack([rows, sums], axis=1).astype(np.float64)
