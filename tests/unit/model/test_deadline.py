from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.deadline import Deadline

seconds = st.integers(min_value=0, max_value=10**6).map(float)  # whole, so that sums are exact


def test_a_deadline_passes() -> None:
    deadline = Deadline.after(10, now=100)
    assert [deadline.remaining(now) for now in (100, 109, 110, 111)] == [10, 1, 0, 0]
    assert [deadline.is_past(now) for now in (100, 109.9, 110, 111)] == [False, False, True, True]


def test_a_wait_must_leave_time_for_something() -> None:
    deadline = Deadline.after(10, now=0)
    assert deadline.allows(9.9, now=0)
    assert not deadline.allows(10, now=0)
    assert not deadline.allows(0, now=10)


@given(seconds, seconds, seconds)
def test_what_is_allowed_ends_in_time(length: float, now: float, wait: float) -> None:
    deadline = Deadline.after(length, now=0)
    assert deadline.allows(wait, now) == (deadline.remaining(now) > wait)
    assert deadline.is_past(now) == (deadline.remaining(now) == 0)
