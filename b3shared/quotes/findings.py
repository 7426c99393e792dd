"""What is wrong with quotes, in a form that is counted, shown and stored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

EXAMPLES = 5
"""Examples that a finding shows."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem.

    Attributes:
        kind: stable name of the problem.
        rows: how many rows have it; sessions or tickers, where the problem is theirs.
        action: "dropped", "kept" or "cleared" (the value became NULL, the row stayed).
        examples: up to five of ``TICKER date: what is wrong``.
    """

    kind: str
    rows: int
    action: Literal["dropped", "kept", "cleared"]
    examples: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON types."""
        return asdict(self) | {"examples": list(self.examples)}


def added(parts: Sequence[Sequence[Finding]]) -> list[Finding]:
    """The findings of parts of a table, each part's in one order, as those of the whole."""
    return [
        replace(
            kind[0],
            rows=sum(f.rows for f in kind),
            examples=tuple(e for f in kind for e in f.examples)[:EXAMPLES],
        )
        for kind in zip(*parts, strict=True)
    ]


def described(findings: Sequence[Finding]) -> dict[str, Any]:
    """Findings as a report tells them: rows dropped by reason, and all findings with examples."""
    present = [f for f in findings if f.rows]
    dropped = {f.kind: f.rows for f in present if f.action == "dropped"}
    return {"dropped": dropped, "findings": [f.to_json() for f in present]}
