"""What every store of jobs does. Its time is the test's own."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import InvalidArgumentError
from fairlead.storage.jobs import MOST_CRASHES, Claim, Ending, Job, JobState, Query, wait_after
from fairlead.testing.clock import NOON, FakeClock
from job_stores import Opened, end, new, of_the_hour, put, take

ALL = Query(kind="event")


# --- Claiming -----------------------------------------------------------------------------------------------------


async def test_what_is_due_is_claimed_once_the_longest_due_first(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        times = (NOON - 1, NOON + 9, NOON - 3, NOON)
        ids = await put(store, *(new(run_at=at) for at in times))
        got = await take(store, limit=2)
        assert [job.id for job in got] == [ids[2], ids[0]]
        assert [(job.owner, job.generation, job.lease_until, job.state) for job in got] == [
            ("a", 1, NOON + 30, JobState.RUNNING)
        ] * 2
        assert [job.id for job in await take(store, owner="b")] == [ids[3]]
        assert await take(store) == []


async def test_a_claim_is_for_some_kinds(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new(kind="call"), new(kind="task"), new())
        got = await store.claim(["call", "task"], "a", lease_s=1, limit=9)
        assert sorted(job.kind for job in got) == ["call", "task"]
        assert await store.claim([], "a", lease_s=1, limit=9) == []


async def test_nothing_is_claimed_twice_by_many(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        ids = await put(store, *(new(subject=f"s{n}" if n % 2 else None) for n in range(100)))
        got = await asyncio.gather(*(take(store, limit=7, owner=f"o{n}") for n in range(20)))
        rest = await take(store, limit=100)
        assert sorted(job.id for jobs in (*got, rest) for job in jobs) == ids


async def test_one_of_a_subject_runs_the_lowest_position_first(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        positions = (3, 1, 2, 1)
        ids = await put(store, *(new(subject="s", position=at) for at in positions), new(subject="s", source="other"))
        order = []
        for _ in positions:
            got = [job for job in await take(store) if job.source == "acme"]
            assert len(got) == 1
            assert [job for job in await take(store) if job.source == "acme"] == []
            order.append(got[0].id)
            await end(store, got[0].claim)
        assert order == [ids[1], ids[3], ids[2], ids[0]]


async def test_what_comes_with_a_lower_position_goes_before_those_that_wait(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, *(new(subject="s", position=at) for at in (5, 6, 7)))
        (running,) = await take(store)
        await put(store, new(subject="s", position=1))
        assert await take(store) == []
        await end(store, running.claim)
        positions = []
        while got := await take(store):
            positions += [job.position for job in got]
            await end(store, got[0].claim)
        assert positions == [1, 6, 7]


async def test_what_failed_and_waits_does_not_hold_up_its_subject(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new(subject="s", position=1), new(subject="s", position=2))
        (first,) = await take(store)
        assert await end(store, first.claim, JobState.WAITING, run_at=NOON + 60, has_failed=True, error="e: no")
        (second,) = await take(store, lease_s=90)
        assert second.position == 2
        clock.advance(60)
        assert await take(store) == []
        await end(store, second.claim)
        (late,) = await take(store)
        assert (late.position, late.newest, late.is_late, late.failures, late.error) == (1, 2, True, 1, "e: no")


async def test_a_subject_with_much_to_do_holds_up_nobody(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, *(new(subject="busy", run_at=NOON - 9) for _ in range(3000)), new("other"))
        (first,) = await take(store, limit=1)
        seen: list[Job] = []
        for _ in range(10):
            seen += await take(store, limit=1)
        assert [job.key for job in seen] == ["other"]
        await end(store, first.claim)
        (second,) = await take(store)
        assert second.id == first.id + 1


@pytest.mark.parametrize("way", ["done", "dead", "later", "cancelled", "died"])
async def test_however_one_ends_the_next_of_its_subject_begins(opened: Opened, clock: FakeClock, way: str) -> None:
    async with opened() as store:
        await put(store, *(new(subject="s", position=at) for at in range(3)))
        (first,) = await take(store)
        assert await take(store) == []
        match way:
            case "done":
                await end(store, first.claim)
            case "dead":
                await end(store, first.claim, JobState.DEAD)
            case "later":
                await end(store, first.claim, JobState.WAITING, run_at=NOON + 60)
            case "cancelled":
                assert await store.cancel(first.id)
            case _:
                clock.advance(31)
        assert [job.position for job in await take(store)] == [0 if way == "died" else 1]


async def test_one_that_is_cancelled_before_it_begins_lets_the_next_begin(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        ids = await put(store, *(new(subject="s", position=at) for at in range(3)))
        (first,) = await take(store)
        assert await take(store) == []
        await end(store, first.claim)
        assert await store.cancel(ids[1])
        assert [job.id for job in await take(store)] == [ids[2]]


async def test_a_subject_remembers_its_newest(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        for position, newest in ((5, None), (9, 5), (7, 9), (8, 9)):
            await put(store, new(subject="s", position=position))
            (job,) = await take(store)
            assert (job.position, job.newest) == (position, newest)
            await end(store, job.claim)
        await put(store, new(subject="s", position=1, source="other"), new(subject="s", position=10))
        mine, other = sorted(await take(store), key=lambda job: job.source)
        assert (mine.newest, mine.is_late, other.newest, other.is_late) == (9, False, None, False)


# --- Leases -------------------------------------------------------------------------------------------------------


async def test_what_a_dead_process_left_is_taken_over(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        assert await store.mark(job.claim, b"about to")
        clock.advance(29)
        assert await take(store, owner="b") == []
        clock.advance(1)
        (again,) = await take(store, owner="b")
        assert (again.id, again.generation, again.crashes, again.failures) == (job.id, 2, 1, 0)
        assert again.mark == b"about to"


async def test_late_words_change_nothing(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store, owner="a")
        clock.advance(30)
        (held,) = await take(store, owner="a")  # the same name, as after a restart
        assert not await store.mark(job.claim, b"late")
        assert not await store.report(job.claim, 0.5)
        assert not await end(store, job.claim)
        assert not await end(store, Claim(job.id, "b", held.generation))
        assert await store.renew([job.claim, held.claim], lease_s=9) == [False, True]
        assert await store.find(job.id) == (await store.find(held.id))
        found = await store.find(job.id)
        assert found is not None
        assert (found.state, found.mark, found.progress, found.lease_until) == (JobState.RUNNING, b"", 0.0, NOON + 39)
        assert await end(store, held.claim)
        assert not await end(store, held.claim)


async def test_who_renews_keeps_it(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        for _ in range(3):
            clock.advance(20)
            assert await store.renew([job.claim], lease_s=30) == [True]
        assert await take(store, owner="b") == []


async def test_what_kills_its_processes_is_set_aside(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        (identifier,) = await put(store, new(subject="s"))
        for crashes in range(MOST_CRASHES):
            (job,) = await take(store)
            assert (job.id, job.crashes) == (identifier, crashes)
            clock.advance(30)
            wait_s = wait_after(crashes + 1)
            if wait_s > 0 and crashes + 1 < MOST_CRASHES:  # others get their turn meanwhile, also of its subject
                (other,) = await put(store, new(subject="s"))
                assert [each.id for each in await take(store)] == [other]
                await store.cancel(other)
                clock.advance(wait_s - 0.5)
                assert await take(store) == []
                clock.advance(0.5)
        assert await take(store) == []
        dead = await store.find(identifier)
        assert dead is not None
        assert (dead.state, dead.crashes, dead.finished_at) == (JobState.DEAD, MOST_CRASHES, clock.wall())
        assert (dead.error or "").startswith("process_died: ")
        assert (dead.owner, dead.lease_until) == (None, None)
        assert ("dead", 1) in [(tally.what, tally.count) for tally in await of_the_hour(store)]


async def test_a_mark_and_progress_are_written_down(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        assert await store.mark(job.claim, b"m")
        assert await store.report(job.claim, 0.25)
        found = await store.find(job.id)
        assert found is not None
        assert (found.mark, found.progress) == (b"m", 0.25)
        assert await end(store, job.claim, JobState.WAITING, run_at=NOON, mark=b"")
        (again,) = await take(store)
        assert again.mark == b""


# --- Ending -------------------------------------------------------------------------------------------------------


async def test_an_end_is_kept(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        clock.advance(2)
        assert await end(store, job.claim, JobState.DEAD, result=b"r", error="e: no", has_failed=True)
        found = await store.find(job.id)
        assert found is not None
        assert (found.state, found.result, found.error, found.failures) == (JobState.DEAD, b"r", "e: no", 1)
        assert (found.finished_at, found.owner, found.lease_until) == (NOON + 2, None, None)
        assert await take(store) == []


async def test_a_job_cannot_end_by_running(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        with pytest.raises(InvalidArgumentError):
            await store.finish(Ending(claim=job.claim, state=JobState.RUNNING))


async def test_until_due_looks_at_jobs_and_leases(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        assert await store.until_due(["event"]) is None
        await put(store, new(run_at=NOON + 50))
        assert await store.until_due(["event"]) == 50
        await put(store, new(run_at=NOON - 5))
        assert await store.until_due(["event"]) == 0
        await take(store, lease_s=7)
        assert await store.until_due(["event", "call"]) == 7
        assert await store.until_due(["call"]) is None
