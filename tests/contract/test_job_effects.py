"""What is committed together with the end of a job: effects on both drivers, and the handler's own on PostgreSQL."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from fairlead.errors import InvalidArgumentError, StorageError, UsageError
from fairlead.runtime.ports import new_id
from fairlead.storage.jobs import Claim, Ending, JobState, JobStore, Statement
from fairlead.storage.open import open_store
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.testing.clock import FakeClock
from job_stores import Opened, end, new, put, take

IS_POSTGRES = pytest.mark.parametrize("address", ["postgres"], indirect=True)
IS_SQLITE = pytest.mark.parametrize("address", ["sqlite"], indirect=True)


async def run(address: str, sql: str) -> list[int]:
    """Run a statement over a connection of the application's own; return the first column."""
    if "://" not in address:
        file = load_sqlite().connect(address, isolation_level=None)
        try:
            return [row[0] for row in file.execute(sql)]
        finally:
            file.close()
    connection = await asyncpg.connect(address)
    try:
        return [row[0] for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def pay(address: str, amount: object = 5) -> Statement:
    insert = "INSERT INTO paid (amount) VALUES "
    return Statement(insert + ("($1)" if "://" in address else "(?)"), (amount,))


MAKE = "CREATE TABLE paid (amount integer CHECK (amount > 0))"
READ = "SELECT amount FROM paid"


async def test_effects_are_committed_with_the_end(opened: Opened, address: str) -> None:
    await run(address, MAKE)
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        assert await end(store, job.claim, effects=(pay(address, 3), pay(address, 4)))
        assert not await end(store, job.claim, effects=(pay(address, 9),))
        assert sorted(await run(address, READ)) == [3, 4]


async def test_an_effect_that_fails_undoes_the_end_and_harms_no_other(opened: Opened, address: str) -> None:
    await run(address, MAKE)
    async with opened() as store:
        await put(store, new(), new())
        bad, good = await take(store)
        told = await asyncio.gather(
            store.finish(Ending(claim=bad.claim, state=JobState.DONE, effects=(pay(address), pay(address, -1)))),
            store.finish(Ending(claim=good.claim, state=JobState.DONE, effects=(pay(address, 7),))),
            return_exceptions=True,
        )
        assert isinstance(told[0], InvalidArgumentError)
        assert told[1] is True
        assert await run(address, READ) == [7]
        left = await store.find(bad.id)
        assert left is not None
        assert left.state is JobState.RUNNING


@pytest.mark.parametrize("sql", ["COMMIT", "  rollback", "DROP TABLE paid", "PRAGMA synchronous = OFF"])
async def test_an_effect_cannot_end_the_transaction_of_the_others(opened: Opened, sql: str) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        with pytest.raises(InvalidArgumentError, match="An effect is INSERT"):
            await end(store, job.claim, effects=(Statement(sql),))
        assert await end(store, job.claim)


@IS_SQLITE
async def test_sqlite_gives_no_transaction(opened: Opened) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        with pytest.raises(UsageError, match="Return effects"):
            store.transaction(job.claim)


@IS_POSTGRES
async def test_a_handler_ends_the_job_in_its_transaction(opened: Opened, address: str) -> None:
    await run(address, MAKE)
    async with opened() as store:
        await put(store, new(subject="s", position=4), new(subject="s", position=5))
        (job,) = await take(store)
        async with store.transaction(job.claim) as transaction:
            await transaction.connection.execute("INSERT INTO paid VALUES (8)")
            assert await run(address, READ) == []
            assert await transaction.finish(Ending(claim=job.claim, state=JobState.DONE))
        assert await run(address, READ) == [8]
        (following,) = await take(store)
        assert (following.position, following.newest) == (5, 4)


@pytest.mark.parametrize("way", ["late", "raises", "forgets"])
@IS_POSTGRES
async def test_nothing_is_committed_where_the_job_does_not_end(
    opened: Opened, address: str, clock: FakeClock, way: str
) -> None:
    await run(address, MAKE)
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        if way == "late":
            clock.advance(30)
            await take(store, owner="b")

        async def handle() -> None:
            async with store.transaction(job.claim) as transaction:
                await transaction.connection.execute("INSERT INTO paid VALUES (8)")
                if way == "forgets":
                    return
                is_good = await transaction.finish(Ending(claim=job.claim, state=JobState.DONE))
                assert is_good is (way == "raises")
                if way == "raises":
                    raise LookupError("the handler's own")

        if way == "raises":
            with pytest.raises(LookupError):
                await handle()
        else:
            await handle()
        assert await run(address, READ) == []


@IS_POSTGRES
async def test_schemas_keep_applications_apart(address: str, clock: FakeClock) -> None:
    one, other = (
        open_store(address, clock=clock, ids=new_id, schema=schema, now=clock.wall) for schema in ("one", "other")
    )
    await put(one, new("k"))
    assert await other.find_key("event", "acme", "k") is None
    assert (await other.add([new("k")]))[0].is_new
    await one.close()
    await other.close()


@IS_POSTGRES
async def test_a_transaction_ends_its_own_job_only(opened: Opened) -> None:
    async with opened() as store:
        await put(store, new(), new())
        mine, other = await take(store)
        async with store.transaction(mine.claim) as transaction:
            with pytest.raises(InvalidArgumentError, match=f"that of job {mine.id}"):
                await transaction.finish(Ending(claim=other.claim, state=JobState.DONE))
        assert await store.renew([mine.claim, other.claim], lease_s=9) == [True, True]


@IS_POSTGRES
async def test_a_transaction_whose_connection_breaks_is_told(opened: Opened, address: str) -> None:
    async with opened() as store:
        await put(store, new())
        (job,) = await take(store)
        with pytest.raises(StorageError, match="PostgreSQL at 127"):
            await break_off(store, job.claim, address)
        assert await end(store, job.claim)


async def break_off(store: JobStore, claim: Claim, address: str) -> None:
    async with store.transaction(claim) as transaction:
        assert await transaction.finish(Ending(claim=claim, state=JobState.DONE))
        here = await transaction.connection.fetchval("SELECT pg_backend_pid()")
        await run(address, f"SELECT pg_terminate_backend({here}, 5000)::int")
