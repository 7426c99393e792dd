"""Paths of the repository, its template, the test data and the larger development data."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
DATA = ROOT / "tests" / "data"

SHARED = ROOT.parent / "shared"
"""Larger development data and inputs that failed; not part of the repository."""

SHARED_DATA = SHARED / "data"
