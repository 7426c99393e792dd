"""The code that makes something that is kept, as a hash: what other code made is told from what today's code makes."""

import hashlib
from pathlib import Path

_FEATURES = ("features.py", "series.py", "cross_section.py", "moving.py", "quotes/adjustment.py", "quotes/panel.py")
_DETECTION = tuple(
    f"quotes/{name}.py"
    for name in ("detection", "suspicion", "likelihood", "actions", "overrides", "renaming", "instruments")
)


def feature_code() -> str:
    """Of what defines the features: a model must be fed by the same code that it was trained with."""
    return _hash(_FEATURES)


def detection_code() -> str:
    """Of what finds corporate actions and renamed tickers."""
    return _hash(_DETECTION)


def _hash(sources: tuple[str, ...]) -> str:
    """First 16 hex digits of the SHA-256 of source files."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in sources)).hexdigest()[:16]
