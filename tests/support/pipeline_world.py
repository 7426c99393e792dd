"""What the tests of the pipeline run on: few tickers, a small forest, and a copy of the template with real faults."""

import re
import shutil
from pathlib import Path

TICKERS = ("PETR4", "VALE3", "ITUB4", "BBDC4", "ABEV3", "BBAS3", "WEGE3", "MGLU3")

FOREST = {
    "n_estimators": 12,
    "max_depth": 4,
    "min_samples_leaf": 50,
    "max_features": "sqrt",
    "n_jobs": 1,
}
"""A forest of a second, with nothing to search for."""

SLOW_FOREST = FOREST | {"n_estimators": 150, "refit": False}
"""The same, for some seconds, once."""


def faulty_template(repository: Path, root: Path) -> Path:
    """Write a copy of the template under ``root`` and return it; the code stays the repository's.

    Quotes come from ``root/quotes.parquet``, TrainRf has a second, and a passing fault is retried
    at once, but longer.
    """
    copy = _copied(repository, root)
    _edit(copy, r"B3_QUOTES: .*", f"B3_QUOTES: {root}/quotes.parquet")
    _edit(copy, r"(?s)(\n  TrainRfFunction:\n.*?Timeout: )\d+", r"\g<1>1")
    _edit(copy.with_name("infra") / "pipeline.asl.yaml", r"IntervalSeconds: 5\n(\s+)BackoffRate: 2\n(\s+)MaxAttempts: 2",
          r"IntervalSeconds: 1\n\1BackoffRate: 1.2\n\2MaxAttempts: 10")  # fmt: skip
    return copy


def sliced_template(repository: Path, root: Path) -> Path:
    """The same but for the faults, where a call of the LSTM's trainer has time for one gradient step, on any computer."""
    copy = _copied(repository, root)
    _edit(copy, r"B3_SLICE_SECONDS: .*", 'B3_SLICE_SECONDS: "0"')
    return copy


def _copied(repository: Path, root: Path) -> Path:
    """The template and its machines under ``root``, beside links to the code."""
    for name in ("functions", "b3shared"):
        (root / name).symlink_to(repository / name)
    (root / "infra").mkdir()
    for definition in (repository / "infra").glob("*.asl.yaml"):
        shutil.copy(definition, root / "infra")
    return Path(shutil.copy(repository / "template.yaml", root))


def _edit(file: Path, pattern: str, replacement: str) -> None:
    changed, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"))
    assert count, f"{file.name} has no {pattern!r} any more"
    file.write_text(changed, encoding="utf-8")
