"""Compares what a version needs with what a stored snapshot offers, without its arrays."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from b3shared.core.serialization import from_json
from b3shared.core.versions import features_version_of
from b3shared.core.vocabulary import MAX_GAP, SHARES
from b3shared.params.models import model_spec, nested
from b3shared.storage import Storage

FEATURE_SETS = ("v1", "v2")


@dataclass(frozen=True)
class Universe:
    """The tickers that a model ranks against each other, in training and serving alike.

    Attributes:
        min_turnover: R$ a session that a row must exceed to count.
        tickers: these only; None for all.
        instruments: quotes of these kinds only; None for all.
        max_gap: sessions of the exchange over which its features reach.
    """

    min_turnover: float
    tickers: tuple[str, ...] | None = None
    instruments: tuple[str, ...] | None = SHARES
    max_gap: int = MAX_GAP


def windows_name(feature_set: str, universe: Universe) -> str:
    """Name of one set of windows in a snapshot, such as ``v2-2000000-shares``."""
    name = f"{feature_set}-{universe.min_turnover:.0f}"
    if universe.instruments is not None:
        name += (
            "-shares" if universe.instruments == SHARES else f"-{'-'.join(universe.instruments)}"
        )
    if universe.max_gap != MAX_GAP:
        name += f"-gap{universe.max_gap}"
    if universe.tickers is None:
        return name
    return f"{name}-{hashlib.sha256(','.join(sorted(universe.tickers)).encode()).hexdigest()[:8]}"


def universe_of(params: Mapping[str, Any]) -> Universe:
    """Return the universe of a run's or a version's parameters.

    Versions made before ``instruments`` existed were trained on all kinds.
    """
    tickers, instruments = (
        None if (v := params.get(name)) is None else tuple(v) for name in ("tickers", "instruments")
    )
    max_gap = nested(params).get("max_gap", MAX_GAP)
    return Universe(params["min_turnover"], tickers, instruments, max_gap)


def needed_windows(manifest: dict[str, Any]) -> str:
    """Return the name of the windows that a registered version needs."""
    return windows_name(manifest["feature_set"], universe_of(manifest["params"]))


def needed_lookback(manifest: dict[str, Any]) -> int:
    """Return the number of rows in the windows that a registered version needs."""
    takes_sequences = model_spec(manifest["model_type"]).takes_sequences
    return int(manifest["params"]["lookback"]) if takes_sequences else 1


def description_key(snapshot: str) -> str:
    """Key of the small JSON beside a snapshot that names its features."""
    return snapshot.removesuffix(".npz") + ".json"


@dataclass(frozen=True)
class SnapshotDescription:
    """What a stored snapshot has.

    Attributes:
        features: name of a set of windows -> its features.
        lookback: rows in a window.
        features_version: of its features; None for snapshots that did not say.
    """

    features: dict[str, list[str]]
    lookback: int
    features_version: int | None = None


def read_description(storage: Storage, snapshot: str) -> SnapshotDescription:
    """Read what a stored snapshot has."""
    key = description_key(snapshot)
    stored = from_json(storage.read(key), key)
    lookback = int(stored.get("lookback", 1))  # schema 1 did not say: good for single rows
    return SnapshotDescription(stored["features"], lookback, features_version_of(stored))


def learned_from_other_features(manifest: dict[str, Any], features_version: int | None) -> bool:
    """Whether features are of another version than a model learned from; not if one is not known.

    Args:
        manifest: of the model.
        features_version: of the features.
    """
    learned = features_version_of(manifest)
    return None not in (learned, features_version) and learned != features_version
