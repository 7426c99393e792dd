"""What a stored snapshot offers, as a small JSON beside it, so that the control API need not read arrays."""

import hashlib
from dataclasses import dataclass
from typing import Any

from b3shared.documents import from_json
from b3shared.storage import Storage

FEATURE_SETS = ("v1", "v2")


@dataclass(frozen=True)
class Universe:
    """Whom a model ranks against each other: it must be served among the same that it learnt among.

    Attributes:
        min_turnover: R$ a session that a row must exceed to count.
        tickers: these only; None for all.
    """

    min_turnover: float
    tickers: tuple[str, ...] | None = None


def offer_name(feature_set: str, universe: Universe) -> str:
    """Name of one set of windows in a snapshot, such as ``v2-2000000``."""
    name = f"{feature_set}-{universe.min_turnover:.0f}"
    if universe.tickers is None:
        return name
    return f"{name}-{hashlib.sha256(','.join(sorted(universe.tickers)).encode()).hexdigest()[:8]}"


def universe_of(params: dict[str, Any]) -> Universe:
    """The universe of a run's or a version's parameters."""
    tickers = params.get("tickers")
    return Universe(params["min_turnover"], None if tickers is None else tuple(tickers))


def needed_offer(manifest: dict[str, Any]) -> str:
    """The windows that a registered version is fed with."""
    return offer_name(manifest["feature_set"], universe_of(manifest["params"]))


def offer_key(snapshot: str) -> str:
    """Key of the small JSON beside a snapshot that names its features."""
    return snapshot.removesuffix(".npz") + ".json"


def offered_features(storage: Storage, snapshot: str) -> dict[str, list[str]]:
    """Name of a set of windows -> the features that a stored snapshot has there."""
    key = offer_key(snapshot)
    offered: dict[str, list[str]] = from_json(storage.read(key), key)["features"]
    return offered
