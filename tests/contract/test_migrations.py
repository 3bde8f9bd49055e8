"""Tables that an earlier version left are brought forward, with all that is in them.

`versions/` keeps what each version of the tables looked like with jobs in it: a new step comes with a new file.
"""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from fairlead.errors import StorageError
from fairlead.storage.jobs import JobState, Query, Reject
from fairlead.storage.migrations import read_steps
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.testing.clock import NOON, FakeClock
from job_stores import HOUR, Opened, end, new, of_the_hour, put, take

VERSIONS = Path(__file__).parent / "versions"


def driver_of(address: str) -> str:
    return "postgres" if "://" in address else "sqlite"


async def run(address: str, sql: str) -> None:
    """Run a script over a connection of its own."""
    if driver_of(address) == "sqlite":
        file = load_sqlite().connect(address)
        file.executescript(sql)
        file.close()
        return
    connection = await asyncpg.connect(address)
    await connection.execute(sql)
    await connection.close()


@pytest.mark.parametrize("version", [1, 2])
async def test_what_an_earlier_version_left_is_there(
    opened: Opened, address: str, clock: FakeClock, version: int
) -> None:
    await run(address, (VERSIONS / f"{driver_of(address)}-{version}.sql").read_text())
    async with opened() as store:
        jobs = {job.key: job for job in await store.list(Query(kind="event"))}
        assert {key: job.state for key, job in jobs.items()} == {
            "done": JobState.DONE,
            "dead": JobState.DEAD,
            "late": JobState.RUNNING,
            "later": JobState.WAITING,
            "behind": JobState.WAITING,
        }
        whole = await store.find_key("event", "acme", "done")
        assert whole is not None
        assert (whole.payload, whole.result, whole.subject, whole.position) == (b"\0\xff", b"r", "s", 9)
        assert (whole.created_at, whole.finished_at, whole.generation, whole.error) == (NOON, NOON, 1, None)
        assert (jobs["dead"].error, jobs["later"].fingerprint, jobs["late"].mark) == ("e: no", b"f", b"m")
        assert await store.until_due(["event"]) == 20
        counts = {tally.what: tally.count for tally in await of_the_hour(store)}
        assert counts == {"added": 5, "done": 1, "dead": 1}
        assert await store.list_rejects(since_hour=HOUR) == [
            Reject(hour=HOUR, source="acme", reason="signature", count=2, last_at=NOON, sample="x")
        ]
        thing = await store.find_snapshot("thing", "acme", "t1")
        assert (thing is not None) == (version >= 2)
        if thing is not None:
            assert (thing.subject, thing.position, thing.due_at, thing.body) == ("ada", 7.0, 1_700_000_000.0, b"\0\xff")
        clock.advance(20)
        (late,) = await take(store)
        assert (late.key, late.is_late, late.crashes, late.claim.generation) == ("late", True, 1, 2)
        assert await end(store, late.claim)
        (behind,) = await take(store)
        assert behind.key == "behind"
        (identifier,) = await put(store, new("after"))
        assert identifier > max(job.id for job in jobs.values())


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
def test_each_step_has_a_number_and_its_tables_are_kept(driver: str) -> None:
    steps = read_steps(driver)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert sorted(file.name for file in VERSIONS.glob(f"{driver}-*.sql")) == [
        f"{driver}-{step.number}.sql" for step in steps
    ]


async def test_tables_of_a_newer_version_are_refused_and_left_alone(opened: Opened, address: str) -> None:
    async with opened():
        pass
    table = "fairlead_migrations" if driver_of(address) == "sqlite" else "fairlead.migrations"
    await run(address, f"INSERT INTO {table} (version, name) VALUES (99, '0099_later.sql')")  # noqa: S608  # our own
    with pytest.raises(StorageError, match=r"newer Fairlead: its tables have version 99.*Run the newer version"):
        async with opened():
            pass


async def test_tables_are_made_once(opened: Opened, address: str) -> None:
    async with opened() as one, opened() as other:
        await one.check()
        await other.check()
