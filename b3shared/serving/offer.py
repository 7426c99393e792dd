"""What a stored snapshot offers, as a small JSON beside it, so that the control API need not read arrays."""

from typing import Any

from b3shared.documents import from_json
from b3shared.storage import Storage

FEATURE_SETS = ("v1", "v2")


def offer_name(feature_set: str, min_turnover: float) -> str:
    """Name of one set of windows in a snapshot: ranks depend on which tickers are liquid enough to be ranked."""
    return f"{feature_set}-{min_turnover:.0f}"


def needed_offer(manifest: dict[str, Any]) -> str:
    """The windows that a registered version is fed with."""
    return offer_name(manifest["feature_set"], manifest["params"]["min_turnover"])


def offer_key(snapshot: str) -> str:
    """Key of the small JSON beside a snapshot that names its features."""
    return snapshot.removesuffix(".npz") + ".json"


def offered_features(storage: Storage, snapshot: str) -> dict[str, list[str]]:
    """Name of a set of windows -> the features that a stored snapshot has there."""
    key = offer_key(snapshot)
    offered: dict[str, list[str]] = from_json(storage.read(key), key)["features"]
    return offered
