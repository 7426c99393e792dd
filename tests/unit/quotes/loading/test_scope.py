"""A period of the parameters becomes days of the calendar."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.quotes.loading.scope import period_start


@pytest.mark.parametrize(
    ("period", "start"),
    [("1y", date(2022, 12, 29)), ("18m", date(2022, 6, 29)), ("30d", date(2023, 11, 29))],
)
def test_a_period_counts_back_from_its_end(period: str, start: date) -> None:
    assert period_start(date(2023, 12, 28), period) == start


@given(st.dates(), st.from_regex(r"[1-9]\d{0,3}[dmy]", fullmatch=True))
def test_every_period_before_every_day_begins_on_a_valid_day(end: date, period: str) -> None:
    assert date.min <= period_start(end, period) <= end
