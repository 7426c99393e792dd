"""Searches the list of tickers, for the front end."""

import unicodedata
from typing import Any

from b3shared.core.errors import InvalidParameterError
from b3shared.dataset.market import SECTOR_COLUMNS
from b3shared.serving.rows import sector_of
from b3shared.serving.snapshot import Snapshot

MIN_SEARCH = 3
MAX_PAGE_SIZE = 100


def list_assets(
    snapshot: Snapshot, search: str = "", page: int = 1, page_size: int = 20
) -> dict[str, Any]:
    """Return one page of the tickers whose ticker or company name contains ``search``.

    Args:
        snapshot: the one that is served.
        search: at least 3 characters, or none; case and accents do not matter.
        page: from 1.
        page_size: 1 to 100.

    Raises:
        InvalidParameterError: Out of these bounds.
    """
    wanted = _plain(search)

    if search.strip() and len(wanted) < MIN_SEARCH:
        raise InvalidParameterError(
            f"search = {search!r}: at least {MIN_SEARCH} characters are needed, or none"
        )
    if page < 1:
        raise InvalidParameterError(f"page = {page}: 1 or more is allowed")
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidParameterError(f"page_size = {page_size}: 1 to {MAX_PAGE_SIZE} is allowed")

    pairs = zip(snapshot.ticker.tolist(), snapshot.company.tolist(), strict=True)
    found = [
        row
        for row, (ticker, company) in enumerate(pairs)
        if wanted in _plain(ticker) or wanted in _plain(company)
    ]
    pages = -(-len(found) // page_size)
    shown = found[(page - 1) * page_size : page * page_size]

    return {
        "assets": [_asset(snapshot, row) for row in shown],
        "pagination": {
            "page": page,
            "page_size": page_size,
            "total_count": len(found),
            "total_pages": pages,
            "has_next": page < pages,
            "has_prev": page > 1 and pages > 0,
        },
    }


def _asset(snapshot: Snapshot, row: int) -> dict[str, str | None]:
    """Return a row of the list; what is not known of the sector is None."""
    sector = sector_of(snapshot, row) or {}
    return {
        "ticker": str(snapshot.ticker[row]),
        "company": str(snapshot.company[row]),
        **{name: sector.get(name) for name in SECTOR_COLUMNS},
    }


def _plain(text: str) -> str:
    """Return a text without accents, in capitals, with one space between words."""
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join("".join(letters).upper().split())
