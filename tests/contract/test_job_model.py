"""The stores against a model that fits on a page: whatever is asked in whatever order, both say the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead.runtime.ports import new_id
from fairlead.storage.jobs import MOST_CRASHES, Claim, Ending, Job, JobState, Query, wait_after
from fairlead.storage.open import open_store
from fairlead.testing.clock import FakeClock
from job_stores import new

LEASE_S = 10.0


class Row:
    """A job in the model."""

    def __init__(self, identifier: int, key: str | None, subject: str | None, position: int | None, at: float) -> None:
        self.id, self.key, self.subject, self.position, self.run_at = identifier, key, subject, position, at
        self.state = JobState.WAITING
        self.generation = self.failures = self.crashes = 0
        self.lease_until = 0.0

    @property
    def place(self) -> tuple[bool, int, int]:
        return self.position is not None, self.position or 0, self.id


class Jobs(RuleBasedStateMachine):
    """Adds, claims, ends and everything else, on a SQLite file and on the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="fairlead-")
        self.clock = FakeClock()
        self.loop = asyncio.new_event_loop()
        self.store = open_store(Path(self.folder.name) / "jobs.db", clock=self.clock, ids=new_id)
        self.rows: dict[int, Row] = {}
        self.newest: dict[str, int] = {}
        self.held: list[Claim] = []

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    @initialize()
    def open(self) -> None:
        self.do(self.store.open())

    @rule(
        key=some.sampled_from([None, "a", "b", "c"]),
        subject=some.sampled_from([None, "s", "t"]),
        position=some.sampled_from([None, 1, 2, 3]),
        delay=some.sampled_from([0, 0, 5]),
    )
    def add(self, key: str | None, subject: str | None, position: int | None, delay: int) -> None:
        run_at = self.clock.wall() + delay
        (added,) = self.do(self.store.add([new(key, subject=subject, position=position, run_at=run_at)]))
        known = next((row for row in self.rows.values() if key is not None and row.key == key), None)
        assert added.is_new is (known is None)
        if known is None:
            self.rows[added.job.id] = Row(added.job.id, key, subject, position, run_at)
        else:
            assert added.job.id == known.id

    @rule(limit=some.integers(1, 4))
    def claim(self, limit: int) -> None:
        now = self.clock.wall()
        taken: list[Job] = self.do(self.store.claim(["event"], "me", lease_s=LEASE_S, limit=limit))
        lost = [row for row in self.rows.values() if row.state is JobState.RUNNING and row.lease_until <= now]
        for row in sorted(lost, key=lambda row: (row.lease_until, row.id))[:limit]:
            row.crashes += 1
            row.state = JobState.DEAD if row.crashes == MOST_CRASHES else JobState.WAITING
            wait_s = wait_after(row.crashes)
            row.run_at = max(row.run_at, now + wait_s) if wait_s else row.run_at
        wanted: list[Row] = []
        for row in sorted(self.due(now), key=lambda row: (row.run_at, row.id)):
            first = self.first_of(row, now)
            if len(wanted) < limit and first is not None:
                first.state, first.lease_until = JobState.RUNNING, now + LEASE_S
                first.generation += 1
                wanted.append(first)
        assert [job.id for job in taken] == [row.id for row in wanted]
        for job, row in zip(taken, wanted, strict=True):
            assert (job.generation, job.failures, job.crashes) == (row.generation, row.failures, row.crashes)
            assert job.newest == self.newest.get(job.subject or "")
            self.held.append(job.claim)

    def due(self, now: float) -> list[Row]:
        return [row for row in self.rows.values() if row.state is JobState.WAITING and row.run_at <= now]

    def first_of(self, row: Row, now: float) -> Row | None:
        """Return which one begins where a row is come across."""
        if row.state is not JobState.WAITING or row.subject is None:
            return row if row.state is JobState.WAITING else None
        of_it = [each for each in self.rows.values() if each.subject == row.subject]
        if any(each.state is JobState.RUNNING for each in of_it):
            return None
        return min((each for each in self.due(now) if each in of_it), key=lambda each: each.place)

    def is_good(self, claim: Claim) -> bool:
        row = self.rows.get(claim.id)
        return row is not None and row.state is JobState.RUNNING and row.generation == claim.generation

    @precondition(lambda self: self.held)
    @rule(
        data=some.data(),
        state=some.sampled_from([JobState.DONE, JobState.DEAD, JobState.WAITING]),
        delay=some.sampled_from([0, 5]),
    )
    def finish(self, data: some.DataObject, state: JobState, delay: int) -> None:
        claim = data.draw(some.sampled_from(self.held))
        run_at, is_good = self.clock.wall() + delay, self.is_good(claim)
        ending = Ending(claim=claim, state=state, run_at=run_at, has_failed=state is not JobState.DONE)
        assert self.do(self.store.finish(ending)) is is_good
        if is_good:
            row = self.rows[claim.id]
            row.state, row.failures = state, row.failures + (state is not JobState.DONE)
            if state is JobState.WAITING:
                row.run_at = run_at
            if state is JobState.DONE and row.subject and row.position is not None:
                self.newest[row.subject] = max(row.position, self.newest.get(row.subject, row.position))

    @precondition(lambda self: self.held)
    @rule(data=some.data())
    def renew(self, data: some.DataObject) -> None:
        claim = data.draw(some.sampled_from(self.held))
        is_good = self.is_good(claim)
        assert self.do(self.store.renew([claim], lease_s=LEASE_S)) == [is_good]
        if is_good:
            self.rows[claim.id].lease_until = self.clock.wall() + LEASE_S

    @precondition(lambda self: self.rows)
    @rule(data=some.data())
    def cancel(self, data: some.DataObject) -> None:
        row = self.rows[data.draw(some.sampled_from(sorted(self.rows)))]
        assert self.do(self.store.cancel(row.id)) is not row.state.is_over
        if not row.state.is_over:
            row.state = JobState.CANCELLED

    @rule(limit=some.integers(1, 3))
    def again(self, limit: int) -> None:
        over = sorted((row.id for row in self.rows.values() if row.state.is_over), reverse=True)[:limit]
        now = self.clock.wall()
        assert self.do(self.store.again(Query(kind="event", limit=limit), run_at=now)) == len(over)
        for identifier in over:
            row = self.rows[identifier]
            row.state, row.failures, row.crashes, row.run_at = JobState.WAITING, 0, 0, now

    @rule(seconds=some.sampled_from([1, 5, 10]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.do(self.store.close())

    @invariant()
    def all_are_there(self) -> None:
        found = self.do(self.store.list(Query(kind="event", limit=1000)))
        assert {job.id: (job.state, job.failures, job.crashes) for job in found} == {
            row.id: (row.state, row.failures, row.crashes) for row in self.rows.values()
        }

    @invariant()
    def something_waits_exactly_where_something_is_to_be_done(self) -> None:
        is_open = any(not row.state.is_over for row in self.rows.values())
        assert (self.do(self.store.until_due(["event"])) is not None) is is_open


TestJobs = Jobs.TestCase
TestJobs.settings = settings(max_examples=60, stateful_step_count=40)
