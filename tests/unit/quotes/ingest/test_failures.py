"""Lists of failures stay short, and who is left out is counted."""

from b3shared.quotes.ingest.failures import (
    MESSAGE_LENGTH,
    not_asked,
    shortened,
    shortened_sentences,
)


def failures(count: int, message: str = "m") -> list[dict[str, str]]:
    return [{"issuer": f"A{n:03}", "code": "X", "message": message} for n in range(count)]


def test_few_failures_are_all_named() -> None:
    assert shortened(failures(3), 3) == failures(3)
    assert shortened([], 3) == []


def test_many_failures_are_counted() -> None:
    *named, more = shortened(failures(5), 3)
    assert named == failures(3)
    assert more == {"code": "MORE", "message": "and 2 more", "more": "2"}


def test_lists_that_were_shortened_before_are_counted_on() -> None:
    twice = shortened([*shortened(failures(5), 3), *shortened(failures(9), 4)], 3)
    assert [entry.get("issuer") for entry in twice] == ["A000", "A001", "A002", None]
    assert twice[-1]["message"] == "and 11 more"
    assert shortened(twice, 3) == twice


def test_messages_are_cut() -> None:
    (failure,) = shortened(failures(1, "m" * 1000), 3)
    assert failure["message"] == "m" * MESSAGE_LENGTH
    assert shortened_sentences(["s" * 1000, "t", "u"], 1) == ["s" * MESSAGE_LENGTH, "and 2 more"]
    assert shortened_sentences(["s", "t"], 2) == ["s", "t"]


def test_companies_that_were_not_asked_are_one_failure() -> None:
    (failure,) = not_asked(7, "NO_TIME", "no time for")
    assert failure["message"] == "no time for 7 companies; the next evening asks"
    (failure,) = not_asked(1, "NO_TIME", "no time for")
    assert "1 company;" in failure["message"]
    assert not_asked(0, "NO_TIME", "no time for") == []
