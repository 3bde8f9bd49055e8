"""What every store of jobs does for whoever looks after it: lists, cancelling, running again, deleting, counts."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import InvalidArgumentError
from fairlead.storage.jobs import JobState, Query, Reject
from fairlead.testing.clock import NOON, FakeClock
from job_stores import HOUR, Opened, end, new, of_the_hour, put, take

ALL = Query(kind="event")


# --- By hand ------------------------------------------------------------------------------------------------------


async def test_what_is_not_over_can_be_cancelled(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        ids = await put(store, new(), new(run_at=NOON + 9))
        (job,) = await take(store)
        assert [await store.cancel(each) for each in (*ids, 99)] == [True, True, False]
        assert [await store.cancel(each) for each in ids] == [False, False]
        assert await store.renew([job.claim], lease_s=9) == [False]
        assert not await end(store, job.claim)
        assert {job.state for job in await store.list(ALL)} == {JobState.CANCELLED}


async def test_what_is_over_can_be_run_again(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, *(new(name=name) for name in "aabb"))
        for job in await take(store):
            await end(store, job.claim, JobState.DEAD, error="e: no", has_failed=True)
        await put(store, new(name="a", run_at=NOON + 99))
        assert await store.again(Query(kind="event", name="a", state=JobState.DONE), run_at=NOON) == 0
        assert await store.again(Query(kind="event", name="a", state=JobState.WAITING), run_at=NOON) == 0
        assert await store.again(Query(kind="event", name="a", limit=1), run_at=NOON) == 1
        assert await store.again(Query(kind="event", name="a"), run_at=NOON) == 1
        got = await take(store)
        assert [(job.name, job.failures, job.error, job.finished_at, job.generation) for job in got] == [
            ("a", 0, None, None, 2)
        ] * 2


@pytest.mark.parametrize(("state", "left"), [(JobState.DONE, b""), (JobState.DEAD, b"part")])
async def test_what_was_done_is_done_again_from_the_start(
    opened: Opened, clock: FakeClock, state: JobState, left: bytes
) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        await end(store, job.claim, state, mark=b"part")
        assert await store.again(ALL, run_at=NOON) == 1
        assert [job.mark for job in await take(store)] == [left]


async def test_what_was_over_for_long_is_deleted_in_pieces(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(
            store, *(new(f"k{n}", subject="s" if n < 2 else None, position=n) for n in range(5)), new(name="open")
        )
        for _ in range(2):
            for job in await take(store):
                if job.name != "open":
                    await end(store, job.claim, JobState.DEAD if job.key == "k4" else JobState.DONE)
        clock.advance(100)
        ages = {("event", JobState.DONE): 99.0, ("event", JobState.DEAD): 101.0}
        assert await store.prune({("event", JobState.DONE): 100.0}, limit=10) == 0
        assert [await store.prune(ages, limit=3) for _ in range(3)] == [3, 1, 0]
        assert sorted(job.key or "" for job in await store.list(ALL)) == ["", "k4"]
        ((added,), (job, *_)) = (await store.add([new("k0", subject="s", position=0)]), await take(store))
        assert added.is_new
        assert not job.is_late
        assert added.job.id > 6


async def test_only_what_is_over_can_be_deleted(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        with pytest.raises(InvalidArgumentError):
            await store.prune({("event", JobState.WAITING): 1.0}, limit=1)


# --- Counts -------------------------------------------------------------------------------------------------------


async def test_what_happens_is_counted_by_the_hour(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await asyncio.gather(*(store.add([new(f"k{n % 6}", name=f"n{n % 2}")]) for n in range(10)))
        clock.advance(3600)
        for n, job in enumerate(await take(store)):
            await end(store, job.claim, JobState.DONE if n else JobState.DEAD)
        first = {(tally.name, tally.what): tally.count for tally in await of_the_hour(store)}
        assert first == {("n0", "added"): 3, ("n1", "added"): 3, ("n0", "repeated"): 2, ("n1", "repeated"): 2}
        second = await of_the_hour(store, HOUR + 1)
        assert sum(tally.count for tally in second if tally.what == "done") == 5
        assert [tally.count for tally in second if tally.what == "dead"] == [1]
        assert {(tally.hour, tally.kind, tally.source) for tally in second} == {(HOUR + 1, "event", "acme")}
        assert await store.tallies(kind="call", since_hour=0, until_hour=HOUR + 9) == []


async def test_rejects_are_counted(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:

        def reject(hour: int, source: str, count: int, last_at: float, sample: str) -> Reject:
            return Reject(hour=hour, source=source, reason="signature", count=count, last_at=last_at, sample=sample)

        await store.count_rejects([reject(1, "a", 2, 5.0, "x"), reject(1, "b", 1, 1.0, "y")])
        await store.count_rejects([reject(1, "a", 3, 4.0, "older"), reject(2, "a", 1, 9.0, "z")])
        assert await store.list_rejects(since_hour=1) == [
            reject(2, "a", 1, 9.0, "z"),
            reject(1, "a", 5, 5.0, "x"),
            reject(1, "b", 1, 1.0, "y"),
        ]
        assert await store.list_rejects(since_hour=1, source="b") == [reject(1, "b", 1, 1.0, "y")]
        assert await store.list_rejects(since_hour=3) == []
