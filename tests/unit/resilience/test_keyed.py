"""A limit for each of many keys: as if each had its own, in little memory, and none in the way of another."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.resilience.keyed import KeyedLimit
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import Gcra

FOREVER = float("inf")
asked = st.lists(
    st.tuples(
        st.sampled_from("abcdef"), st.floats(0, 3), st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([0.0, 2.0, 60.0])
    ),
    max_size=80,
)


@given(asked)
def test_each_key_is_as_if_it_were_alone(asked: list[tuple[str, float, float, float]]) -> None:
    def shapes() -> tuple[Gcra, Gcra]:
        return Gcra(4, 2.0), Gcra(20, 60.0, burst=8)

    keyed, alone, now = KeyedLimit(*shapes()), {key: RateLimit(*shapes()) for key in "abcdef"}, 0.0
    for key, gap, cost, patience in asked:
        now += gap
        expected = alone[key].admit(now, cost, longest_wait_s=patience)
        assert keyed.retry_after_s(key, now, cost) <= patience or expected is None
        wait = keyed.admit(key, now, cost, longest_wait_s=patience)
        assert (wait is None) is (expected is None)
        assert wait == pytest.approx(expected)


def test_a_key_that_is_blocked_delays_no_other() -> None:
    keyed = KeyedLimit(Gcra(1, 60.0))
    assert [keyed.admit("A", 0.0, longest_wait_s=1e6) for _ in range(3)] == [0, 60, 120]
    assert keyed.admit("B", 0.0) == 0


def test_idle_keys_are_forgotten_and_their_room_is_used_again() -> None:
    keyed = KeyedLimit(Gcra(1, 1.0))
    for at in range(10_000):
        keyed.admit(f"key-{at}", at / 100)  # a hundred keys a second, each idle after one
    assert len(keyed) < 300
    assert len(keyed._keys) < 300
    keyed.admit("busy", 200.0, longest_wait_s=9)
    keyed.admit("busy", 200.0, longest_wait_s=9)
    assert keyed.forget_idle(200.5) > 0
    assert len(keyed) == 1
    assert keyed.retry_after_s("busy", 200.5) == pytest.approx(1.5)


def test_a_refused_new_key_leaves_no_trace() -> None:
    keyed = KeyedLimit(Gcra(1, 1.0))
    assert keyed.admit("a", 0.0, 2.0, longest_wait_s=FOREVER) is None
    assert keyed.retry_after_s("a", 0.0, 2.0) == FOREVER
    assert len(keyed) == 0


def test_a_margin_is_kept_across_forgetting() -> None:
    keyed = KeyedLimit(Gcra(2, 2.0, margin_s=0.5))
    keyed.admit("a", 0.0)
    assert keyed.forget_idle(1.2) == 0
    assert keyed.forget_idle(1.6) == 1


def test_a_turn_given_back_can_be_had_again_where_nobody_rests_on_it() -> None:
    keyed = KeyedLimit(Gcra(1, 1.0))
    assert keyed.admit("a", 0.0) == 0
    keyed.give_back("a", 0.0)
    assert [keyed.admit("a", 0.0, longest_wait_s=9) for _ in range(3)] == [0, 1, 2]
    keyed.give_back("a", 1.0)  # somebody has the turn after it
    assert keyed.retry_after_s("a", 0.0) == 3
    keyed.give_back("a", 2.0)
    assert keyed.retry_after_s("a", 0.0) == 2
    keyed.give_back("nobody", 0.0)


def test_a_key_takes_at_most_200_bytes() -> None:
    """With two windows, and the keys themselves: texts of 24 characters. The benchmark measures a million."""
    keyed = KeyedLimit(Gcra(10, 1.0), Gcra(1000, 86_400.0))
    gc.collect()
    tracemalloc.start()
    try:
        for at in range(100_000):
            keyed.admit(f"stripe-eu:tenant-{at:07d}", 0.0)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(keyed) == 100_000
    assert size / 100_000 <= 200
