"""What one process is told, all that share its state heed: by somebody's hand, and by a vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fairlead import errors
from fairlead.config.read import parse_settings
from fairlead.observe.events import BreakerChanged, StorageLost
from fairlead.resilience.breaker import State
from fairlead.storage.spent import Spent
from raw_server import EMPTY, reply, serve
from redis_fixtures import servers
from redis_server import PROGRAMS, RedisServer, running
from sharing import PATIENCE_S, clients, get, settings

__all__ = ["servers"]


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_a_circuit_held_by_one_is_held_by_all(kind: str, servers: Callable[[str], RedisServer]) -> None:
    async with serve(reply(EMPTY)) as vendor:
        async with clients(2, settings(vendor.url(), servers(kind).url)) as ((a, _), (b, told)):
            assert await get(a) == await get(b) == 200
            assert await a.hold_circuit("vendor", "open") is State.FORCED_OPEN
            await told.wait_for(
                BreakerChanged, lambda each: isinstance(each, BreakerChanged) and each.after == "forced_open"
            )
            with pytest.raises(errors.CircuitOpenError):
                await get(b)
            await b.hold_circuit("vendor", None)
            assert await get(b) == 200
        assert len(vendor.requests) == 3


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_what_one_is_told_to_have_used_up_all_leave_alone(
    kind: str, servers: Callable[[str], RedisServer]
) -> None:
    nothing_left = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 0\r\n"
        b"X-RateLimit-Reset: 300\r\n\r\n"
    )
    async with serve(reply(nothing_left)) as vendor:
        text = settings(vendor.url(), servers(kind).url, state='prefix = "used-up"')
        heard: asyncio.Queue[Spent] = asyncio.Queue()
        async with clients(2, text) as ((a, _), (b, _)):
            assert a.shared is not None
            assert b.shared is not None
            b.shared.spent.listen(heard.put_nowait)
            await b.shared.ensure()
            assert await get(a) == 200
            assert (await asyncio.wait_for(heard.get(), PATIENCE_S)).key == "vendor"
            for fl in (a, b):
                with pytest.raises(errors.RateLimitedError) as caught:
                    await get(fl)
                assert caught.value.retry_after_s is not None
                assert 200 < caught.value.retry_after_s <= 300
        async with clients(1, text) as ((late, _),):
            with pytest.raises(errors.RateLimitedError):
                await get(late)
        assert len(vendor.requests) == 1


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_what_a_reload_changed_is_shared_at_once(kind: str, servers: Callable[[str], RedisServer]) -> None:
    url = servers(kind).url  # which empties it

    def text(requests: int) -> str:
        rate = f"{{ requests = {requests}, per_s = 3600 }}"
        return settings(vendor.url(), url, rate=rate, state='prefix = "reloaded"')

    async with serve(reply(EMPTY)) as vendor, clients(2, text(4)) as ((a, _), (b, _)):
        assert [await get(fl) for fl in (a, b)] == [200, 200]
        for fl in (a, b):
            await fl.reload(parse_settings(text(6)))
        assert [await get(fl) for fl in (a, b, a, b)] == [200] * 4
        for fl in (a, b):
            with pytest.raises(errors.RateLimitedError):
                await get(fl)
        assert len(vendor.requests) == 6


@pytest.mark.parametrize("on_loss", ["scale", "refuse"])
async def test_what_is_reloaded_while_the_store_is_lost_does_as_the_settings_say(on_loss: str) -> None:
    with running() as server:
        async with serve(reply(EMPTY)) as vendor:

            def text(requests: int) -> str:
                rate = f"{{ requests = {requests}, per_s = 3600 }}"
                return settings(vendor.url(), server.url, rate=rate, state=f'on_loss = "{on_loss}"')

            async with clients(1, text(4)) as ((fl, told),):
                assert await get(fl) == 200
                server.kill()
                await told.wait_for(StorageLost)
                await fl.reload(parse_settings(text(6)))
                if on_loss == "scale":
                    assert await get(fl) == 200
                else:
                    with pytest.raises(errors.StateLostError):
                        await get(fl)
