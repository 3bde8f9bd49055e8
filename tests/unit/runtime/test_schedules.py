"""Schedules run once for all processes, and late rather than twice."""

from __future__ import annotations

import asyncio

import pytest

from fairlead import errors
from fairlead.config.storage import Retention
from fairlead.runtime.desk import Desk
from fairlead.runtime.ports import Ports
from fairlead.runtime.schedules import TASK, Schedule, Schedules, ages_of, pruning
from fairlead.storage.jobs import Ending, JobState, JobStore, NewJob, Query
from fairlead.testing.clock import NOON, FakeClock
from scripted import new_file
from stores import file_store

HOUR_S = 3600.0


async def nothing() -> None:
    pass


def made(store: JobStore, clock: FakeClock, done: list[str], owner: str) -> Schedules:
    async def run() -> None:
        done.append(owner)

    schedules = Schedules(Desk(store, Ports(clock=clock)))
    schedules.add(Schedule(name="tidy", every_s=HOUR_S, run=run))
    return schedules


async def work(store: JobStore, schedules: Schedules, owner: str) -> None:
    for job in await store.claim([TASK], owner, lease_s=30.0, limit=10):
        ending = await schedules.run(job)
        assert ending is not None
        await store.finish(ending)


async def test_a_turn_is_taken_once_by_whoever_comes_first() -> None:
    clock, path, done = FakeClock(), new_file(), list[str]()
    stores = [file_store(path, clock) for _ in range(3)]
    processes = [made(store, clock, done, str(place)) for place, store in enumerate(stores)]
    for turn in range(1, 4):
        waits = await asyncio.gather(*(each.tick() for each in processes))
        for place, each in enumerate(processes):
            await work(stores[place], each, str(place))
        assert len(done) == turn
        assert set(waits) == {HOUR_S - clock.wall() % HOUR_S}
        clock.advance(waits[0])
    for store in stores:
        await store.close()


async def test_what_was_missed_is_done_once_and_late() -> None:
    clock, done = FakeClock(), list[str]()
    store = file_store(new_file(), clock)
    schedules = made(store, clock, done, "a")
    await schedules.tick()
    await work(store, schedules, "a")
    clock.advance(10 * HOUR_S + 600.0)
    assert await schedules.tick() == HOUR_S - 600.0
    await work(store, schedules, "a")
    await schedules.tick()
    await work(store, schedules, "a")
    assert len(done) == 2
    newest = (await store.list(Query(kind=TASK)))[0]
    assert newest.run_at == NOON + 10 * HOUR_S
    await store.close()


async def test_a_schedule_that_nobody_knows_is_set_aside() -> None:
    clock = FakeClock()
    store = file_store(new_file(), clock)
    await made(store, clock, [], "a").tick()
    await work(store, Schedules(Desk(store, Ports(clock=clock))), "b")
    assert [each.state for each in await store.list(Query(kind=TASK))] == [JobState.DEAD]
    await store.close()


def test_a_schedule_has_a_name_of_its_own_and_an_interval() -> None:
    schedules = made(file_store(new_file(), FakeClock()), FakeClock(), [], "a")
    for wrong in (Schedule(name="tidy", every_s=5.0, run=nothing), Schedule(name="b", every_s=0.0, run=nothing)):
        with pytest.raises(errors.InvalidArgumentError):
            schedules.add(wrong)


async def test_what_was_kept_for_long_enough_is_deleted_in_batches() -> None:
    clock = FakeClock()
    store = file_store(new_file(), clock)
    for start in range(0, 1200, 200):
        new = [NewJob(kind="call", source="", name="x", run_at=NOON, key=f"{start + at}") for at in range(200)]
        await store.add(new)
    for job in await store.claim(["call"], "a", lease_s=30.0, limit=1100):
        await store.finish(Ending(claim=job.claim, state=JobState.DONE))
    clock.advance(120.0)
    retention = Retention(calls_done_s=60.0)
    await pruning(Desk(store, Ports(clock=clock)), lambda: retention).run()
    assert len(await store.list(Query(kind="call", limit=2000))) == 100
    await store.close()


def test_every_kind_and_every_end_has_an_age() -> None:
    ages_s = ages_of(Retention(events_dead_s=5.0))
    assert {kind for kind, _ in ages_s} == {"call", "settle", "event", "task", "nonce"}
    assert {state for _, state in ages_s} == {state for state in JobState if state.is_over}
    assert ages_s["event", JobState.DEAD] == 5.0
