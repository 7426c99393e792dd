"""The code that makes features, as a hash: a model must be fed by the same code that it was trained with."""

import hashlib
from pathlib import Path

_SOURCES = ("features.py", "series.py", "cross_section.py", "moving.py", "quotes/adjustment.py", "quotes/panel.py")


def feature_code() -> str:
    """First 16 hex digits of the SHA-256 of the source files that define the features."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in _SOURCES)).hexdigest()[:16]
