"""How every store of jobs takes what is to be kept: each key once, all or none, and nobody harmed by others."""

from __future__ import annotations

import asyncio

from fairlead.errors import InvalidArgumentError
from fairlead.storage.jobs import JobState, Query
from fairlead.testing.clock import NOON, FakeClock
from job_stores import Opened, end, new, of_the_hour, put, take

ALL = Query(kind="event")


async def test_what_was_added_is_found_as_it_was_given(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        given = new("k", fingerprint=b"f", subject="s", position=7, payload=b"\0\xff", run_at=NOON + 5)
        (added,) = await store.add([given])
        found = await store.find(added.job.id)
        assert added.is_new
        assert found == added.job == await store.find_key("event", "acme", "k")
        assert found is not None
        assert (found.state, found.created_at, found.run_at) == (JobState.WAITING, NOON, NOON + 5)
        assert (found.payload, found.fingerprint, found.subject, found.position) == (b"\0\xff", b"f", "s", 7)
        assert (found.generation, found.failures, found.crashes, found.owner, found.progress) == (0, 0, 0, None, 0.0)


async def test_what_is_not_there_is_not_found(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        assert await store.find(99) is None
        assert await store.find_key("event", "acme", "k") is None
        assert await store.list(ALL) == []


async def test_one_key_is_kept_once_for_its_kind_and_source(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        first, again = await store.add([new("k", payload=b"1"), new("k", payload=b"2")])
        (later,) = await store.add([new("k", payload=b"3")])
        assert [first.is_new, again.is_new, later.is_new] == [True, False, False]
        assert first.job.id == again.job.id == later.job.id
        assert later.job.payload == again.job.payload == b"1"
        others = await store.add([new("k", source="other"), new("k", kind="call"), new(None), new(None)])
        assert all(added.is_new for added in others)


async def test_a_repeat_shows_what_became_of_it(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new("k"))
        (job,) = await take(store)
        await end(store, job.claim, result=b"r")
        (repeated,) = await store.add([new("k")])
        assert (repeated.job.state, repeated.job.result) == (JobState.DONE, b"r")


async def test_of_many_those_are_added_that_are_new(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        known = {
            job.job.key: job.job for job in await store.add([new(f"k{n}", payload=b"first") for n in range(0, 200, 7)])
        }
        given = [new(None if n % 5 == 0 else f"k{n % 150}", payload=b"%d" % n) for n in range(200)]
        added = await store.add(given)
        for at, (one, was) in enumerate(zip(given, added, strict=True)):
            first = known.setdefault(one.key, was.job) if one.key else was.job
            assert (was.is_new, was.job.id) == (first is was.job, first.id), at
            assert await store.find(was.job.id) == was.job
            assert was.job.payload == (b"%d" % at if was.is_new else first.payload)
        ids = [was.job.id for was in added if was.is_new]
        assert ids == sorted(set(ids))
        counts = {tally.what: tally.count for tally in await of_the_hour(store)}
        assert counts == {"added": 29 + len(ids), "repeated": 200 - len(ids)}


async def test_what_is_empty_is_not_nothing(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        given = [new("", subject="", position=0), new(None), new("", source="")]
        added = await store.add(given)
        assert [each.is_new for each in added] == [True] * 3
        assert [await store.find(each.job.id) for each in added] == [each.job for each in added]
        first, second = added[0].job, added[1].job
        assert (first.key, first.subject, first.position) == ("", "", 0)
        assert (second.key, second.subject, second.position) == (None, None, None)


async def test_many_may_add_at_once(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        answers = await asyncio.gather(*(store.add([new(f"k{n % 40}"), new(f"l{n}")]) for n in range(80)))
        assert sum(answer[0].is_new for answer in answers) == 40
        assert all(answer[1].is_new for answer in answers)
        assert len(await store.list(Query(kind="event", limit=500))) == 120


async def test_all_are_added_or_none_and_others_are_not_harmed(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        good, bad = await asyncio.gather(
            store.add([new("good")]), store.add([new("half"), new("bad", position=2**70)]), return_exceptions=True
        )
        assert isinstance(bad, InvalidArgumentError)
        assert not isinstance(good, BaseException)
        assert good[0].is_new
        assert [job.key for job in await store.list(ALL)] == ["good"]
        assert [(tally.what, tally.count) for tally in await of_the_hour(store)] == [("added", 1)]


async def test_one_that_cannot_be_done_takes_nothing_else_with_it(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new("a"), new("b"))
        one, other = await take(store)
        done = await asyncio.gather(
            end(store, one.claim),
            store.add([new("good")]),
            store.add([new("bad", position=2**70)]),
            end(store, other.claim, JobState.RUNNING),
            store.mark(other.claim, b"m"),
            return_exceptions=True,
        )
        assert [isinstance(each, InvalidArgumentError) for each in done] == [False, False, True, True, False]
        found = {job.key: job for job in await store.list(ALL)}
        assert {key: job.state for key, job in found.items()} == {
            "a": JobState.DONE, "b": JobState.RUNNING, "good": JobState.WAITING
        }  # fmt: skip
        assert found["b"].mark == b"m"
        counts = {tally.what: tally.count for tally in await of_the_hour(store)}
        assert counts == {"added": 3, "done": 1}


async def test_nothing_is_added_by_nothing(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        assert await store.add([]) == []
        assert await store.renew([], lease_s=1) == []


async def test_whoever_gives_up_waiting_stops_nobody(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        tasks = [asyncio.create_task(store.add([new(f"k{n}")])) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in done] == [True, False] * 10
        assert len(await put(store, new("after"))) == 1


async def test_a_job_can_be_added_by_who_does_it_at_once(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        (added,) = await store.add([new("k", owner="me", lease_s=5)])
        assert added.job.state is JobState.RUNNING
        assert (added.job.generation, added.job.lease_until) == (1, NOON + 5)
        assert await take(store) == []
        assert await end(store, added.job.claim)


async def test_who_would_do_it_at_once_waits_for_the_subject(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        (first,) = await store.add([new(subject="s", owner="me", lease_s=5)])
        (second,) = await store.add([new(subject="s", owner="you", lease_s=5)])
        assert (first.job.state, second.job.state) == (JobState.RUNNING, JobState.WAITING)
        assert second.job.owner is None
        both = await store.add([new(subject="t", owner="me", lease_s=5) for _ in range(2)])
        assert [each.job.state for each in both] == [JobState.RUNNING, JobState.WAITING]
