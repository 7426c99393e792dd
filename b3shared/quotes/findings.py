"""Findings: problems of quotes, which are counted, shown and stored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

EXAMPLES = 5
"""Number of examples that a finding shows."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem.

    Attributes:
        kind: stable name of the problem.
        rows: number of rows that have it; of sessions or tickers, if the problem is theirs.
        action: "dropped", "kept" or "cleared" (the value became NULL, the row stayed).
        examples: up to five of ``TICKER date: what is wrong``.
    """

    kind: str
    rows: int
    action: Literal["dropped", "kept", "cleared"]
    examples: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON types."""
        return asdict(self) | {"examples": list(self.examples)}


def add_up(parts: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Add up the findings of parts of a table.

    Args:
        parts: the findings of each part, of the same kinds in the same order.
    """
    return [
        replace(
            same_kind[0],
            rows=sum(f.rows for f in same_kind),
            examples=tuple(e for f in same_kind for e in f.examples)[:EXAMPLES],
        )
        for same_kind in zip(*parts, strict=True)
    ]


def findings_report(findings: Sequence[Finding]) -> dict[str, Any]:
    """Report findings as JSON types: rows dropped by reason, and all findings with examples."""
    present = [f for f in findings if f.rows]
    dropped = {f.kind: f.rows for f in present if f.action == "dropped"}
    return {"dropped": dropped, "findings": [f.to_json() for f in present]}
