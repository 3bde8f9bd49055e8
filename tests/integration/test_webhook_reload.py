"""The settings of webhooks under a reload: bounds and forwards count at once, and a mistake changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from acme_shop import CONFIG, Shop, shop
from fairlead.config.read import parse_settings
from fairlead.errors import InvalidSettingError
from raw_server import Peer, RawServer, serve
from stages import http

PAID = {"id": "evt_1", "type": "order.paid"}
OTHER = {"id": "evt_2", "type": "order.paid"}


@asynccontextmanager
async def application() -> AsyncIterator[tuple[RawServer, list[bytes]]]:
    """Serve an application that takes every event."""
    heard: list[bytes] = []

    async def take(peer: Peer) -> None:
        heard.append(await peer.read_request())
        await peer.send(http(204))
        await peer.wait_for_end()

    async with serve(take) as server:
        yield server, heard


def forwarding(path: Path, url: str, events: str = "acme:*") -> str:
    return (
        CONFIG.format(path=path)
        + f"""
[connections.app]
base_url = "{url}"
allow_private = true

[[webhooks.forwards]]
events = ["{events}"]
connection = "app"
"""
    )


async def reload(world: Shop, text: str) -> tuple[str, ...]:
    return (await world.fl.reload(parse_settings(text), source="new.toml")).needs_restart


async def test_a_forward_that_is_added_gets_what_waits_and_one_that_is_removed_gets_no_more(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with application() as (server, heard), shop(path) as world:
        await world.deliver(PAID)
        assert await reload(world, forwarding(path, server.url())) == ()
        await world.until(lambda: bool(world.ended()))
        assert len(heard) == 1
        assert await reload(world, CONFIG.format(path=path)) == ()
        await world.deliver(OTHER)
        states = {each.key: each.state for each in await world.fl.webhooks.list()}
        assert states == {"evt_1": "done", "evt_2": "waiting"}
        assert len(heard) == 1


async def test_a_forward_that_cannot_work_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with application() as (server, heard), shop(path) as world:
        await reload(world, forwarding(path, server.url()))
        with pytest.raises(
            InvalidSettingError, match=r"new.toml: webhooks.forwards\[0\].events: 'acme:' is no pattern"
        ):
            await reload(world, forwarding(path, "http://127.0.0.1:9", "acme:"))
        await world.deliver(PAID)
        await world.until(lambda: bool(world.ended()))
        assert len(heard) == 1


async def test_the_waits_of_the_moment_count(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with shop(path) as world:

        @world.fl.on("acme:*")
        def fail(_: object) -> None:
            raise ValueError("poison")

        await world.deliver(PAID)
        await world.until(lambda: len(world.ended()) == 1)
        assert await reload(world, CONFIG.format(path=path) + "[webhooks]\nwaits_s = [1]\n") == ()
        await world.until(lambda: len(world.ended()) == 2, step_s=1)
        assert [each.state for each in world.ended()] == ["waiting", "dead"]


async def test_another_store_counts_at_the_next_start(tmp_path: Path) -> None:
    async with shop(tmp_path / "jobs.db") as world:
        assert await reload(world, CONFIG.format(path=tmp_path / "other.db")) == ("storage",)
        await world.deliver(PAID)
        assert not (tmp_path / "other.db").exists()
