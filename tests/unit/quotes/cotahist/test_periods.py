"""A file's name states its period, and few files cover the sessions asked for."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.clock import today
from b3shared.core.errors import (
    InvalidParameterError,
)
from b3shared.quotes.calendar import sessions
from b3shared.quotes.cotahist.periods import covering, named_period, period_name, period_of


@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("COTAHIST_A1986.ZIP", "1986-01-01 to 1986-12-31"),
        ("COTAHIST.A2000", "2000-01-01 to 2000-12-31"),
        ("cotahist_m022020.zip", "2020-02-01 to 2020-02-29"),
        ("COTAHIST_D04022022.TXT.zip", "2022-02-04"),
        ("COTAHIST_EXAMPLE_17042026.TXT", "None"),
        ("quotes.zip", "None"),
    ],
)
def test_the_name_states_the_period(name: str, period: str) -> None:
    assert str(named_period(name)) == period


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("COTAHIST_D20230301.TXT", "COTAHIST_D01032023.TXT"),
        ("cotahist_d20231231.zip", "COTAHIST_D31122023.ZIP"),
        ("cotahist_m202302.txt", "COTAHIST_M022023.TXT"),
        ("COTAHIST.A2023", "COTAHIST_A2023.ZIP"),
    ],
)
def test_a_name_with_the_year_first_is_the_same_period(name: str, usual: str) -> None:
    assert named_period(name) == named_period(usual) is not None


@given(st.dates(date(1986, 1, 1), date(2099, 12, 31)))
def test_the_name_of_a_day_is_unambiguous(day: date) -> None:
    for form in ("%d%m%Y", "%Y%m%d"):
        period = named_period(f"COTAHIST_D{day:{form}}.TXT")
        assert period is not None
        assert (period.first, period.last) == (day, day)
    for form in ("%m%Y", "%Y%m"):
        month = named_period(f"COTAHIST_M{day:{form}}.TXT")
        assert month is not None
        assert month.first == day.replace(day=1)


def names(days: list[date]) -> list[str]:
    return [period_name(period) for period in covering(days)]


def test_few_days_are_daily_files_and_many_are_monthly_or_annual_ones() -> None:
    march = sessions(date(2020, 3, 1), date(2020, 3, 31)).tolist()
    quarter = sessions(date(2020, 1, 1), date(2020, 3, 31)).tolist()
    assert names(march[:2]) == ["D02032020", "D03032020"]
    assert names(march) == ["M032020"]
    assert names(quarter) == ["A2020"]
    assert names([*march, date(2021, 1, 4)]) == ["M032020", "D04012021"]
    assert names([]) == []
    month = sessions(today().replace(day=1), today()).tolist()
    assert all(name.startswith("D") for name in names(month)), (
        "the month that is going on has no file of its own"
    )


@pytest.mark.parametrize("name", ["A2020", "M022020", "D29022020"])
def test_a_period_has_one_name(name: str) -> None:
    assert period_name(period_of(name)) == name


@pytest.mark.parametrize(
    "name", ["", "A20201", "M132020", "D31022020", "a2020", "COTAHIST_A2020", "../A2020"]
)
def test_an_invalid_period_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="period"):
        period_of(name)
