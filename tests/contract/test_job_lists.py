"""Lists, over every combination of what can be asked for: what comes, and that an index gives it in order."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import asyncpg
import msgspec
import pytest

from fairlead.storage.job_rows import OVER, STATES
from fairlead.storage.jobs import Ending, Job, JobState, JobStore, Query
from fairlead.storage.postgres_reads import select_ids
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.storage.sqlite_jobs import select_part, sqlite_parts
from fairlead.testing.clock import NOON, FakeClock
from job_stores import Opened, new, put, take

#: One value for each field of a query: with and without each is every combination there is.
FIELDS: dict[str, Any] = {
    "source": "acme",
    "name": "paid",
    "state": JobState.DEAD,
    "subject": "s1",
    "key": "k1",
    "since": NOON + 10,
    "until": NOON + 90,
    "before": 70,
}
QUERIES = [
    Query(
        kind="event", limit=7, **{name: FIELDS[name] for name, is_asked in zip(FIELDS, asked, strict=True) if is_asked}
    )
    for asked in product((False, True), repeat=len(FIELDS))
]


def fits(job: Job, query: Query) -> bool:
    asked = {name: getattr(query, name) for name in ("kind", "source", "name", "state", "subject", "key")}
    return (
        all(getattr(job, name) == value for name, value in asked.items() if value is not None)
        and (query.since is None or job.created_at >= query.since)
        and (query.until is None or job.created_at < query.until)
        and (query.before is None or job.id < query.before)
    )


async def fill(store: JobStore, clock: FakeClock) -> None:
    """Add a hundred of all sorts, one a second, in every state."""
    for n in range(100):
        kind, source, name = ("event", "call")[n % 10 == 9], ("acme", "other")[n % 3 == 2], ("paid", "sent")[n % 2]
        await put(
            store, new(f"k{n % 5}-{n}" if n % 4 else None, kind=kind, source=source, name=name, subject=f"s{n % 7}")
        )
        clock.advance(1)
    await put(store, *(new(f"k{n}", source=source, subject="s1") for n in range(3) for source in ("acme", "other")))
    for n in range(8):
        for job in await take(store, limit=10, lease_s=1000):
            if (job.id + n) % 4:
                state = STATES[2 + job.id % 3]
                await store.finish(Ending(claim=job.claim, state=state, result=b"r", error="e: no"))
            else:
                await store.cancel(job.id)


async def test_every_combination_gives_what_fits_newest_first(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await fill(store, clock)
        found = [job for n in range(1, 107) if (job := await store.find(n))]
        assert {job.state for job in found} == set(JobState) - {JobState.RUNNING}
        short = [msgspec.structs.replace(job, payload=b"", result=b"") for job in reversed(found)]
        for query in QUERIES:
            wanted = [job for job in short if fits(job, query)]
            assert await store.list(query) == wanted[:7], query
            everything = msgspec.structs.replace(query, limit=1000)
            assert await store.list(everything) == wanted, query


async def test_a_list_is_read_page_by_page(opened: Opened, clock: FakeClock) -> None:
    async with opened() as store:
        await fill(store, clock)
        everything = await store.list(Query(kind="event", source="acme", limit=1000))
        seen: list[Job] = []
        while page := await store.list(
            Query(kind="event", source="acme", limit=9, before=seen[-1].id if seen else None)
        ):
            seen += page
        assert seen == everything


# --- Plans --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
@pytest.mark.parametrize("states", [STATES, OVER], ids=["list", "again"])
async def test_no_query_scans_or_sorts_the_file(opened: Opened, address: str, states: tuple[JobState, ...]) -> None:
    async with opened():
        file = load_sqlite().connect(address)
        for query in QUERIES:
            for part in sqlite_parts(query, states):
                sql = f"EXPLAIN QUERY PLAN {select_part(part)}"
                plan = [row[3] for row in file.execute(sql, (*part.values, query.limit))]
                assert re.match(
                    rf"SEARCH fairlead_jobs USING (COVERING )?INDEX fairlead_jobs_{part.index} \(kind=\?", plan[0]
                )
                assert not [step for step in plan if step.startswith("SCAN")], (query, plan)
                # Of one subject or key there are few, and those of a key in two sources are not in one order.
                sorts = [step for step in plan if "TEMP B-TREE" in step]
                assert not sorts or (part.index == "key" and query.source is None), (query, plan)
        file.close()


@pytest.mark.parametrize("address", ["postgres"], indirect=True)
async def test_no_query_scans_or_sorts_the_table(opened: Opened, address: str) -> None:
    async with opened():
        connection = await asyncpg.connect(address)
        await connection.execute(
            "INSERT INTO fairlead.jobs "
            "(kind, source, name, state, key, fingerprint, subject, created_at, run_at, payload) "
            "SELECT 'event', 's' || n % 50, 'n' || n % 20, 2 + (n % 100 = 0)::int, 'k' || n, '', 't' || n % 900, "
            "$1 + n / 100.0, 0, '' FROM generate_series(1, 20000) AS n",
            NOON,
        )
        await connection.execute("ANALYZE fairlead.jobs")
        for query in QUERIES:
            sql, values = select_ids(query, STATES, first=1)
            plan = "\n".join(
                row[0] for row in await connection.fetch("EXPLAIN " + sql.replace("{s}", "fairlead"), *values)
            )
            assert "Seq Scan" not in plan, (query, plan)
            assert "jobs_pkey" not in plan, (query, plan)
            assert re.search(r"Index (Only )?Scan", plan), (query, plan)
        await connection.close()


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
async def test_what_is_asked_all_the_time_is_answered_by_an_index(opened: Opened, address: str) -> None:
    """The statements of claims, of `until_due` and of `prune` name their index, so they fail without it."""
    async with opened() as store:
        file = load_sqlite().connect(address)
        for index in ("due", "lease", "open", "over"):
            file.execute(f"DROP INDEX fairlead_jobs_{index}")
        file.commit()
        file.close()
        await put(store, new())
        for asked in (take(store), store.until_due(["event"]), store.prune({("event", JobState.DONE): 1.0}, limit=1)):
            with pytest.raises(Exception, match="no such index"):
                await asked
