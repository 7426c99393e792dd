"""Version numbers of computed values: raised when a value changes, and only then.

A model must be served features of the version that it was trained on. ``tests/unit/core/
test_versions.py`` compares a committed sample with these numbers: it fails when a value changes
under the same number. Moving a file or editing a comment changes no number.
"""

FEATURES_VERSION = 3
"""Of features, ranks, market features and labels, and of the cleaning of quotes before them."""

DETECTION_VERSION = 3
"""Of the detection of corporate actions and renames in quotes."""


def features_version_of(stored: dict[str, object]) -> int | None:
    """Return the version of features that a manifest, a snapshot or a step's summary names.

    Args:
        stored: the document. Before there were numbers it had ``feature_code``, a hash of source
            files; all of those are version 1.

    Returns:
        The number; None if it names none.
    """
    version = stored.get("features_version")
    if isinstance(version, int):
        return version
    return 1 if stored.get("feature_code") else None
