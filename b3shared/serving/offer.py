"""What a stored snapshot offers, as a small JSON beside it, so that the control API need not read arrays."""

from b3shared.documents import from_json
from b3shared.storage import Storage


def offer_key(snapshot: str) -> str:
    """Key of the small JSON beside a snapshot that names its features."""
    return snapshot.removesuffix(".npz") + ".json"


def offered_features(storage: Storage, snapshot: str) -> dict[str, list[str]]:
    """Feature set -> names that a stored snapshot has."""
    key = offer_key(snapshot)
    offered: dict[str, list[str]] = from_json(storage.read(key), key)["features"]
    return offered
