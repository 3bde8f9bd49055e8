"""The shapes against vendors that enforce what they publish: never a refusal, and next to nothing left unused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import Gcra, SlidingWindow, Window
from limited_vendors import Bucket, FixedWindows, SlidingLog, Vendor, vendors

FOREVER = float("inf")
Make = Callable[[float, float], Window]

SAFE: dict[str, Make] = {"sliding": SlidingWindow, "paced": Gcra.paced}
amounts = st.integers(min_value=1, max_value=40)
lengths = st.floats(min_value=0.1, max_value=100)
shares = st.floats(min_value=0, max_value=0.999)
gaps = st.lists(st.floats(min_value=0, max_value=0.5), min_size=1, max_size=120)
costs = st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.75]), min_size=120, max_size=120)


def turns_of(limit: RateLimit, times: list[float], spent: list[float] | None = None) -> list[float]:
    waits = [
        limit.admit(now, cost, longest_wait_s=FOREVER)
        for now, cost in zip(times, spent or [1.0] * len(times), strict=False)
    ]
    assert None not in waits
    return [now + (wait or 0.0) for now, wait in zip(times, waits, strict=True)]


def saturate(window: Window, seconds: float, cost: float = 1.0) -> list[float]:
    """Ask for the next turn as soon as the last one has begun; return all within so many seconds."""
    limit, now, turns = RateLimit(window), 0.0, list[float]()
    while True:
        wait = limit.admit(now, cost, longest_wait_s=FOREVER)
        assert wait is not None
        now += wait
        if now >= seconds:
            return turns
        turns.append(now)


# --- Never over ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SAFE)
@given(amount=amounts, per_s=lengths, gaps=gaps, phase=shares)
def test_no_vendor_ever_refuses(shape: str, amount: int, per_s: float, gaps: list[float], phase: float) -> None:
    times = list(accumulate(gap * per_s for gap in gaps))
    turns = turns_of(RateLimit(SAFE[shape](amount, per_s)), times)
    for vendor in vendors(amount, per_s, phase * per_s):
        assert all(vendor.takes(turn) for turn in turns)
    assert all(one <= other + 1e-9 * per_s for one, other in pairwise(turns))


@given(amount=st.floats(2.75, 50), per_s=lengths, gaps=gaps, spent=costs, phase=shares)
def test_fractions_of_points_are_never_overspent(
    amount: float, per_s: float, gaps: list[float], spent: list[float], phase: float
) -> None:
    times = list(accumulate(gap * per_s for gap in gaps))
    turns = turns_of(RateLimit(SlidingWindow(amount, per_s)), times, spent)
    for vendor in vendors(amount, per_s, phase * per_s):
        assert all(vendor.takes(turn, cost) for turn, cost in zip(turns, spent, strict=False))


@given(amount=st.integers(100, 400), per_s=lengths, gaps=gaps, spent=costs, phase=shares)
def test_a_paced_bucket_keeps_fractions_too(
    amount: int, per_s: float, gaps: list[float], spent: list[float], phase: float
) -> None:
    """Where its burst holds the largest cost, and the step divides them all."""
    times = list(accumulate(gap * per_s / amount for gap in gaps))
    turns = turns_of(RateLimit(Gcra.paced(amount, per_s, step=0.25, loss=0.03)), times, spent)
    for vendor in vendors(amount, per_s, phase * per_s):
        assert all(vendor.takes(turn, cost) for turn, cost in zip(turns, spent, strict=False))


@given(amount=amounts, per_s=lengths, burst=amounts, gaps=gaps)
def test_a_bucket_with_the_vendors_own_burst_is_the_vendors_bucket(
    amount: int, per_s: float, burst: int, gaps: list[float]
) -> None:
    times = list(accumulate(gap * per_s for gap in gaps))
    turns = turns_of(RateLimit(Gcra(amount, per_s, burst=burst)), times)
    vendor = Bucket(amount, per_s, burst)
    assert all(vendor.takes(turn) for turn in turns)
    ours, exact = RateLimit(Gcra(amount, per_s, burst=burst)), Bucket(amount, per_s, burst)
    for now in times:  # and without waiting, it lets go whatever the vendor would have taken
        if (ours.admit(now) is not None) is not exact.takes(now):
            assert exact.level == pytest.approx(1) or exact.level == pytest.approx(0, abs=1e-6)  # up to rounding
            break


def test_a_full_burst_is_no_shape_for_a_vendor_that_counts_in_windows() -> None:
    turns = saturate(Gcra(100, 10), 10.0)
    vendor = FixedWindows(100, 10)
    assert not all(vendor.takes(turn) for turn in turns)
    assert len(turns) == pytest.approx(200, abs=1)


@given(
    amount=st.integers(2, 40),
    per_s=lengths,
    gaps=gaps,
    jitters=st.lists(shares, min_size=120, max_size=120),
    phase=shares,
)
@pytest.mark.parametrize("shape", SAFE)
def test_a_margin_covers_a_way_of_varying_length(
    shape: str, amount: int, per_s: float, gaps: list[float], jitters: list[float], phase: float
) -> None:
    margin = per_s * 0.02
    make = SlidingWindow if shape == "sliding" else Gcra.paced
    times = list(accumulate(gap * per_s / amount for gap in gaps))
    turns = turns_of(RateLimit(make(amount, per_s, margin_s=margin)), times)
    arrivals = sorted(turn + margin * jitter for turn, jitter in zip(turns, jitters, strict=False))
    for vendor in (FixedWindows(amount, per_s, phase * per_s), SlidingLog(amount, per_s)):
        assert all(vendor.takes(arrival) for arrival in arrivals)


@given(amount=st.integers(4, 40), per_s=lengths, gaps=gaps, jitters=st.lists(shares, min_size=120, max_size=120))
def test_a_margin_covers_it_for_buckets_as_well(
    amount: int, per_s: float, gaps: list[float], jitters: list[float]
) -> None:
    margin = per_s * 0.02
    times = list(accumulate(gap * per_s / amount for gap in gaps))
    turns = turns_of(RateLimit(Gcra(amount, per_s, margin_s=margin)), times)
    vendor = Bucket(amount, per_s)
    assert all(vendor.takes(at) for at in sorted(t + margin * j for t, j in zip(turns, jitters, strict=False)))


# --- Next to nothing left unused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [1, 2, 7, 34, 100, 900, 5000])
@pytest.mark.parametrize("phase", [0.0, 0.37])
@pytest.mark.parametrize("shape", ["sliding", "paced", "bucket"])
def test_saturated_it_takes_97_percent_of_what_the_vendor_gives(shape: str, amount: int, phase: float) -> None:
    windows = 12
    make: Make = {**SAFE, "bucket": Gcra}[shape]
    turns = saturate(make(amount, 10.0), windows * 10.0)
    assert len(turns) >= 0.97 * amount * windows
    asked: list[Vendor] = vendors(amount, 10.0, phase) if shape != "bucket" else [Bucket(amount, 10.0)]
    for vendor in asked:
        assert all(vendor.takes(turn) for turn in turns)


@given(amount=st.integers(1001, 3000), gap=st.floats(0.01, 3))
def test_a_large_window_is_kept_in_few_turns_and_loses_little(amount: int, gap: float) -> None:
    window = SlidingWindow(amount, 1.0)
    limit, now, turns = RateLimit(window), 0.0, list[float]()
    while now < 6.0:
        wait = limit.admit(now, longest_wait_s=FOREVER)
        assert wait is not None
        turns.append(now + wait)
        now += wait + gap / amount
    assert len(window._turns) <= 258 + 1
    vendor = SlidingLog(amount, 1.0)
    assert all(vendor.takes(turn) for turn in turns)
    assert len(turns) >= 0.97 * min(amount, amount / gap) * 6


def test_turns_kept_as_one_count_until_the_last_of_them_leaves() -> None:
    limit, vendor = RateLimit(SlidingWindow(2000, 1.0)), SlidingLog(2000, 1.0)
    turns = [0.0, *([0.0039] * 1999)]
    assert all(limit.admit(turn) == 0 for turn in turns)
    turns += [1.0 + at / 1000 for at in range(10) if limit.admit(1.0 + at / 1000) is not None]
    assert all(vendor.takes(turn) for turn in turns)
    assert turns[-1] == 1.009


def test_exactly_as_much_as_the_vendor_would_take_where_turns_are_kept_one_by_one() -> None:
    window, vendor = SlidingWindow(3, 10), SlidingLog(3, 10)
    limit = RateLimit(window)
    for now in (0, 1, 5, 6, 10, 11, 12, 15, 20, 30, 30, 30, 30):
        assert (limit.admit(float(now)) is not None) is vendor.takes(float(now))


# --- The reserve --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [SlidingWindow, Gcra], ids=["sliding", "bucket"])
def test_background_calls_leave_the_reserve(make: Callable[..., Window]) -> None:
    limit = RateLimit(make(10, 10.0, reserve=0.3))
    assert [limit.admit(0.0, is_background=True) for _ in range(9)] == [0.0] * 7 + [None] * 2
    assert [limit.admit(0.0) for _ in range(4)] == [0.0] * 3 + [None]


@given(reserve=st.floats(0.05, 0.9), gaps=gaps, amount=amounts)
def test_background_calls_never_hold_up_the_others_by_a_queue(reserve: float, gaps: list[float], amount: int) -> None:
    assume(amount * reserve >= 1)
    limit = RateLimit(SlidingWindow(amount, 1.0, reserve=reserve))
    for now in accumulate(gaps):
        while limit.admit(now, longest_wait_s=FOREVER, is_background=True) is not None:
            pass
        assert limit.retry_after_s(now) == 0 or limit.retry_after_s(now, is_background=True) > 0
        assert limit.retry_after_s(now) <= limit.retry_after_s(now, is_background=True)
    fresh = RateLimit(SlidingWindow(amount, 1.0, reserve=reserve))
    while fresh.admit(0.0, is_background=True) is not None:
        pass
    assert fresh.admit(0.0) == 0


def test_where_there_is_one_turn_background_calls_come_at_longer_distances() -> None:
    limit, now, turns = RateLimit(Gcra.paced(1, 1.0, reserve=0.5)), 0.0, 0
    while now < 100:
        turns += limit.admit(now, is_background=True) is not None
        now += limit.retry_after_s(now, is_background=True) or 0.001
    assert turns == pytest.approx(100 / 1.5, abs=1)
    assert RateLimit(SlidingWindow(1, 1.0, reserve=0.5)).admit(0.0, is_background=True) == 0


# --- Costs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [SlidingWindow(3, 1.0), Gcra(3, 1.0), Gcra.paced(3, 1.0)])
def test_what_is_larger_than_the_limit_is_refused_for_good(window: Window) -> None:
    limit = RateLimit(window)
    assert limit.admit(0.0, 4.0, longest_wait_s=1e9) is None
    assert limit.retry_after_s(0.0, 4.0) == FOREVER
    assert limit.admit(0.0) == 0


@pytest.mark.parametrize("make", [SlidingWindow, Gcra], ids=["sliding", "bucket"])
def test_a_million_fractions_leave_no_rounding_behind(make: Make) -> None:
    limit, now = RateLimit(make(0.3, 1.0)), 0.0
    for _ in range(100_000):
        now += limit.admit(now, 0.1, longest_wait_s=FOREVER) or 0.0
    assert now == pytest.approx(100_000 / 3, rel=1e-3)
