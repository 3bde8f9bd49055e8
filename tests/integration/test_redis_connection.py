"""The connection to real servers, and to some that misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from fairlead.errors import FairleadError, InvalidSettingError, StorageError
from fairlead.model.secret import Secret
from fairlead.runtime.ports import SystemClock
from fairlead.storage.redis import Redis, RedisOptions, Script, parse_url
from raw_server import Peer, ignore, serve
from redis_fixtures import servers
from redis_server import PROGRAMS, RedisServer, running
from shared_stores import client_of, half

__all__ = ["servers"]
CANARY = "canary-4711"


class Heard:
    """What a client says of its connection."""

    def __init__(self) -> None:
        self.ups = 0
        self.reasons: list[str] = []
        self.is_up = asyncio.Event()
        self.is_down = asyncio.Event()

    async def up(self) -> None:
        self.ups += 1
        self.is_down.clear()
        self.is_up.set()

    def down(self, reason: str) -> None:
        self.reasons.append(reason)
        self.is_up.clear()
        self.is_down.set()


@asynccontextmanager
async def opened(options: RedisOptions) -> AsyncIterator[tuple[Redis, Heard]]:
    heard = Heard()
    redis = Redis(options, clock=SystemClock(), random=half, on_up=heard.up, on_down=heard.down)
    redis.open()
    try:
        await redis.wait_first_try(10.0)
        yield redis, heard
    finally:
        await redis.close()


@pytest.fixture(params=PROGRAMS)
def server(request: pytest.FixtureRequest, servers: Callable[[str], RedisServer]) -> RedisServer:
    return servers(request.param)


async def test_many_commands_at_once_are_answered_each_with_its_own(server: RedisServer) -> None:
    redis = client_of(server)
    answers = await asyncio.gather(*(redis.call("ECHO", str(at)) for at in range(1000)))
    assert answers == [str(at).encode() for at in range(1000)]
    await redis.close()


async def test_a_cancelled_command_takes_nobody_elses_answer(server: RedisServer) -> None:
    redis = client_of(server)
    await redis.call("PING")
    tasks = [asyncio.ensure_future(redis.call("ECHO", str(at))) for at in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[1::2] == [str(at).encode() for at in range(1, 10, 2)]
    await redis.close()


async def test_a_script_is_sent_in_full_only_where_it_is_not_known(server: RedisServer) -> None:
    redis = client_of(server)
    script = Script("return ARGV[1]")
    server.say("SCRIPT", "FLUSH")
    server.say("CONFIG", "RESETSTAT")
    for _ in range(2):
        assert await redis.run(script, [], "x") == b"x"
    server.say("SCRIPT", "FLUSH")
    assert await redis.run(script, [], "y") == b"y"
    told = server.say("INFO", "commandstats")
    assert "cmdstat_eval:calls=2" in told
    assert "cmdstat_evalsha:calls=3" in told
    await redis.close()


async def test_it_heals_by_itself_and_meanwhile_says_at_once_that_it_is_lost() -> None:
    with running() as server:
        async with opened(parse_url(server.url, answer_s=5.0)) as (redis, heard):
            await redis.call("SET", "k", "v")
            server.kill()
            await asyncio.wait_for(heard.is_down.wait(), 10)
            with pytest.raises(StorageError):
                await redis.call("GET", "k")
            server.start()
            await asyncio.wait_for(heard.is_up.wait(), 20)
            assert await redis.call("GET", "k") is None
            assert heard.ups == 2


async def test_a_late_answer_ends_the_connection_and_all_that_wait() -> None:
    async with serve(ignore) as deaf:
        options = RedisOptions(port=deaf.port, answer_s=0.05)
        async with opened(options) as (redis, heard):
            await asyncio.wait_for(heard.is_down.wait(), 10)
            assert not redis.is_up
            assert heard.reasons[0] == "The store did not answer: no answer within 0.05 s"


async def test_what_is_not_resp_ends_the_connection() -> None:
    async def babble(peer: Peer) -> None:
        await peer.read_some()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.wait_for_end()

    async with serve(babble) as web, opened(RedisOptions(port=web.port)) as (redis, heard):
        await asyncio.wait_for(heard.is_down.wait(), 10)
        assert "what it says is not RESP" in heard.reasons[0]
        assert not redis.is_up


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_a_password_lets_in_and_a_wrong_one_does_not(kind: str) -> None:
    with running(kind, password=CANARY) as server:
        async with opened(parse_url(server.url, password=Secret(CANARY))) as (redis, _):
            assert await redis.call("PING") == b"PONG"
        for wrong, said in ((Secret(CANARY + "x"), "WRONGPASS"), (None, "NOAUTH")):
            with pytest.raises(StorageError, match=said) as caught:
                await client_probe(parse_url(server.url, password=wrong))
            assert CANARY not in str(caught.value)


async def client_probe(options: RedisOptions) -> str:
    return await Redis(options, clock=SystemClock(), random=half).probe()


async def test_a_server_that_repeats_what_it_was_sent_gives_no_password_away() -> None:
    async def echo(peer: Peer) -> None:
        text = await peer.read_some()
        assert CANARY.encode() in text
        await peer.send(b"-ERR unknown command `HELLO`, with args: `AUTH` `default` `" + CANARY.encode() + b"`\r\n")
        await peer.wait_for_end()

    async with serve(echo) as old:
        options = RedisOptions(port=old.port, password=Secret(CANARY))
        async with opened(options) as (_, heard):
            await asyncio.wait_for(heard.is_down.wait(), 10)
            assert heard.reasons == ["The store does not let us in: ERR"]
        with pytest.raises(StorageError) as caught:
            await client_probe(options)
        assert CANARY not in f"{caught.value} {caught.value.__cause__} {options}"


async def test_tls_is_checked(tmp_path: Path, servers: Callable[[str], RedisServer]) -> None:
    server = servers("redis")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)

    async def pass_on(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def back() -> None:
            while data := await reader.read(65536):
                await peer.send(data)

        answering = asyncio.ensure_future(back())
        try:
            while data := await peer.read():
                writer.write(data)
        finally:
            answering.cancel()
            writer.close()

    async with serve(pass_on, tls=context) as tunnel:
        url = f"rediss://127.0.0.1:{tunnel.port}"
        assert (await client_probe(parse_url(url, ca_file=str(tmp_path / "ca.pem")))).startswith("redis ")
        with pytest.raises(StorageError, match="TLS failed"):
            await client_probe(parse_url(url))


def test_a_url_is_read() -> None:
    options = parse_url("rediss://us%20er@cache.example:7000/3")
    assert (options.host, options.port, options.database, options.user, options.tls) == (
        "cache.example",
        7000,
        3,
        "us er",
        True,
    )
    assert parse_url("redis://localhost").place == "localhost:6379/0"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{CANARY}@localhost",
        f"redis://user:{CANARY}@localhost:6379/0",
        f"http://{CANARY}",
        f"redis://localhost/{CANARY}",
        f"redis://localhost:{CANARY}/0",
        f"redis://localhost/0?password={CANARY}",
        CANARY,
        "redis://",
    ],
)
def test_a_url_that_cannot_be_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        parse_url(url)
    error: FairleadError = caught.value
    assert "state.url" in error.message
    assert error.hint
    assert CANARY not in str(error)


def test_a_certificate_file_that_is_none_is_named() -> None:
    with pytest.raises(InvalidSettingError, match=r"state\.ca_file"):
        Redis(RedisOptions(tls=True, ca_file="/nowhere"), clock=SystemClock(), random=half)
    with pytest.raises(InvalidSettingError, match=r"state\.ca_file"):
        parse_url("redis://localhost", ca_file="/nowhere")
