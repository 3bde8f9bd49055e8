"""The fair line: no key waits for another that is blocked or floods it, and no large request starves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.resilience.fair import FairLine, Place
from fairlead.resilience.keyed import KeyedLimit
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import Gcra, SlidingWindow
from limited_vendors import SlidingLog

LONG = 1e6


def slow(per_s: float = 1.0, burst: float = 1.0) -> RateLimit:
    return RateLimit(Gcra(per_s, 1.0, burst=burst))


def drain(line: FairLine, now: float = 0.0) -> list[tuple[float, Place]]:
    """Let the time pass from one event to the next until nobody is left."""
    went: list[tuple[float, Place]] = []
    while (at := line.next_at(now)) is not None:
        now = max(now, at)
        went += [(now, place) for place in line.serve(now)]
    return went


def joined(line: FairLine, key: str, now: float = 0.0, cost: float = 1.0, patience: float = LONG) -> Place:
    place = line.join(key, now, cost, longest_wait_s=patience)
    assert place is not None
    return place


def test_who_may_go_goes_at_once() -> None:
    line = FairLine(slow(), KeyedLimit(Gcra(1, 1.0)))
    assert joined(line, "a").has_turn
    assert line.next_at(0.0) is None
    assert len(line) == 0


def test_a_key_that_its_own_limit_blocks_delays_no_other() -> None:
    line = FairLine(slow(100), KeyedLimit(Gcra(1, 60.0)))
    for _ in range(5):
        joined(line, "A")
    assert joined(line, "B", 0.1).has_turn
    assert line.next_at(0.1) == pytest.approx(60)
    went = drain(line)
    assert [at for at, _ in went] == pytest.approx([60, 120, 180, 240])
    assert {place.key for _, place in went} == {"A"}


def test_a_flood_of_one_key_does_not_keep_another() -> None:
    line = FairLine(slow())
    flood = [joined(line, "A") for _ in range(100)]
    single = joined(line, "B")
    went = drain(line)
    assert single.has_turn
    assert [place for _, place in went].index(single) <= 1
    assert [place for _, place in went if place.key == "A"] == flood[1:]  # and A keeps its own order


def test_a_large_request_at_the_head_is_waited_for() -> None:
    line = FairLine(slow(1.0, burst=5.0))
    joined(line, "small", cost=5.0)
    large = joined(line, "large", 0.0, 5.0)
    went: list[Place] = []
    now = 0.0
    while not large.is_over:
        joined(line, "small", now)
        now += 0.5
        went += line.serve(now)
    assert now <= 5.5
    assert large.has_turn


def test_keys_share_by_points_not_by_requests() -> None:
    line = FairLine(slow(10.0, burst=4.0))
    for _ in range(200):
        joined(line, "small", cost=1.0)
        joined(line, "large", cost=4.0)
    points: Counter[str] = Counter()
    for at, place in drain(line):
        if at <= 10:
            points[str(place.key)] += int(place.cost)
    assert points["small"] == pytest.approx(points["large"], rel=0.1)


def test_who_cannot_go_in_time_is_refused_or_dropped() -> None:
    line = FairLine(slow())
    joined(line, "a")
    assert line.join("b", 0.0, longest_wait_s=0.5) is None
    first, second = joined(line, "b", patience=1.5), joined(line, "c", patience=1.5)
    went = [place for _, place in drain(line)]
    assert went == [first, second]
    assert (first.has_turn, second.has_turn) == (True, False)
    assert line.join("d", 9.0, cost=2.0, longest_wait_s=LONG) is None  # more than it ever holds
    assert len(line) == 0


def test_one_that_could_not_go_in_time_holds_up_nobody() -> None:
    line = FairLine(slow(1.0, burst=50.0))
    joined(line, "a", cost=50.0)
    impatient = joined(line, "b", cost=1.0, patience=1.0)
    large = joined(line, "c", cost=40.0, patience=40.5)  # possible alone, and not behind the other
    small = joined(line, "d", cost=1.0, patience=3.0)
    drain(line)
    assert (impatient.has_turn, large.has_turn, small.has_turn) == (True, False, True)


def test_who_leaves_is_passed_over_and_costs_nothing() -> None:
    keyed = KeyedLimit(Gcra(1, 10.0))
    line = FairLine(slow(), keyed)
    joined(line, "x")
    gone, held, stays = joined(line, "a"), joined(line, "a"), joined(line, "b")
    line.leave(held)
    line.leave(gone)
    line.leave(gone)
    ((at, place),) = drain(line)
    assert (at, place) == (1.0, stays)
    assert keyed.retry_after_s("a", 1.0) == 0


def test_keys_that_have_gone_are_forgotten_in_a_line_that_never_ends() -> None:
    line = FairLine(slow(100.0))
    for at in range(5000):
        now = at / 100
        joined(line, f"key-{at}", now)
        joined(line, "always", now)
        line.serve(now)
    assert len(line._finished) <= len(line._waiting) <= 2600  # those who wait, as twice as many come as may go
    assert sum(place.key == "always" for _, place in drain(line, 50.0)) >= 2000


def test_newcomers_do_not_starve_a_key_that_was_there_before() -> None:
    """As many new keys as the limit lets through would be served for ever, if each went first."""
    line = FairLine(slow(10.0))
    joined(line, "first")
    old = [joined(line, "old") for _ in range(50)]
    for at in range(1, 200):
        joined(line, f"new-{at}", at / 10)
        line.serve(at / 10)
    assert sum(place.has_turn for place in old) >= 10  # a fair share, as ever more keys wait


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 0.4), st.sampled_from([1.0, 1.0, 2.0, 3.0]), st.floats(0, 20)),
        max_size=60,
    )
)
def test_no_window_is_overdrawn_and_everybody_ends(asked: list[tuple[str, float, float, float]]) -> None:
    line = FairLine(RateLimit(SlidingWindow(4, 1.0)), KeyedLimit(Gcra(3, 1.5)))
    now, places = 0.0, list[Place]()
    went: list[tuple[float, Place]] = []
    for key, gap, cost, patience in asked:
        now += gap
        went += [(now, place) for place in line.serve(now)]
        place = line.join(key, now, cost, longest_wait_s=patience)
        if place:
            places.append(place)
            went += [(now, place)] if place.is_over else []
    went += drain(line, now)
    assert all(place.is_over for place in places)
    assert len(line) == 0
    vendor = SlidingLog(4, 1.0)
    assert all(vendor.takes(at, place.cost) for at, place in went if place.has_turn)
    for key in "abc":
        own = [place for _, place in went if place.key == key and place.has_turn]
        assert own == [place for place in places if place in own]  # its own order
