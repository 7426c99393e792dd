"""The four calls of the exchange's pages of listed companies: their names, questions and URLs."""

import base64
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from b3shared.core.errors import InvalidParameterError

PAGE_SIZE = 120
"""The largest page; of 200 or more the exchange answers with nothing."""

LANGUAGE = {"language": "pt-br"}

_ISSUER = re.compile(r"[A-Z0-9]{4}")


class Call(StrEnum):
    """A call, by the exchange's name."""

    LIST = "GetInitialCompanies"
    SUPPLEMENT = "GetListedSupplementCompany"
    CASH = "GetListedCashDividends"
    DETAILS = "GetDetailsCompany"


PAGED = frozenset({Call.LIST, Call.CASH})
"""Calls that are answered page by page."""


@dataclass(frozen=True)
class Company:
    """A listed company, as the exchange's list has it.

    Attributes:
        issuer: root of its tickers, four letters or digits.
        trading_name: under which its payments in cash are found.
        code_cvm: number of the registrant; empty if it has none.
    """

    issuer: str
    trading_name: str
    code_cvm: str = ""

    def __post_init__(self) -> None:
        if not is_issuer(self.issuer):
            raise InvalidParameterError(
                f"issuer must be four capital letters or digits, got {self.issuer!r}"
            )

    @classmethod
    def from_json(cls, value: dict[str, str]) -> "Company":
        """Return the company that :meth:`to_json` wrote."""
        return cls(value["issuer"], value["trading_name"], value["code_cvm"])

    def to_json(self) -> dict[str, str]:
        """Return the company as JSON types."""
        return {
            "issuer": self.issuer,
            "trading_name": self.trading_name,
            "code_cvm": self.code_cvm,
        }


def is_issuer(text: object) -> bool:
    """Return whether a text is the root of a company's tickers."""
    return isinstance(text, str) and _ISSUER.fullmatch(text) is not None


def question(call: Call, company: Company | None = None, page: int = 1) -> dict[str, Any]:
    """Return what is asked: the JSON object of a call.

    Args:
        call: which.
        company: none for the list of companies.
        page: number, from 1; used by paged calls.

    Raises:
        InvalidParameterError: The call needs a company, or the company lacks what the call needs.
    """
    paging: dict[str, Any] = {"pageNumber": page, "pageSize": PAGE_SIZE}
    if call is Call.LIST:
        return LANGUAGE | paging
    if company is None:
        raise InvalidParameterError(f"{call} must be asked of a company")

    if call is Call.SUPPLEMENT:
        return {"issuingCompany": company.issuer} | LANGUAGE
    name = "tradingName" if call is Call.CASH else "codeCVM"
    value = sent_name(company.trading_name) if call is Call.CASH else company.code_cvm
    if not value:
        raise InvalidParameterError(f"{company.issuer} must have a {name} for {call}, got none")
    return {name: value} | LANGUAGE | (paging if call is Call.CASH else {})


def sent_name(trading_name: str) -> str:
    """Return a trading name as it has to be sent: a "/" finds nothing, and is left out."""
    return " ".join(trading_name.replace("/", "").split())


def url_of(address: str, call: Call, asked: dict[str, Any]) -> str:
    """Return the URL of a question.

    Args:
        address: with ``{call}`` and ``{query}`` in it; see :func:`check_address`.
        call: which.
        asked: the JSON object; it is sent in base64.
    """
    text = json.dumps(asked, separators=(",", ":"))  # ASCII, whose base64 has no "/" and no "+"
    query = base64.b64encode(text.encode()).decode()
    return address.replace("{call}", call).replace("{query}", query)


def check_address(address: str) -> None:
    """Refuse an address that is not http(s), or lacks the places of call and question.

    Raises:
        InvalidParameterError: It is such an address.
    """
    is_web = urlsplit(address).scheme in ("http", "https")
    places = all(address.count(place) == 1 for place in ("{call}", "{query}"))
    if not is_web or not places or address.count("{") != 2:
        raise InvalidParameterError(
            "address must be http(s)://... with {call} and {query} in it once each, "
            f"got {address!r}"
        )
