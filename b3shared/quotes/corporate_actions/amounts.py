"""Unites the amounts that several lists of one payment print."""

from collections import Counter
from collections.abc import Iterable

SAME_VALUE = 0.01
"""Greatest relative difference of two printed forms of one amount."""


def unite_amounts(counted: Counter[float], listed: Iterable[float]) -> Counter[float]:
    """Unite the amounts of one more list with those counted so far.

    An amount that both have counts as often as in the list that has it more often. Two printed
    forms of one amount, of which one has fewer digits, are the same; the longer one stays.
    """
    left = list(counted.elements())
    new = list(listed)
    pairs = sorted(
        (abs(a - b), i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(new)
        if same_amount(a, b)
    )

    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    united = [
        max(amount, new[partner[i]], key=_digits) if i in partner else amount
        for i, amount in enumerate(left)
    ]
    return Counter([*united, *(amount for j, amount in enumerate(new) if j not in taken)])


def same_amount(one: float, other: float) -> bool:
    """Return whether two numbers agree up to the digits of the shorter one."""
    if one == other:
        return True
    rounding = 0.5000001 * 10.0 ** -min(_digits(one), _digits(other))
    return abs(one - other) <= min(rounding, SAME_VALUE * abs(one))


def _digits(number: float) -> int:
    """Return how many decimals a number is printed with."""
    text = f"{number:.12f}".rstrip("0")
    return len(text) - text.index(".") - 1
