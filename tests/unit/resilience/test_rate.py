"""The line: several windows at once, turns given back, and every kept turn within every window whatever happens."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import Gcra, SlidingWindow
from limited_vendors import Bucket, SlidingLog, Vendor

FOREVER = float("inf")
sizes = st.integers(min_value=1, max_value=5)
gaps = st.lists(st.integers(min_value=0, max_value=7), min_size=1, max_size=60)


def sliding(requests: float, per_s: float) -> RateLimit:
    return RateLimit(SlidingWindow(requests, per_s))


def test_all_at_once_and_then_none() -> None:
    limit = sliding(2, 10)
    assert [limit.admit(0, longest_wait_s=FOREVER) for _ in range(5)] == [0, 0, 10, 10, 20]


def test_the_window_slides() -> None:
    limit = sliding(2, 10)
    assert [limit.admit(now) for now in (0, 6, 9, 10, 15, 16)] == [0, 0, None, 0, None, 0]


def test_a_wait_that_is_too_long_takes_no_turn() -> None:
    limit = sliding(1, 10)
    limit.admit(0)
    assert [limit.admit(4, longest_wait_s=5) for _ in range(3)] == [None] * 3
    assert limit.retry_after_s(4) == 6
    assert limit.admit(4, longest_wait_s=6) == 6
    assert limit.retry_after_s(4) == 16


def test_without_windows_everything_goes() -> None:
    assert RateLimit().admit(0) == 0
    assert RateLimit().retry_after_s(0) == 0


@given(requests=sizes, per_s=sizes, gaps=gaps, patience=st.lists(st.integers(0, 10), min_size=60, max_size=60))
def test_the_impatient_take_nothing_from_the_others(
    requests: int, per_s: int, gaps: list[int], patience: list[int]
) -> None:
    limit, without_them = sliding(requests, per_s), sliding(requests, per_s)
    for now, longest in zip(accumulate(gaps), patience, strict=False):
        expected = limit.retry_after_s(now)
        wait = limit.admit(now, longest_wait_s=longest)
        assert wait == (expected if expected <= longest else None)
        if wait is not None:
            assert without_them.admit(now, longest_wait_s=FOREVER) == wait


# --- Several windows ----------------------------------------------------------------------------------------------


def test_all_windows_admit_or_none_is_charged() -> None:
    limit = RateLimit(SlidingWindow(10, 1.0), SlidingWindow(12, 86_400.0))
    assert sum(limit.admit(0.0) is not None for _ in range(20)) == 10
    assert sum(limit.admit(1.0) is not None for _ in range(20)) == 2
    assert limit.retry_after_s(1.0) == 86_399.0
    # The eighteen refused charged nothing to the second either: it has eight left.
    assert limit._windows[0].next_turn(1.0, 8.0) == 1.0
    assert limit._windows[0].next_turn(1.0, 9.0) == 2.0


# --- Large requests -----------------------------------------------------------------------------------------------


def test_a_large_request_is_not_starved_by_small_ones() -> None:
    """Once it waits it has its turn, however many small ones come after."""
    limit = sliding(5, 1.0)
    for _ in range(3):
        limit.admit(0.0)
    assert limit.admit(0.1, 5.0, longest_wait_s=10) == pytest.approx(0.9)
    later = [limit.admit(0.1 + at / 100, 1.0, longest_wait_s=10) for at in range(10)]
    assert all(wait is not None and 0.1 + at / 100 + wait >= 1.99 for at, wait in enumerate(later))


def test_turns_in_the_same_millisecond_are_each_counted() -> None:
    limit = sliding(100, 60.0)
    assert sum(limit.admit(5.001) is not None for _ in range(1000)) == 100


# --- Given back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [SlidingWindow(1, 1.0), Gcra(1, 1.0)], ids=["sliding", "bucket"])
def test_a_turn_given_back_goes_to_the_next_and_moves_nobody(window: SlidingWindow | Gcra) -> None:
    limit = RateLimit(window)
    assert [limit.admit(0.0, longest_wait_s=9) for _ in range(4)] == [0, 1, 2, 3]
    limit.give_back(1.0)
    assert limit.admit(0.5, longest_wait_s=9) == 0.5
    assert limit.admit(0.5, longest_wait_s=9) == 3.5


@pytest.mark.parametrize("window", [SlidingWindow(1, 1.0), Gcra(1, 1.0)], ids=["sliding", "bucket"])
def test_a_hundred_waiters_that_give_up_leave_nothing_behind(window: SlidingWindow | Gcra) -> None:
    limit = RateLimit(window)
    waits = [limit.admit(0.0, longest_wait_s=FOREVER) for _ in range(101)]
    for wait in waits[1:]:
        limit.give_back(wait or 0.0)
    assert limit.retry_after_s(0.5) == 0.5
    assert [limit.admit(0.5, longest_wait_s=9) for _ in range(3)] == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("window", [SlidingWindow(1, 1.0), Gcra(1, 1.0)], ids=["sliding", "bucket"])
def test_a_turn_that_came_to_nothing_at_once_can_be_had_again(window: SlidingWindow | Gcra) -> None:
    limit = RateLimit(window)
    assert limit.admit(0.0) == 0
    limit.give_back(0.0)
    assert limit.admit(0.2) == 0
    assert limit.admit(0.3) is None


def test_of_a_large_turn_given_back_the_rest_stays() -> None:
    limit = sliding(5, 1.0)
    limit.admit(0.0, 5.0)
    assert limit.admit(0.0, 4.0, longest_wait_s=2) == 1
    limit.give_back(1.0, 4.0)
    assert [limit.admit(0.5, 2.0, longest_wait_s=2) for _ in range(2)] == [0.5, 0.5]
    assert limit.admit(0.5, 1.0, longest_wait_s=2) == 0.5  # what the window itself had left
    assert limit.admit(0.5, 1.0, longest_wait_s=1) is None


def test_a_bucket_takes_nothing_back_that_later_turns_would_have_overflowed() -> None:
    """Without the first the bucket would have been full in between: all but a tenth of it would have been lost."""
    limit, vendor = RateLimit(Gcra(1, 1.0, burst=3)), Bucket(1, 1.0, 3)
    assert [limit.admit(now) for now in (0.0, 0.9, 1.8)] == [0, 0, 0]
    limit.give_back(0.0)
    later = [1.8 for _ in range(3) if limit.admit(1.8) is not None]
    assert all(vendor.takes(turn) for turn in (0.9, 1.8, *later))


def test_a_turn_that_passed_unused_counts_no_longer() -> None:
    limit = sliding(2, 10.0)
    assert [limit.admit(now, longest_wait_s=9) for now in (0.0, 3.0, 4.0)] == [0, 0, 6]
    limit.give_back(10.0)
    assert [limit.admit(now) for now in (11.0, 12.0)] == [0, None]


class Line(RuleBasedStateMachine):
    """Requests of any cost come, wait, and give turns back, before their time and after; vendors judge the rest."""

    @initialize(
        shape=st.sampled_from(["sliding", "bucket", "both"]),
        amount=st.integers(3, 8),
        burst=st.integers(3, 6),
    )
    def begin(self, shape: str, amount: int, burst: int) -> None:
        self.now = 0.0
        self.kept: list[tuple[float, float]] = []
        self.vendors: list[Vendor] = []
        self.amount, self.burst, self.shape = amount, burst, shape
        windows: list[SlidingWindow | Gcra] = []
        if shape != "bucket":
            windows.append(SlidingWindow(amount, 8.0))
        if shape != "sliding":
            windows.append(Gcra(amount, 4.0, burst=burst))
        self.limit = RateLimit(*windows)

    @rule(cost=st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.0, 3.0]), patience=st.sampled_from([0.0, 1.0, 5.0, 50.0]))
    def ask(self, cost: float, patience: float) -> None:
        expected = self.limit.retry_after_s(self.now, cost)
        wait = self.limit.admit(self.now, cost, longest_wait_s=patience)
        assert wait == (expected if expected <= patience else None)
        if wait is not None:
            self.kept.append((self.now + wait, cost))

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0, 9.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.kept:
            turn, cost = self.kept.pop(data.draw(st.integers(0, len(self.kept) - 1)))
            self.limit.give_back(turn, cost)

    @invariant()
    def is_within_every_window(self) -> None:
        kept = sorted(self.kept)
        if self.shape != "bucket":
            vendor = SlidingLog(self.amount, 8.0)
            assert all(vendor.takes(turn, cost) for turn, cost in kept)
        if self.shape != "sliding":
            bucket = Bucket(self.amount, 4.0, self.burst)
            assert all(bucket.takes(turn, cost) for turn, cost in kept)


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=80, stateful_step_count=40)
