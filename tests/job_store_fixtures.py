"""A store of jobs over each driver, with nothing in it: a test module imports the fixtures that it uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fairlead.runtime.ports import new_id
from fairlead.storage.jobs import JobStore
from fairlead.storage.open import open_store
from fairlead.testing.clock import FakeClock
from job_stores import Opened
from postgres_server import PostgresServer

DRIVERS = ("sqlite", "postgres")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], PostgresServer]]:
    """Start PostgreSQL once, when it is first asked for."""
    started: list[PostgresServer] = []

    def server() -> PostgresServer:
        if not started:
            started.append(PostgresServer())
            started[0].start()
        return started[0]

    try:
        yield server
    finally:
        for each in started:
            each.close()


@pytest.fixture(params=DRIVERS)
def address(request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], PostgresServer]) -> str:
    """Return where a store of the driver can be: there is nothing yet."""
    return str(tmp_path / "jobs.db") if request.param == "sqlite" else postgres().new_url()


@pytest.fixture
def opened(address: str, clock: FakeClock) -> Opened:
    """Open stores on the same tables, as often as it is called."""

    @asynccontextmanager
    async def opened_once() -> AsyncIterator[JobStore]:
        store = open_store(address, clock=clock, ids=new_id, now=clock.wall)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return opened_once
