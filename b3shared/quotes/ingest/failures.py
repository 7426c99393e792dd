"""Keeps lists of failures and findings short enough for the state of an execution."""

from collections.abc import Iterable, Sequence

MESSAGE_LENGTH = 200
"""Characters of a message that are passed on."""

MORE = "more"
"""Field of the entry that stands for the failures that are left out: how many those are."""


def shortened(failed: Iterable[dict[str, str]], most: int) -> list[dict[str, str]]:
    """Return the first failures with cut messages, and one entry that counts the others.

    Args:
        failed: failures as ``{"issuer" or "period", "code", "message"}``; it may contain lists that
            were shortened before, whose left out failures are counted on.
        most: failures that are named.
    """
    entries = list(failed)
    named = [entry for entry in entries if MORE not in entry]
    left_out = sum(int(entry[MORE]) for entry in entries if MORE in entry)
    left_out += max(len(named) - most, 0)

    cut = [
        {name: value[:MESSAGE_LENGTH] for name, value in entry.items()} for entry in named[:most]
    ]
    if left_out:
        cut.append({"code": "MORE", "message": f"and {left_out} more", MORE: str(left_out)})
    return cut


def shortened_sentences(sentences: Sequence[str], most: int) -> list[str]:
    """Return the first sentences, cut, and one that counts the others."""
    cut = [sentence[:MESSAGE_LENGTH] for sentence in sentences[:most]]
    left_out = len(sentences) - len(cut)
    return [*cut, f"and {left_out} more"] if left_out else cut


def not_asked(companies: int, code: str, reason: str) -> list[dict[str, str]]:
    """Return the failure of companies that were not asked for; nothing if there is none."""
    counted = "1 company" if companies == 1 else f"{companies} companies"
    message = f"{reason} {counted}; the next evening asks"
    return [{"code": code, "message": message}] if companies else []
