"""What every store of jobs does. Its time is the test's own."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import InvalidArgumentError
from fairlead.storage.jobs import MOST_CRASHES, Claim, Ending, Job, JobState, Query, wait_after
from fairlead.testing.clock import NOON, FakeClock
from job_stores import Opened, end, new, of_the_hour, put, take

ALL = Query(kind="event")


# --- Adding -------------------------------------------------------------------------------------------------------


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
