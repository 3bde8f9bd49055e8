"""Jobs and stores of jobs for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fairlead.storage.jobs import Claim, Ending, Job, JobState, JobStore, NewJob, Tally
from fairlead.testing.clock import NOON

#: Opens a store over the tables of one test, and closes it.
Opened = Callable[[], AbstractAsyncContextManager[JobStore]]
HOUR = int(NOON // 3600)


def new(key: str | None = None, **more: Any) -> NewJob:
    fields = {"kind": "event", "source": "acme", "name": "paid", "run_at": NOON, "key": key, **more}
    return NewJob(**fields)


async def put(store: JobStore, *jobs: NewJob) -> list[int]:
    return [added.job.id for added in await store.add(jobs)]


async def take(store: JobStore, limit: int = 10, owner: str = "a", lease_s: float = 30.0) -> Sequence[Job]:
    return await store.claim(["event"], owner, lease_s=lease_s, limit=limit)


async def end(store: JobStore, claim: Claim, state: JobState = JobState.DONE, **more: Any) -> bool:
    return await store.finish(Ending(claim=claim, state=state, **more))


async def of_the_hour(store: JobStore, hour: int = HOUR) -> Sequence[Tally]:
    return await store.tallies(kind="event", since_hour=hour, until_hour=hour + 1)
