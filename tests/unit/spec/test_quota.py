from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.spec.provider import QuotaReset
from fairlead.spec.quota import seconds_to_reset

moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def after(reset: QuotaReset, moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() + seconds_to_reset(reset, now=moment.timestamp()), UTC)


@pytest.mark.parametrize(
    ("moment", "day", "month"),
    [
        ("2026-08-22T13:14:15", "2026-08-23", "2026-09-01"),
        ("2026-12-31T23:59:59", "2027-01-01", "2027-01-01"),
        ("2028-02-28T00:00:00", "2028-02-29", "2028-03-01"),
        ("2026-01-31T12:00:00", "2026-02-01", "2026-02-01"),
        ("2026-03-01T00:00:00", "2026-03-02", "2026-04-01"),
    ],
)
def test_the_next_reset(moment: str, day: str, month: str) -> None:
    now = datetime.fromisoformat(f"{moment}+00:00")
    assert after(QuotaReset.MIDNIGHT_UTC, now) == datetime.fromisoformat(f"{day}T00:00:00+00:00")
    assert after(QuotaReset.MONTH_UTC, now) == datetime.fromisoformat(f"{month}T00:00:00+00:00")


@given(moments)
def test_the_reset_is_ahead_and_not_too_far(moment: datetime) -> None:
    now = moment.timestamp()
    day = seconds_to_reset(QuotaReset.MIDNIGHT_UTC, now=now)
    month = seconds_to_reset(QuotaReset.MONTH_UTC, now=now)
    assert 0 < day <= 86_400
    assert day <= month <= 31 * 86_400
