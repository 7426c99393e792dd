"""Dates are those of the exchange, whatever the machine's time zone."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from b3shared.core.clock import ZONE, today


@pytest.fixture(
    params=["Pacific/Kiritimati", "Pacific/Pago_Pago"]
)  # 25 hours apart: one of the two has another day
def machine_elsewhere(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_today_is_the_exchanges_day(machine_elsewhere: None) -> None:
    before, found, after = _brasilia(), today(), _brasilia()
    assert before <= found <= after


def test_the_week_of_a_moment_is_the_exchanges() -> None:
    assert datetime(2024, 1, 1, 2, 59, tzinfo=UTC).astimezone(ZONE).isocalendar()[:2] == (2023, 52)
    assert datetime(2024, 1, 1, 3, 0, tzinfo=UTC).astimezone(ZONE).isocalendar()[:2] == (2024, 1)


def _brasilia():
    """Brazil has had no summer time since 2019: three hours behind UTC."""
    return (datetime.now(UTC) - timedelta(hours=3)).date()
