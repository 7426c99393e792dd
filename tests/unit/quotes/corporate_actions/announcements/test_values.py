"""Brazilian numbers, dates and the class that an ISIN names."""

from datetime import date
from typing import Any

import pytest

from b3shared.core.errors import InvalidAnnouncementsError
from b3shared.quotes.corporate_actions.announcements.values import (
    Field,
    class_of_isin,
    class_of_type,
    read_date,
    read_number,
)

FIELD = Field("TIMS", "GetListedSupplementCompany", "row 1.factor")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9.900,00000000000", 9900.0),
        ("99.900,00", 99900.0),
        ("0,10000000000", 0.1),
        ("300,00000000000", 300.0),
        ("58.130.517.165,22", 58130517165.22),
        ("1.234", 1234.0),
        ("1000", 1000.0),
        (" 0,17 ", 0.17),
        ("-0,5", -0.5),
        (3, 3.0),
        (0.25, 0.25),
    ],
)
def test_dots_part_thousands_and_the_comma_is_decimal(text: Any, number: float) -> None:
    assert read_number(text, FIELD) == number


@pytest.mark.parametrize(
    "text", ["", "9.9", "9,900.00", "1.23,4", ",5", "5,", "abc", "1e3", None, True, float("nan")]
)
def test_anything_else_is_an_error_with_company_call_field_and_value(text: Any) -> None:
    with pytest.raises(InvalidAnnouncementsError) as raised:
        read_number(text, FIELD)
    assert raised.value.message == (
        "TIMS GetListedSupplementCompany: row 1.factor must be a number such as "
        f"'9.900,00000000000', got {text!r}"
    )


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31/12/2021", date(2021, 12, 31)),
        ("31/12/9999", None),
        ("", None),
        (None, None),
        ("28/12/1995", date(1995, 12, 28)),
    ],
)
def test_a_date_is_read_and_one_that_is_not_set_is_none(text: str, day: date | None) -> None:
    assert read_date(text, FIELD) == day


@pytest.mark.parametrize("text", ["2021-12-31", "31/02/2021", "12/31/2021", "01/01/0001", 20210101])
def test_a_date_of_another_form_is_an_error(text: Any) -> None:
    with pytest.raises(InvalidAnnouncementsError, match="must be a date dd/mm/yyyy"):
        read_date(text, FIELD)


@pytest.mark.parametrize(
    ("isin", "share_class"),
    [
        ("BRABEVACNOR1", "ON"),
        ("BRPETRACNPR6", "PN"),
        ("BRUSIMACNPA6", "PNA"),
        ("BRCMIGACNPB0", "PNB"),
        ("BRKLBNCDAM18", "UNT"),
        ("BRBPACUNT006", "UNT"),
        ("BRBBASA04OR8", "ON"),
        ("BRMGLUR01OR4", None),
        ("US0378331005", None),
        (None, None),
    ],
)
def test_an_isin_names_the_class_of_shares_and_units(
    isin: str | None, share_class: str | None
) -> None:
    assert class_of_isin(isin) == share_class


def test_the_listing_segment_is_no_part_of_the_class() -> None:
    assert [class_of_type(text) for text in ("ON NM", "PNA   N1", "UNT")] == ["ON", "PNA", "UNT"]
