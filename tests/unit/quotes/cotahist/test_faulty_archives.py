"""Archives that are damaged, have the wrong contents or unpack without bound are refused."""

import gzip
import zipfile
from pathlib import Path

import cotahist_maker as maker
import pytest
from faulty_cotahist import SOUND, read, write, zip_of

from b3shared.core.errors import (
    InvalidCotahistError,
    UnreadableFileError,
)
from b3shared.quotes.cotahist.archive import Limits


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """A zip of one member with bytes of both its headers replaced; offsets are of the local one."""
    central = data.index(b"PK\x01\x02")
    out = bytearray(data)
    for start in (offset, central + offset + 2):
        out[start : start + len(value)] = value
    return bytes(out)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "holds no COTAHIST files.*It holds nothing"),
        ({"prices.csv": b"a,b"}, "holds no COTAHIST files.*'prices.csv'"),
        (
            {"XCOTAHIST_A2020.TXT": SOUND, "b.txt": b""},
            "no COTAHIST files.*'XCOTAHIST_A2020.TXT', 'b.txt'",
        ),
        ({"COTAHIST_A2019.TXT": SOUND, "COTAHIST_A2020.TXT": SOUND}, "holds 2 COTAHIST files"),
    ],
)
def test_a_zip_needs_exactly_one_right_member(
    tmp_path: Path, members: dict[str, bytes], words: str
) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        read(write(tmp_path, zip_of(members), "COTAHIST_A2020.ZIP"))


def test_a_truncated_zip_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = zip_of({"COTAHIST_A2020.TXT": SOUND})
    for cut in (len(whole) // 4, len(whole) // 2, len(whole) - 10, len(whole) - 1):
        with pytest.raises(
            UnreadableFileError, match=r"COTAHIST_A2020.ZIP is damaged or truncated"
        ):
            read(write(tmp_path, whole[:cut], "COTAHIST_A2020.ZIP"))


@pytest.mark.parametrize("partial", [False, True])
def test_a_truncated_gzip_is_named_even_with_partial(tmp_path: Path, partial: bool) -> None:
    whole = gzip.compress(SOUND)
    for cut in (10, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        with pytest.raises(UnreadableFileError, match="is damaged or truncated"):
            read(write(tmp_path, whole[:cut], "COTAHIST_A2020.TXT.gz"), partial=partial)


def test_a_zip_with_another_checksum_or_encryption_is_refused(tmp_path: Path) -> None:
    whole = zip_of({"COTAHIST_A2020.TXT": SOUND})
    with pytest.raises(UnreadableFileError, match="damaged"):
        read(write(tmp_path, patched(whole, 14, b"\0\0\0\0"), "COTAHIST_A2020.ZIP"))
    with pytest.raises(UnreadableFileError, match="is encrypted; the exchange's files are not"):
        read(write(tmp_path, patched(whole, 6, b"\1\0"), "COTAHIST_A2020.ZIP"))


def test_a_declared_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    declared = patched(
        zip_of({"COTAHIST_A2020.TXT": SOUND}), 22, (4_000_000_000).to_bytes(4, "little")
    )
    with pytest.raises(
        UnreadableFileError,
        match="holds 4,000,000,000 bytes of text or more; 2,470,000,000 are allowed",
    ):
        read(write(tmp_path, declared, "COTAHIST_A2020.ZIP"))


def test_a_bomb_is_detected_by_its_unpacked_bytes(tmp_path: Path) -> None:
    line = (maker.record("PETRA30", market="070") + "\r\n").encode()
    bomb = (maker.header() + "\r\n").encode() + line * 100_000
    path = write(tmp_path, gzip.compress(bomb), "COTAHIST_A2020.TXT.gz")
    with pytest.raises(UnreadableFileError, match="unpacks to more than 100 times"):
        read(path, limits=Limits(harmless_bytes=1 << 20))
    with pytest.raises(UnreadableFileError, match="bytes of text or more; 5,000,000 are allowed"):
        read(path, limits=Limits(max_bytes=5_000_000))
    lying = patched(zip_of({"COTAHIST_A2020.TXT": bomb}), 22, len(SOUND).to_bytes(4, "little"))
    with pytest.raises(UnreadableFileError, match="damaged"):
        read(write(tmp_path, lying, "COTAHIST_A2020.ZIP"))


def test_an_archive_with_another_years_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidCotahistError,
        match=r"COTAHIST_A2021.ZIP .* holds COTAHIST_A2020.TXT .*another period",
    ):
        read(write(tmp_path, zip_of({"COTAHIST_A2020.TXT": SOUND}), "COTAHIST_A2021.ZIP"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_a_zip_with_an_unbounded_method_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "COTAHIST_A2020.ZIP", "w", method) as archive:
        archive.writestr("COTAHIST_A2020.TXT", SOUND)
    with pytest.raises(
        UnreadableFileError, match=rf"packed by method {method}; stored \(0\) and deflate \(8\)"
    ):
        read(tmp_path / "COTAHIST_A2020.ZIP")
