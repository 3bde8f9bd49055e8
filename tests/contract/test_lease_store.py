"""What every store of leases does. Its time is the test's own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf

import pytest

from fairlead.storage.leases import LONGEST_S, MEMORY_S, Ask, Grant, LeaseStore, Report, Span
from fairlead.storage.redis_state import RedisLeases
from fairlead.testing.clock import FakeClock
from memory_leases import MemoryLeases
from redis_server import PROGRAMS, RedisServer
from shared_stores import client_of

TEN = (Span(10, 1.0),)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=("memory", *PROGRAMS))
def store(request: pytest.FixtureRequest, clock: FakeClock, servers: Callable[[str], RedisServer]) -> LeaseStore:
    if request.param == "memory":
        return MemoryLeases(clock.wall)
    return RedisLeases(client_of(servers(request.param)), "t", now=clock.wall)


async def ask(
    store: LeaseStore, waiting: float, *reports: Report, process: str = "a", least: float = 1, ahead: float = 0
) -> Grant:
    wanted = Ask(process=process, reports=reports, least=least, waiting=waiting, ahead=ahead, least_s=0.01)
    return await store.lease("k", TEN, wanted)


async def test_what_is_free_is_granted_at_once(store: LeaseStore) -> None:
    grant = await ask(store, 4)
    assert (grant.points, grant.starts_in_s) == (4, 0)
    assert grant.lasts_s >= 0.01


async def test_a_lease_is_longer_while_more_than_half_is_left(store: LeaseStore) -> None:
    assert (await ask(store, 5)).lasts_s == pytest.approx(0.5)
    assert (await ask(store, 1)).lasts_s == pytest.approx(0.015)


async def test_no_more_is_granted_than_the_limit(store: LeaseStore) -> None:
    assert (await ask(store, 25)).points == 10
    later = await ask(store, 25)
    assert later.points == 1
    # What was leased may be spent until its lease is over, and counts for a second from then on.
    assert later.starts_in_s == pytest.approx(1.015, abs=1 / 256 + 1e-6)


async def test_what_was_spent_at_once_counts_from_then(store: LeaseStore) -> None:
    grant = await ask(store, 10)
    later = await ask(store, 1, Report(grant.number, 10, 0.0, is_over=True))
    assert later.starts_in_s == pytest.approx(1.0, abs=1 / 256 + 1e-6)


async def test_what_is_given_back_is_free(store: LeaseStore) -> None:
    grant = await ask(store, 10)
    later = await ask(store, 10, Report(grant.number, 3, 0.0, is_over=True))
    assert (later.points, later.starts_in_s) == (7, 0)


async def test_a_report_that_comes_twice_counts_once(store: LeaseStore, clock: FakeClock) -> None:
    grant = await ask(store, 4)
    report = Report(grant.number, 2, 0.0, is_over=False)
    assert (await ask(store, 0, report, least=0)).points == 0
    assert (await ask(store, 6, report)).points == 6
    assert (await ask(store, 1)).starts_in_s > 0.9


async def test_a_lease_that_nobody_settles_counts_as_spent_at_its_end(store: LeaseStore, clock: FakeClock) -> None:
    grant = await ask(store, 10)
    clock.advance(grant.lasts_s + 0.5)
    assert (await ask(store, 1)).starts_in_s == pytest.approx(0.5, abs=1 / 256 + 1e-6)
    clock.advance(0.51)
    assert (await ask(store, 1)).starts_in_s == 0


async def test_what_others_report_of_my_lease_is_nothing_to_me(store: LeaseStore) -> None:
    grant = await ask(store, 10)
    theirs = Report(grant.number, 0, 0.0, is_over=True)
    assert (await ask(store, 1, theirs, process="b")).starts_in_s > 0.9


async def test_several_that_ask_take_turns(store: LeaseStore) -> None:
    await ask(store, 1)
    assert (await ask(store, 100, process="b")).points == 1
    assert (await ask(store, 100, process="a")).points == 1


async def test_turns_ahead_come_in_the_order_in_which_they_were_asked_for(store: LeaseStore) -> None:
    one = (Span(1, 1.0),)
    starts = []
    for process in "abcd":
        wanted = Ask(process=process, least=1, waiting=3)
        starts.append((await store.lease("one", one, wanted)).starts_in_s)
    assert starts[0] == 0
    for before, after in pairwise(starts):
        assert 1.0 <= after - before <= 1.03


async def test_who_will_not_wait_so_long_takes_no_turn(store: LeaseStore) -> None:
    await ask(store, 10)
    impatient = await store.lease("k", TEN, Ask(process="b", least=1, waiting=1, patience_s=0.5))
    assert (impatient.points, impatient.number) == (0, 0)
    assert 0.9 < impatient.starts_in_s < 1.1
    patient = await ask(store, 1, process="b")
    assert patient.starts_in_s == pytest.approx(impatient.starts_in_s)


async def test_what_is_beyond_the_limit_is_never_granted(store: LeaseStore) -> None:
    assert (await ask(store, 11, least=11)).starts_in_s == inf


async def test_a_large_cost_waits_until_all_of_it_is_free(store: LeaseStore) -> None:
    await ask(store, 3)
    grant = await ask(store, 8, least=8)
    assert grant.points == 8
    assert grant.starts_in_s > 1.0


async def test_every_span_is_kept(store: LeaseStore, clock: FakeClock) -> None:
    spans = (Span(2, 1.0), Span(3, 60.0))
    wanted = Ask(process="a", least=1, waiting=9)
    first = await store.lease("two", spans, wanted)
    assert first.points == 2
    clock.advance(1.1)
    over = Report(first.number, 2, 1.0, is_over=True)
    second = await store.lease("two", spans, Ask(process="a", reports=(over,), least=1, waiting=9))
    assert second.points == 1
    third = await store.lease("two", spans, wanted)
    assert third.starts_in_s > 50


async def test_ahead_of_need_only_a_part_of_what_is_left_is_leased(store: LeaseStore) -> None:
    assert (await ask(store, 0, least=0, ahead=100)).points == 5
    assert (await ask(store, 0, least=0, ahead=100, process="b")).points == 1


async def test_nothing_is_leased_ahead_of_a_limit_of_one(store: LeaseStore) -> None:
    wanted = Ask(process="a", waiting=0, ahead=5)
    assert (await store.lease("one", (Span(1, 1.0),), wanted)).points == 0


async def test_what_was_spent_without_a_lease_counts(store: LeaseStore) -> None:
    grant = await ask(store, 10, Report(0, 4, 0.25, is_over=True))
    assert grant.points == 6
    assert (await ask(store, 1)).starts_in_s == pytest.approx(0.75, abs=1 / 256 + 1e-6)


async def test_what_left_the_window_before_it_is_told_does_not_count(store: LeaseStore) -> None:
    assert (await ask(store, 10, Report(0, 4, 1.5, is_over=True))).points == 10


async def test_a_store_that_has_forgotten_hears_first_what_was_spent(store: LeaseStore) -> None:
    known = (await ask(store, 1)).epoch
    stranger = await store.lease("forgotten", TEN, Ask(process="a", epoch=known - 1, least=1, waiting=5))
    assert (stranger.points, stranger.number) == (0, 0)
    told = Ask(process="a", epoch=stranger.epoch, reports=(Report(0, 8, 0.1, True),), least=1, waiting=5)  # noqa: FBT003
    assert (await store.lease("forgotten", TEN, told)).points == 2


async def test_fractions_add_up(store: LeaseStore) -> None:
    points = [(await ask(store, 0.1, least=0.1)).starts_in_s == 0 for _ in range(101)]
    assert points == [True] * 100 + [False]


async def test_keys_are_apart(store: LeaseStore) -> None:
    await ask(store, 10)
    assert (await store.lease("other", TEN, Ask(process="a", least=1, waiting=1))).points == 1


async def test_a_lease_may_be_settled_late_and_is_forgotten_in_time(store: LeaseStore, clock: FakeClock) -> None:
    grant = await ask(store, 10)
    clock.advance(0.2)
    back = Report(grant.number, 0, 0.2, is_over=True)
    assert (await ask(store, 10, back)).points == 10
    clock.advance(MEMORY_S + LONGEST_S + 2)
    assert (await ask(store, 10, back)).points == 10
