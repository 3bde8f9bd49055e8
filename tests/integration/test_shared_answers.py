"""Answers that processes share through a real server, which is lost and comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.errors import InvalidSettingError
from fairlead.observe.events import StorageBack, StorageLost
from raw_server import reply, serve
from redis_fixtures import servers
from redis_server import PROGRAMS, RedisServer, running
from sharing import clients, settings

__all__ = ["servers"]
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=600\r\n\r\n{}"
KEY = "0123456789abcdef0123456789abcdef"


def sharing(vendor: str, redis: str, key_file: str, *, prefix: str = "answers") -> str:
    state = f'prefix = "{prefix}"\ncache_key = "file:{key_file}"'
    return settings(vendor, redis, state=state) + "cache = { shared = true }\n"


async def read(fl: Fairlead, path: str = "/a", tenant: str | None = None) -> None:
    assert (await fl.http("vendor").get(path, tenant=tenant)).status == 200


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(KEY)
    return str(path)


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_what_one_asked_for_all_have(kind: str, servers: Callable[[str], RedisServer], key_file: str) -> None:
    async with (
        serve(reply(KEPT)) as vendor,
        clients(2, sharing(vendor.url(), servers(kind).url, key_file)) as ((a, _), (b, _)),
    ):
        await read(a)
        await read(b)
        await read(b)
        assert len(vendor.requests) == 1
        await read(b, tenant="acme")
        await read(a, tenant="acme")
        assert len(vendor.requests) == 2
        assert await b.invalidate("tenant:acme") == 1
        await read(a)
        await read(a, tenant="acme")
        assert len(vendor.requests) == 3


async def test_a_lost_store_is_a_miss_and_what_was_dropped_meanwhile_stays_dropped(key_file: str) -> None:
    with running() as server:
        async with (
            serve(reply(KEPT)) as vendor,
            clients(1, sharing(vendor.url(), server.url, key_file)) as ((fl, told),),
        ):
            await read(fl, "/a")
            await read(fl, "/b")
            server.pause()
            await read(fl, "/a")
            await told.wait_for(StorageLost)
            await fl.invalidate("vendor:/b")
            assert len(vendor.requests) == 3
            server.resume()
            await told.wait_for(StorageBack)
            await read(fl, "/b")
            await read(fl, "/b")
            assert len(vendor.requests) == 4


async def test_other_keys_share_nothing(servers: Callable[[str], RedisServer], tmp_path: Path, key_file: str) -> None:
    other = tmp_path / "other"
    other.write_text(KEY[::-1])
    async with serve(reply(KEPT)) as vendor:
        for key in (key_file, str(other)):
            text = sharing(vendor.url(), servers("redis").url, key, prefix="others")
            async with clients(1, text) as ((fl, _),):
                await read(fl)
        assert len(vendor.requests) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[connections.a]\nbase_url = "http://a.test"\ncache = { shared = true }', "state.url and state.cache_key"),
        ('[state]\ncache_key = "env:KEY"', "state.url is not"),
        ('[state]\nurl = "redis://127.0.0.1:1/0"\ncache_key = "env:KEY"', "shorter than 32"),
    ],
)
async def test_what_cannot_be_shared_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Fairlead(parse_settings(text), environment={"KEY": "short"})
    assert says in str(caught.value)
