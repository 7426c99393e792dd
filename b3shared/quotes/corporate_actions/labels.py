"""The exchange's labels of announcements and their meaning."""

CASH = frozenset(
    {
        "DIVIDENDO",
        "JRS CAP PROPRIO",
        "RENDIMENTO",
        "REST CAP DIN",
        "AMORTIZACAO",
        "AMORTIZACAO RF",
    }
)
"""Payments: dividend, interest on capital (gross), monetary correction, capital returned."""

GROWTH = frozenset({"DESDOBRAMENTO", "BONIFICACAO"})
"""Split and bonus; the published factor is the per cent of new shares."""

GROUPING = frozenset({"GRUPAMENTO"})
"""The published factor is the multiplier itself."""

SUBSCRIPTION = frozenset({"SUBSCRICAO"})
"""A right to buy new shares; the published factor is their per cent."""

WITHOUT_RATIO = frozenset({"CIS RED CAP", "RESG TOTAL RV", "INCORPORACAO"})
"""Spin-off, redemption, merger: the published number is no ratio; what left is not announced."""


def multiplier(label: str, factor: float) -> float | None:
    """Return how many shares one share became; None if the label or the number tells none."""
    if label in GROWTH and factor > 0:
        return 1.0 + factor / 100.0
    if label in GROUPING and factor > 0:
        return factor
    return None
