"""A store of jobs over each driver, with nothing in it: a test module imports the fixtures that it uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fairlead.storage.jobs import JobStore
from fairlead.storage.sqlite import SqliteJobs
from fairlead.testing.clock import FakeClock
from job_stores import Opened

DRIVERS = ("sqlite",)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=DRIVERS)
def opened(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Opened:
    """Open stores on the same tables, as often as it is called."""

    @asynccontextmanager
    async def opened_once() -> AsyncIterator[JobStore]:
        store: JobStore = SqliteJobs(tmp_path / "jobs.db", clock=clock)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return opened_once
