"""Opens a COTAHIST file (plain, gzip or zip) as a stream of text.

The type is recognised by the content, and nothing is unpacked to the disk.
"""

import gzip
import hashlib
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from b3shared.core.errors import InvalidCotahistError, SourceUnavailableError, UnreadableFileError
from b3shared.quotes.cotahist.periods import Period, named_period

_ZIP = b"PK"
_GZIP = b"\x1f\x8b"
_DAMAGE = (
    EOFError,
    OSError,
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)
"""Errors of zlib, gzip and zipfile on bytes that they cannot read."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The exchange's methods.

For these zipfile bounds what one read unpacks; for bzip2 and lzma it does not.
"""

_MEMBER = re.compile(r"COTAHIST[._][^/\\]*", re.IGNORECASE)
"""Names of the member over the years: COTAHIST.A1986, COTAHIST_A2001, COTAHIST_A2023.TXT."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a sound file.

    Attributes:
        max_bytes: of text. The largest annual files have some 3 million lines of 247 bytes: three
            times that.
        max_ratio: of text to archive. The exchange's archives have 5 to 12; a bomb made for zlib
            reaches 1,000.
        harmless_bytes: of text, below which the ratio is not judged.
        max_line: bytes without a line end. A record has 245.
        max_rejected: lines that may be rejected, ``few_rejected`` or ``max_rejected_share`` of the
            lines, whichever is more.
        few_rejected: see there.
        max_rejected_share: see there.
        max_tickers: of the cash market in one file; a year has some 3,000.
    """

    max_bytes: int = 10_000_000 * 247
    max_ratio: int = 100
    harmless_bytes: int = 64 << 20
    max_line: int = 4096
    max_rejected: int = 100
    few_rejected: int = 10
    max_rejected_share: float = 0.01
    max_tickers: int = 20_000


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class CotahistText:
    """The text of one COTAHIST file, as a stream of bytes whose size is checked while it is read.

    Attributes:
        name: of the file.
        member: of the archive, where the file is a zip.
        sha256: of the file's bytes as they lie on the disk.
        period: that the name of the member or of the file states.
    """

    def __init__(
        self,
        name: str,
        member: str | None,
        sha256: str,
        archived: int,
        stream: _Readable,
        limits: Limits,
    ) -> None:
        self.name = name
        self.member = member
        self.sha256 = sha256
        self.period = _agreed_period(name, member)
        self._stream = stream
        self._archived = archived
        self._limits = limits
        self._read = 0

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end.

        Raises:
            UnreadableFileError: The archive is damaged or truncated, or holds more than the limits
                allow. The size that the archive declares is not trusted: the unpacked bytes are
                counted.
        """
        with _damage(self.name):
            data = self._stream.read(size)
        self._read += len(data)
        if self._read > self._limits.max_bytes:
            raise too_large(self.name, self._read, self._limits)
        if self._read > max(self._limits.harmless_bytes, self._limits.max_ratio * self._archived):
            raise UnreadableFileError(
                f"{self.name} unpacks to more than {self._limits.max_ratio} times its "
                f"{self._archived:,} bytes; the exchange's archives have 5 to 12 times: this is no "
                "COTAHIST archive"
            )
        return data


@contextmanager
def open_text(path: Path, limits: Limits) -> Iterator[CotahistText]:
    """Open a file by its content, whatever its name ends with.

    Raises:
        SourceUnavailableError: The file cannot be opened.
        UnreadableFileError: It is a damaged archive, or an archive without exactly one COTAHIST
            member.
        InvalidCotahistError: Archive and member state different periods.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise SourceUnavailableError(
            f"{path} cannot be opened ({error.strerror}); give a COTAHIST file"
        ) from error

    with raw, ExitStack() as opened:
        sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
        raw.seek(0)
        start = raw.read(2)
        raw.seek(0)

        member: str | None = None
        stream: _Readable = raw
        if start == _ZIP:
            member, stream = _open_member(path.name, raw, opened, limits)
        elif start == _GZIP:
            stream = opened.enter_context(gzip.GzipFile(fileobj=raw))

        yield CotahistText(
            path.name, member, sha256, os.fstat(raw.fileno()).st_size, stream, limits
        )


def check_start(name: str, start: bytes) -> None:
    """Check the first bytes of a text that should be COTAHIST.

    Raises:
        UnreadableFileError: It is empty, a web page, or yet another archive.
    """
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        raise UnreadableFileError(
            f"{name} holds no text; a COTAHIST file has a header, records and a trailer"
        )
    if text.startswith(b"<"):
        raise UnreadableFileError(
            f"{name} is an HTML page, not a COTAHIST file: its address answered with a page, often "
            f"an error or a log-in. It begins {text[:60].decode('latin-1')!r}"
        )
    if text.startswith((_ZIP, _GZIP)):
        raise UnreadableFileError(f"{name} is an archive inside an archive; unpack the outer one")


def too_large(name: str, size: int, limits: Limits) -> UnreadableFileError:
    """Return the error of a file with more text than any COTAHIST file has."""
    return UnreadableFileError(
        f"{name} holds {size:,} bytes of text or more; {limits.max_bytes:,} are allowed "
        "(an annual file has up to 0.75 GB)"
    )


def _open_member(
    name: str, raw: BinaryIO, opened: ExitStack, limits: Limits
) -> tuple[str, _Readable]:
    """The one COTAHIST member of a zip."""
    with _damage(name):
        archive = opened.enter_context(zipfile.ZipFile(raw))
        files = [info for info in archive.infolist() if not info.is_dir()]

    members = [info for info in files if _MEMBER.fullmatch(info.filename.rpartition("/")[2])]
    if len(members) != 1:
        found = ", ".join(repr(info.filename[:80]) for info in files[:5])
        found += ", ..." if len(files) > 5 else ""
        raise UnreadableFileError(
            f"{name} holds {len(members) or 'no'} COTAHIST files; exactly one is needed, "
            f"named such as COTAHIST_A2020.TXT. It holds {found or 'nothing'}"
        )

    member = members[0]
    if member.flag_bits & 1:
        raise UnreadableFileError(
            f"{name}: {member.filename} is encrypted; the exchange's files are not"
        )
    if member.compress_type not in _METHODS:
        raise UnreadableFileError(
            f"{name}: {member.filename} is packed by method {member.compress_type}; "
            "stored (0) and deflate (8) are allowed"
        )
    if member.file_size > limits.max_bytes:
        raise too_large(name, member.file_size, limits)
    with _damage(name):
        return member.filename, opened.enter_context(archive.open(member))


def _agreed_period(name: str, member: str | None) -> Period | None:
    """The period that the member's name states, else the file's; both must agree."""
    outer = named_period(name)
    inner = named_period(member or "")
    if outer and inner and outer != inner:
        raise InvalidCotahistError(
            f"{name} ({outer}) holds {member} ({inner}): the archive has another period's file"
        )
    return inner or outer


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn the errors of damaged archives into an UnreadableFileError."""
    try:
        yield
    except _DAMAGE as error:
        raise UnreadableFileError(
            f"{name} is damaged or truncated: {str(error) or type(error).__name__}; fetch it again"
        ) from error
