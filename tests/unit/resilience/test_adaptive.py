from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidSettingError
from fairlead.resilience.adaptive import AdaptiveLimit, AdaptiveOptions


def limited(**options: int) -> AdaptiveLimit:
    return AdaptiveLimit(AdaptiveOptions(**options))


def play(limit: AdaptiveLimit, capacity: int, rounds: int, *, base_s: float = 0.1, now: float = 0.0) -> list[int]:
    """Keep the limit full; the vendor serves `capacity` at once, and the rest of the load waits its turn there."""
    chance = random.Random(1)  # noqa: S311  # a load, not a secret
    seen = []
    for _ in range(rounds):
        in_flight = limit.limit
        seconds = base_s * max(1.0, in_flight / capacity) * chance.uniform(0.9, 1.1)
        now += seconds
        for _ in range(in_flight):
            limit.record(seconds, now=now, in_flight=in_flight, is_drop=False)
        seen.append(limit.limit)
    return seen


@pytest.mark.parametrize("capacity", [10, 40, 100])
@pytest.mark.parametrize("initial", [5, 40, 100])
def test_it_finds_what_the_vendor_serves(capacity: int, initial: int) -> None:
    """A little more than that: what is on the way counts too."""
    seen = play(limited(initial=initial, max_limit=1000), capacity, 1200)[-300:]
    assert 0.8 * capacity <= sum(seen) / len(seen) <= 2.5 * capacity


def test_it_follows_a_vendor_that_serves_less() -> None:
    limit = limited(max_limit=1000)
    before = play(limit, 100, 2000)[-500:]
    after = play(limit, 20, 2000, now=1e6)[-500:]
    assert sum(before) / 500 > 80
    assert sum(after) / 500 < 50


def test_a_vendor_whose_answers_take_longer_for_another_reason_is_measured_anew() -> None:
    limit = limited(max_limit=1000)
    play(limit, 1000, 30)
    before = limit.limit
    seen = play(limit, 1000, 1500, base_s=0.5, now=1e6)
    assert limit.empty_s == pytest.approx(0.5, rel=0.1)
    assert seen[-1] > before


def test_it_is_drained_to_measure_and_then_goes_on_where_it_was() -> None:
    limit = limited(initial=100)
    for _ in range(20):
        limit.record(0.1, now=0, in_flight=10, is_drop=False)
    limit.record(0.1, now=31, in_flight=100, is_drop=False)
    assert limit.limit == 50
    limit.record(9.0, now=31.1, in_flight=80, is_drop=False)  # sent before: it says nothing
    for _ in range(9):
        assert limit.record(0.2, now=33, in_flight=50, is_drop=False) == 50
    assert limit.record(0.2, now=33, in_flight=50, is_drop=False) == 100
    assert limit.empty_s == pytest.approx(0.2)


def test_a_limit_that_nobody_reaches_does_not_grow() -> None:
    limit = limited(initial=20)
    for at in range(1000):
        limit.record(0.1, now=at, in_flight=9, is_drop=False)
    assert limit.limit == 20


def test_it_grows_by_a_part_of_its_root_in_the_time_of_one_answer() -> None:
    limit = limited(initial=100, max_limit=1000)
    for at in range(100):
        limit.record(0.1, now=at, in_flight=100, is_drop=False)
    assert limit.limit == pytest.approx(102, abs=1)


def test_a_drop_cuts_it_at_once_and_all_drops_of_a_moment_but_once() -> None:
    limit = limited(initial=100)
    for _ in range(50):
        limit.record(1.0, now=5.0, in_flight=100, is_drop=True)
    assert limit.limit == 70
    limit.record(1.0, now=6.0, in_flight=100, is_drop=True)
    assert limit.limit == 49


def test_what_is_dropped_teaches_nothing_about_latency() -> None:
    limit = limited()
    limit.record(0.1, now=0, in_flight=1, is_drop=False)
    limit.record(60.0, now=1, in_flight=1, is_drop=True)
    assert limit.recent_s == pytest.approx(0.1)


def test_a_first_answer_that_was_lucky_does_not_decide() -> None:
    limit = limited(initial=20)
    for at in range(200):
        limit.record(0.1 if at else 0.001, now=at / 20, in_flight=20, is_drop=False)
    assert limit.limit > 20


@given(
    steps=st.lists(
        st.tuples(st.floats(min_value=0, max_value=100), st.integers(min_value=0, max_value=50), st.booleans())
    )
)
def test_whatever_happens_it_stays_within_its_bounds(steps: list[tuple[float, int, bool]]) -> None:
    limit = limited(initial=10, min_limit=3, max_limit=12)
    for at, (seconds, in_flight, is_drop) in enumerate(steps):
        assert limit.record(seconds, now=at * 10, in_flight=in_flight, is_drop=is_drop) == limit.limit
        assert 3 <= limit.limit <= 12


@pytest.mark.parametrize("options", [{"min_limit": 0}, {"min_limit": 21}, {"max_limit": 19}])
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidSettingError, match=name):
        AdaptiveOptions(**options)
