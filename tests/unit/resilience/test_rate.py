from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from fairlead.resilience.rate import RateLimit

FOREVER = float("inf")
sizes = st.integers(min_value=1, max_value=5)
gaps = st.lists(st.integers(min_value=0, max_value=7), min_size=1, max_size=60)


def test_all_at_once_and_then_none() -> None:
    limit = RateLimit(requests=2, per_s=10)
    assert [limit.admit(0, longest_wait_s=FOREVER) for _ in range(5)] == [0, 0, 10, 10, 20]


def test_the_window_slides() -> None:
    limit = RateLimit(requests=2, per_s=10)
    assert [limit.admit(now, longest_wait_s=0) for now in (0, 6, 9, 10, 15, 16)] == [0, 0, None, 0, None, 0]


def test_a_wait_that_is_too_long_takes_no_turn() -> None:
    limit = RateLimit(requests=1, per_s=10)
    limit.admit(0, longest_wait_s=0)
    assert [limit.admit(4, longest_wait_s=5) for _ in range(3)] == [None] * 3
    assert limit.retry_after_s(4) == 6
    assert limit.admit(4, longest_wait_s=6) == 6
    assert limit.retry_after_s(4) == 16


@given(requests=sizes, per_s=sizes, gaps=gaps)
def test_never_more_than_allowed_never_less_and_in_order(requests: int, per_s: int, gaps: list[int]) -> None:
    limit = RateLimit(requests=requests, per_s=per_s)
    starts: list[float] = []
    for now in accumulate(gaps):
        wait = limit.admit(now, longest_wait_s=FOREVER)
        assert wait is not None
        earliest = starts[-requests] + per_s if len(starts) >= requests else now
        assert now + wait == max(now, earliest)  # never less
        starts.append(now + wait)
    assert all(sum(begin <= start < begin + per_s for start in starts) <= requests for begin in starts)
    assert all(one <= other for one, other in pairwise(starts))


@given(requests=sizes, per_s=sizes, gaps=gaps, patience=st.lists(st.integers(0, 10), min_size=60, max_size=60))
def test_the_impatient_take_nothing_from_the_others(
    requests: int, per_s: int, gaps: list[int], patience: list[int]
) -> None:
    limit, without_them = RateLimit(requests=requests, per_s=per_s), RateLimit(requests=requests, per_s=per_s)
    for now, longest in zip(accumulate(gaps), patience, strict=False):
        expected = limit.retry_after_s(now)
        wait = limit.admit(now, longest_wait_s=longest)
        assert wait == (expected if expected <= longest else None)
        if wait is not None:
            assert without_them.admit(now, longest_wait_s=FOREVER) == wait


@given(
    requests=sizes,
    per_s=st.floats(min_value=0.01, max_value=60),
    gaps=st.lists(st.floats(min_value=0, max_value=10), min_size=1, max_size=60),
)
def test_fractions_of_seconds_hold_up_to_rounding(requests: int, per_s: float, gaps: list[float]) -> None:
    limit = RateLimit(requests=requests, per_s=per_s)
    starts = [now + (limit.admit(now, longest_wait_s=FOREVER) or 0.0) for now in accumulate(gaps)]
    for one, other in zip(starts, starts[requests:], strict=False):
        assert other - one >= per_s - 1e-9
