"""A handler's own transaction on a real PostgreSQL: its effect and the event's end are one commit, or neither is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from acme_shop import Shop, shop
from fairlead.runtime.handlers import Received
from job_store_fixtures import postgres  # noqa: F401  # a fixture
from postgres_server import PostgresServer

PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}
PAY = "INSERT INTO paid VALUES ($1)"


@pytest.fixture
def address(postgres: Callable[[], PostgresServer]) -> str:  # noqa: F811  # likewise
    """Return an empty database with a table of the application's."""
    url = postgres().new_url()
    asyncio.run(run(url, "CREATE TABLE paid (key text)"))
    return url


async def run(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def paid(url: str) -> list[Any]:
    return await run(url, "SELECT key FROM paid")


@asynccontextmanager
async def open_shop(address: str, settings: str = "") -> AsyncIterator[Shop]:
    async with shop(address, settings) as world:
        yield world


async def test_the_effect_and_the_end_are_one_commit(address: str) -> None:
    seen: list[list[Any]] = []
    async with open_shop(address) as world:

        @world.fl.on("acme:*", transaction=True)
        async def pay(event: Received, connection: Any) -> None:
            await connection.execute(PAY, event.key)
            seen.append(await paid(address))  # nobody else sees it before the event has ended

        await world.deliver(PAID)
        await world.until(lambda: bool(world.ended()))
        assert seen == [[]]
        assert await paid(address) == ["evt_1"]
        (record,) = await world.fl.webhooks.list()
        assert (record.state, len(record.handled_by)) == ("done", 1)


async def test_a_handler_that_fails_leaves_nothing_and_is_called_again(address: str) -> None:
    async with open_shop(address) as world:

        @world.fl.on("acme:*", transaction=True)
        async def pay(event: Received, connection: Any) -> None:
            await connection.execute(PAY, f"{event.key} {event.failures}")
            if not event.failures:
                raise LookupError("not yet")

        await world.deliver(PAID)
        await world.until(lambda: len(world.ended()) == 1)
        assert await paid(address) == []
        (waiting,) = await world.fl.webhooks.list()
        assert (waiting.state, waiting.failures, waiting.error) == ("waiting", 1, "LookupError: not yet")
        await world.until(lambda: len(world.ended()) == 2, step_s=1)
        assert await paid(address) == ["evt_1 1"]


async def test_two_handlers_commit_each_with_its_own_mark(address: str) -> None:
    async with open_shop(address) as world:
        is_broken = True

        @world.fl.on("acme:*", name="first", transaction=True)
        async def first(_: Received, connection: Any) -> None:
            await connection.execute(PAY, "first")

        @world.fl.on("acme:*", name="second", transaction=True)
        async def second(_: Received, connection: Any) -> None:
            await connection.execute(PAY, "second")
            if is_broken:
                raise LookupError("not yet")

        await world.deliver(PAID)
        await world.until(lambda: any(each.failures for each in world.ended()))
        assert await paid(address) == ["first"]
        is_broken = False
        await world.until(lambda: world.ended()[-1].state == "done", step_s=1)
        assert await paid(address) == ["first", "second"]
        assert [each.state for each in world.ended()] == ["waiting", "done"]


async def test_a_connection_that_dies_in_the_middle_leaves_neither_effect_nor_end(address: str) -> None:
    async with open_shop(address) as world:
        kill = "SELECT pg_terminate_backend($1)"
        killed: list[int] = []
        was_looked_at = asyncio.Event()

        @world.fl.on("acme:*", transaction=True)
        async def pay(event: Received, connection: Any) -> None:
            if killed:
                await was_looked_at.wait()
            await connection.execute(PAY, event.key)
            if not killed:  # as if the process had died after the effect and before the end
                killed.append(connection.get_server_pid())
                other = await asyncpg.connect(address)
                await other.fetchval(kill, killed[0])
                await other.close()

        await world.deliver(PAID)
        await world.until(lambda: len(world.ended()) == 1)
        assert await paid(address) == []
        (kept,) = await world.fl.webhooks.list()
        assert (kept.failures, kept.handled_by) == (1, ())
        assert [each.state for each in world.ended()] == ["waiting"]
        was_looked_at.set()
        await world.until(lambda: len(world.ended()) == 2, step_s=1)
        assert await paid(address) == ["evt_1"]


async def test_a_claim_that_was_lost_rolls_back(address: str) -> None:
    async with open_shop(address) as world:
        calls: list[int] = []

        @world.fl.on("acme:*", transaction=True)
        async def pay(event: Received, connection: Any) -> None:
            await connection.execute(PAY, f"{event.key} of call {len(calls)}")
            calls.append(event.id)
            if len(calls) == 1:  # somebody else takes it over, as after the end of its lease
                await run(address, "UPDATE fairlead.fairlead_jobs SET generation = generation + 1 RETURNING id")

        await world.deliver(PAID)
        await world.until(lambda: len(calls) == 1)
        await world.until(lambda: len(calls) == 2, step_s=1)
        await world.until(lambda: any(each.state == "done" for each in world.ended()))
        await world.fl.close()
        assert await paid(address) == ["evt_1 of call 1"]
