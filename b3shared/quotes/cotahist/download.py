"""Downloads files from the exchange's address, and checks that they may be COTAHIST files."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from b3shared.core.errors import (
    InvalidParameterError,
    NotPublishedError,
    UnreadableFileError,
)
from b3shared.quotes.cotahist.periods import Period, period_name
from b3shared.quotes.web import PassingError, Patience, WebClient, check_no_web_page

ABSENT = frozenset({404, 410})
"""Statuses of a file that is not published."""

PATIENCE = Patience()
"""Bounds of a download."""

_STARTS = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"00": "COTAHIST text"}


class QuoteServer:
    """Downloads the files that the exchange, or a mirror, publishes.

    Args:
        address: http(s) address with ``{period}`` in place of A2020, M012020 or D02012020.
        patience: bounds of every download.
        sleep: waits some seconds.
        ca_bundle: see :class:`b3shared.quotes.web.WebClient`.

    Raises:
        InvalidParameterError: The address or the CA bundle is no such thing.
    """

    def __init__(
        self,
        address: str,
        patience: Patience = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        ca_bundle: str = "",
    ) -> None:
        is_web = urlsplit(address).scheme in ("http", "https")
        if not is_web or address.count("{") != 1 or "{period}" not in address:
            raise InvalidParameterError(
                f"address must be http(s)://... with {{period}} in it once, got {address!r}"
            )
        self._address = address
        self._client = WebClient(patience, ca_bundle=ca_bundle, sleep=sleep)

    def url(self, period: Period) -> str:
        """Return the address of the file of a period."""
        return self._address.replace("{period}", period_name(period))

    def download(self, period: Period, folder: Path, within: float = math.inf) -> Path:
        """Fetch the file of a period into a folder.

        Args:
            period: a year, a month or a day.
            folder: where to.
            within: seconds for all attempts and the waits between them.

        Returns:
            The path of the file.

        Raises:
            NotPublishedError: The server has no such file: a day without a session, or not there
                yet.
            SourceUnavailableError: No complete answer in all attempts, or in that time.
            UnreadableFileError: The answer is no such file: a web page, another type, too large.
        """
        url = self.url(period)
        # the reader checks the content against the period in this name
        path = folder / f"COTAHIST_{period_name(period)}.ZIP"
        return self._client.get(
            url,
            lambda pieces: _written(pieces, path, url),
            check=lambda answer: _check(answer, url),
            within=within,
        )


def _written(pieces: Iterator[bytes], path: Path, url: str) -> Path:
    """Write the content of an answer to a file, complete or not at all."""
    try:
        with path.open("wb") as file:
            for piece in pieces:
                if file.tell() == 0:
                    _check_start(piece, url)
                file.write(piece)
            if file.tell() == 0:
                raise PassingError("an empty answer")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _check(answer: urllib3.BaseHTTPResponse, url: str) -> None:
    """Check status and type of an answer."""
    if answer.status in ABSENT:
        raise NotPublishedError(
            f"{url} is not there ({answer.status}): no session, or not published yet", url=url
        )
    check_no_web_page(
        answer,
        lambda kind: UnreadableFileError(
            f"{url} answers with a web page ({kind}), not with a file of quotes", url=url
        ),
    )


def _check_start(piece: bytes, url: str) -> None:
    if not piece.startswith(tuple(_STARTS)):
        is_page = piece.lstrip()[:1] == b"<"
        what = "a web page" if is_page else f"a file that begins with {piece[:8]!r}"
        raise UnreadableFileError(
            f"{url} answers with {what}; {', '.join(_STARTS.values())} are allowed", url=url
        )
