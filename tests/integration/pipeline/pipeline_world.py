"""What the tests of the pipeline run on: few tickers, a small forest, and a copy of the template with real faults."""

import re
import shutil
from pathlib import Path

TICKERS = ("PETR4", "VALE3", "ITUB4", "BBDC4", "ABEV3", "BBAS3", "WEGE3", "MGLU3")

FOREST = {"n_estimators": 12, "max_depth": 4, "min_samples_leaf": 50, "max_features": "sqrt", "n_jobs": 1}
"""A forest of a second, with nothing to search for."""

SLOW_FOREST = FOREST | {"n_estimators": 300, "refit": False}
"""The same, for some seconds, once."""


def faulty_template(repository: Path, root: Path) -> Path:
    """Write a copy of the template under ``root`` and return it; the code stays the repository's.

    Quotes come from ``root/quotes.parquet``, TrainRf has a second, and a passing fault is retried at once, but longer.
    """
    for name in ("functions", "b3shared"):
        (root / name).symlink_to(repository / name)
    text = (repository / "template.yaml").read_text(encoding="utf-8")
    text = _replaced(text, r"B3_QUOTES: .*", f"B3_QUOTES: {root}/quotes.parquet")
    text = _replaced(text, r"(?s)(\n  TrainRfFunction:\n.*?Timeout: )\d+", r"\g<1>1")
    (root / "template.yaml").write_text(text, encoding="utf-8")
    definition = (repository / "infra" / "pipeline.asl.yaml").read_text(encoding="utf-8")
    definition = _replaced(definition, r"IntervalSeconds: 5\n(\s+)BackoffRate: 2\n(\s+)MaxAttempts: 2",
                           r"IntervalSeconds: 1\n\1BackoffRate: 1.2\n\2MaxAttempts: 10")  # fmt: skip
    (root / "infra").mkdir()
    shutil.copy(repository / "infra" / "ingest.asl.yaml", root / "infra")
    (root / "infra" / "pipeline.asl.yaml").write_text(definition, encoding="utf-8")
    return root / "template.yaml"


def _replaced(text: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, replacement, text)
    assert count, f"the template has no {pattern!r} any more"
    return changed
