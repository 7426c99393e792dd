"""Reads the values of the exchange's answers: Brazilian numbers, dates and share classes."""

import math
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from b3shared.core.errors import InvalidAnnouncementsError

NOT_SET = "31/12/9999"
"""The date that the exchange writes where it has not set one yet."""

FIRST_YEAR = 1900

_NUMBER = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?")
_DATE = re.compile(r"(\d{2})/(\d{2})/(\d{4})")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_SHARES = re.compile(r"BR[A-Z0-9]{4}A[A-Z0-9]{2}(OR|P[RA-H])[0-9]")
_UNITS = re.compile(r"BR[A-Z0-9]{4}(CDAM[A-Z0-9]|UNT[A-Z0-9]{2})[0-9]")
_CLASSES = {"OR": "ON", "PR": "PN"} | {f"P{letter}": f"PN{letter}" for letter in "ABCDEFGH"}


@dataclass(frozen=True)
class Field:
    """Where a value stands, for errors.

    Attributes:
        issuer: root of four letters.
        call: name of the exchange's call.
        name: of the field, with its row.
    """

    issuer: str
    call: str
    name: str = ""

    def of(self, name: str) -> "Field":
        """Return the place of a field below this one."""
        return replace(self, name=f"{self.name}.{name}" if self.name else name)

    def error(self, allowed: str, value: object) -> InvalidAnnouncementsError:
        """Return the error of a value that is not what is allowed."""
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
        name = f" {self.name}" if self.name else ""
        return InvalidAnnouncementsError(
            f"{self.issuer} {self.call}:{name} must be {allowed}, got {shown}",
            issuer=self.issuer,
            call=self.call,
            field=self.name,
        )


def read_number(value: Any, field: Field) -> float:
    """Return a Brazilian number: dots between thousands, a decimal comma.

    Raises:
        InvalidAnnouncementsError: It is something else; ``9.9`` is refused, not taken for 99.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    text = value.strip() if isinstance(value, str) else ""
    if not _NUMBER.fullmatch(text):
        raise field.error("a number such as '9.900,00000000000'", value)
    return float(text.replace(".", "").replace(",", "."))


def read_date(value: Any, field: Field) -> date | None:
    """Return a date written dd/mm/yyyy; None if it is empty or not set yet (31/12/9999).

    Raises:
        InvalidAnnouncementsError: It is something else.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", NOT_SET)):
        return None
    found = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        day = date(int(found[3]), int(found[2]), int(found[1])) if found else None
    except ValueError:
        day = None
    if day is None or day.year < FIRST_YEAR:
        raise field.error("a date dd/mm/yyyy", value)
    return day


def read_text(value: Any, field: Field) -> str:
    """Return a text that is not empty, without spaces around it.

    Raises:
        InvalidAnnouncementsError: It is something else.
    """
    if not isinstance(value, str) or not value.strip():
        raise field.error("a text", value)
    return value.strip()


def read_optional(value: Any, field: Field) -> str | None:
    """Return a text without spaces around it; None if it is missing or empty.

    Raises:
        InvalidAnnouncementsError: It is something else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return read_text(str(value) if type(value) is int else value, field)


def read_isin(value: Any, field: Field) -> str | None:
    """Return an ISIN; None if it is missing or empty.

    Raises:
        InvalidAnnouncementsError: It is something else.
    """
    isin = read_optional(value, field)
    if isin is not None and not _ISIN.fullmatch(isin):
        raise field.error("an ISIN such as 'BRPETRACNPR6'", value)
    return isin


def class_of_type(text: str) -> str:
    """Return the share class of ``typeStock``, which may have the listing segment behind it."""
    return text.split()[0].upper()


def class_of_isin(isin: str | None) -> str | None:
    """Return the share class that an ISIN names: ON, PN, PNA, ..., UNT; None if it names none."""
    if isin is None:
        return None
    if found := _SHARES.fullmatch(isin):
        return _CLASSES[found[1]]
    return "UNT" if _UNITS.fullmatch(isin) else None
