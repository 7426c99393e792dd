"""Versions of what is computed: a number each, raised when a value changes, and only then.

A model must be fed with features of the version that it learned from. ``tests/unit/test_golden.py``
holds the values of a committed sample against these numbers: it fails when a value changes under
the same number, so a moved file or a mended comment changes nothing here.
"""

FEATURES_VERSION = 2
"""Of features, their ranks, the market's, labels, and the cleaning of quotes before them."""

DETECTION_VERSION = 2
"""Of corporate actions and renames that are found in quotes."""


def features_version_of(stored: dict[str, object]) -> int | None:
    """The features' version that a manifest, an offer or a step's summary names.

    Args:
        stored: what was written. Before there were numbers it had ``feature_code``, a hash of
            source files; all of those are version 1.

    Returns:
        The number; None if it names none.
    """
    version = stored.get("features_version")
    if isinstance(version, int):
        return version
    return 1 if stored.get("feature_code") else None
