"""A fault is named with its file, line and reason, and never read as a sound file."""

import gzip
import re
from pathlib import Path

import cotahist_maker as maker
import pandas as pd
import pytest
from faulty_cotahist import SOUND, changed, read, write, zip_of
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.core.errors import (
    B3Error,
    InvalidCotahistError,
    NoQuotesError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.quotes.cotahist.archive import Limits

PAGE = (
    b"\xef\xbb\xbf\r\n<!DOCTYPE html><html><head><title>404</title></head>"
    b"<body>not found</body></html>"
)


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda data: zip_of({"COTAHIST_A2020.TXT": data})]
)
def test_a_web_page_in_place_of_a_file_is_named(tmp_path: Path, pack) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        UnreadableFileError, match=r"is an HTML page, not a COTAHIST file.*<!DOCTYPE html>"
    ):
        read(write(tmp_path, pack(PAGE), "COTAHIST_A2020.ZIP"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no text"),
        (gzip.compress(b""), "holds no text"),
        (gzip.compress(gzip.compress(SOUND)), "an archive inside an archive"),
        (b'{"error": "not found"}', "line 1 is no COTAHIST header"),
        (SOUND[:-1].replace(b"00COTAHIST", b"00COTAHISU"), "line 1 is no COTAHIST header"),
        (
            SOUND.replace(b"00COTAHIST.2020BOVESPA 20201230", b"00COTAHIST.2020BOVESPA 20201330"),
            "line 1 is no COTAHIST header",
        ),
        (SOUND[247:], "line 1 is no COTAHIST header"),
        (SOUND[:240] + SOUND[245:], "240 characters"),
        (b"0" * 100_000, "line 1 is no COTAHIST header"),
    ],
)
def test_a_text_that_is_no_cotahist_file_is_refused(
    tmp_path: Path, data: bytes, words: str
) -> None:
    with pytest.raises(B3Error, match=words):
        read(write(tmp_path, data))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match=r"COTAHIST_A2020.ZIP cannot be opened"):
        read(tmp_path / "COTAHIST_A2020.ZIP")
    with pytest.raises(SourceUnavailableError):
        read(tmp_path)


def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCotahistError, match="line 2 has no end within 4096 bytes"):
        read(write(tmp_path, (maker.header() + "\r\n").encode() + b"0" * 3_000_000))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "COTAHIST_A2019.TXT",
            r"should hold 2019-01-01 to 2019-12-31 by its name, but its header is of the year 2020",
        ),
        ("COTAHIST_D31022020.TXT", "names no period"),
        ("COTAHIST_M132020.TXT", "names no period"),
    ],
)
def test_the_name_and_the_header_must_agree(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InvalidCotahistError, match=words):
        read(write(tmp_path, SOUND, name))


@pytest.mark.parametrize(
    "name", ["COTAHIST_A2020.TXT", "COTAHIST_M012020.TXT", "COTAHIST_D02012020.TXT"]
)
def test_records_of_another_period_fail_the_file(tmp_path: Path, name: str) -> None:
    records = [maker.record(f"A{number:04d}", "20190202") for number in range(200)]
    with pytest.raises(
        InvalidCotahistError, match=r"101 unusable lines .*line 2: date: '20190202' lies outside"
    ):
        read(write(tmp_path, maker.text(records), name))


def test_a_missing_or_wrong_trailer_needs_partial(tmp_path: Path) -> None:
    records = [maker.record("PETR4"), maker.record("VALE3")]
    sound = maker.text(records)
    cases = {
        sound[: -2 * 247]: r"ends after 2 lines without a trailer",
        sound[:-247]: r"ends after 3 lines without a trailer",
        sound.replace(
            b"20201230" + b"00000000004", b"20201230" + b"00000000005"
        ): r"has 4 lines .* which counts 5",
        sound.replace(
            maker.record("VALE3").encode() + b"\r\n", b""
        ): r"has 3 lines .* which counts 4",
    }

    for data, words in cases.items():
        path = write(tmp_path, data)
        with pytest.raises(
            InvalidCotahistError, match=words + r".*must be said to be one \(--partial\)"
        ):
            read(path)
        frame, report = read(path, partial=True)
        assert frame["ticker"].tolist() == ["PETR4", "VALE3"][: len(frame)]
        assert report.partial
        assert report.trailer_count in (None, 4, 5)


def test_a_cut_line_and_a_strange_trailer_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidCotahistError, match=r"without a trailer.*line 4: 100 characters, 245 are needed"
    ):
        read(write(tmp_path, SOUND[: 3 * 247 + 100]))
    strange = SOUND.replace(b"99COTAHIST.2020", b"99COTAHIST.2019")
    with pytest.raises(
        InvalidCotahistError, match=r"without a trailer.*line 5: a trailer of another file"
    ):
        read(write(tmp_path, strange))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            changed(maker.record(), 108, "00000000030.7"),
            r"prices: '.*00000000030\.7.*' is not a number",
        ),
        (changed(maker.record(), 56, "-"), "prices: .* is not a number"),
        (changed(maker.record(), 147, "  123"), "trades: '  123' is not a number"),
        (changed(maker.record(), 152, "x"), "volume: .* is not a number"),
        (changed(maker.record(), 187, ":"), "turnover: .* is not a number"),
        (changed(maker.record(), 242, "   "), "distribution number: '   ' is not a number"),
        (changed(maker.record(), 2, "2020010A"), "date: '2020010A' is not a number"),
        (maker.record(day="20200230"), "date: '20200230' is no day"),
        (maker.record(day="20200100"), "date: '20200100' is no day"),
        (maker.record(day="20201301"), "date: '20201301' is no day"),
        (
            maker.record(day="20190102"),
            "date: '20190102' lies outside the file's period, 2020-01-01 to 2020-12-31",
        ),
        (maker.record(day="20210101"), "date: '20210101' lies outside"),
        (maker.record(factor=0), "quotation factor: 0 is not allowed"),
        (maker.record(company="A\0B"), "a control character in a text field"),
        (maker.record(""), "ticker: ' {12}' is none"),
        (maker.record("PE TR4"), "ticker: 'PE TR4 {6}' is none"),
        (changed(maker.record(), 24, "0A0"), "market: '0A0' is not a number"),
        (changed(maker.record(), 0, "02"), "record type '02', 01 is needed"),
        (maker.header(), "record type '00', 01 is needed"),
        (maker.record() + " ", "246 characters, 245 are needed"),
        ("", "0 characters, 245 are needed"),
    ],
)
def test_a_bad_line_is_left_out_with_its_number_and_a_reason(
    tmp_path: Path, bad: str, reason: str
) -> None:
    frame, report = read(
        write(tmp_path, maker.text([maker.record("VALE3"), bad, maker.record("ITUB4")]))
    )
    assert frame["ticker"].tolist() == ["VALE3", "ITUB4"]
    ((number, said),) = report.rejected
    assert number == 3
    assert re.fullmatch(reason + ".*", said)


def test_a_leap_day_is_accepted(tmp_path: Path) -> None:
    frame, _ = read(write(tmp_path, maker.text([maker.record(day="20200229")])))
    assert frame["date"].iloc[0] == pd.Timestamp("2020-02-29")


def test_lines_behind_the_trailer_are_named(tmp_path: Path) -> None:
    frame, report = read(write(tmp_path, SOUND + maker.record("ITUB4").encode() + b"\r\n"))
    assert frame["ticker"].tolist() == ["PETR4", "VALE3"]
    assert report.rejected == ((6, "behind the trailer"),)
    with pytest.raises(InvalidCotahistError, match=r"unusable lines.*line 6: behind the trailer"):
        read(write(tmp_path, SOUND * 60))


def test_a_repeated_line_exceeds_the_trailers_count(tmp_path: Path) -> None:
    line = maker.record("PETR4").encode() + b"\r\n"
    with pytest.raises(InvalidCotahistError, match="has 6 lines up to its trailer, which counts 5"):
        read(write(tmp_path, SOUND.replace(line, line * 2)))


def test_more_than_one_bad_line_in_a_hundred_fails_the_file(tmp_path: Path) -> None:
    good = [maker.record(f"A{number:04d}") for number in range(2000)]
    bad = [maker.record(f"B{number:04d}", factor=0) for number in range(30)]
    _, report = read(write(tmp_path, maker.text(good + bad[:20])))
    assert len(report.rejected) == 20
    with pytest.raises(
        InvalidCotahistError,
        match="30 unusable lines up to line 2,032, 20 are allowed; line 2002: quotation",
    ):
        read(write(tmp_path, maker.text(good + bad)))


def test_a_file_without_a_cash_record_has_no_quotes(tmp_path: Path) -> None:
    with pytest.raises(NoQuotesError, match=r"no record of the cash market.*'070': 1.*'CR\$': 1"):
        read(
            write(tmp_path, maker.text([maker.record(market="070"), maker.record(currency="CR$")]))
        )
    with pytest.raises(NoQuotesError):
        read(write(tmp_path, maker.text([])))


def test_too_many_tickers_are_refused(tmp_path: Path) -> None:
    records = [maker.record(f"A{number:04d}") for number in range(11)]
    with pytest.raises(InvalidCotahistError, match="more than 10 tickers"):
        read(write(tmp_path, maker.text(records)), limits=Limits(max_tickers=10))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_anywhere_in_a_file_is_an_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    pack = data.draw(
        st.sampled_from([bytes, gzip.compress, lambda text: zip_of({"COTAHIST_A2020.TXT": text})])
    )
    whole = pack(SOUND)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(1, len(damaged))) if data.draw(st.booleans()) else len(damaged)
    path = write(tmp_path_factory.mktemp("damaged"), bytes(damaged[:end]))
    try:
        frame, report = read(path, partial=data.draw(st.booleans()))
    except B3Error:
        return  # any other error fails the test

    assert 1 <= len(frame) == report.cash_records <= 3
    assert frame[["ticker", "date"]].notna().all(axis=None)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["bare", "with a mark of order"])
@pytest.mark.parametrize(
    "company",
    ["PETROBRÁS", "AÇÃO É", "\N{REPLACEMENT CHARACTER}NIBANCO"],
    ids=["one", "four", "lost"],
)
def test_a_file_saved_as_utf8_is_read_as_the_exchange_s_own(
    tmp_path: Path, company: str, bom: bytes
) -> None:
    records = [
        maker.record("PETR4", company=company),
        maker.record("VALE3"),
        maker.record("ITUB4", company=company),
    ]
    own = "".join(line + "\r\n" for line in [maker.header(), *records, maker.trailer(5)])
    (tmp_path / "latin").mkdir()
    expected, _ = read(write(tmp_path / "latin", own.encode("latin-1", "replace")))
    found, report = read(write(tmp_path, bom + own.encode("utf-8")))
    pd.testing.assert_frame_equal(found, expected)
    assert (len(found), report.rejected) == (3, ())


def test_two_latin1_characters_that_look_like_utf8_stay_two(tmp_path: Path) -> None:
    found, report = read(write(tmp_path, maker.text([maker.record(company="Ã©")])))
    assert (found["company"].tolist(), report.rejected) == (["Ã©"], ())
