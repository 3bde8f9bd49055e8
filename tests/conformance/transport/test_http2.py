"""What only HTTP/2 has: many requests on one connection, none of which may harm another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from h2.errors import ErrorCodes

from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.transport.connect import connect
from fairlead.transport.http import HttpTransport
from fairlead.transport.http2 import Http2Transport
from fairlead.transport.redirects import Redirecting
from h2_server import H2Peer, H2Script, speak, with_h2
from raw_server import EMPTY, RawServer, let_the_client_read, reply, serve
from stages import HTTP2, PATIENCE_S, Authority, options, request_for
from talks import FINE, QUIET

assert FINE.http2
assert QUIET.http2
FINE_2, QUIET_2 = FINE.http2, QUIET.http2
READ = Request.get("/things")


@asynccontextmanager
async def meeting(
    authority: Authority, script: H2Script, *, pool: int = 100, **settings: int
) -> AsyncIterator[tuple[RawServer, Http2Transport]]:
    async with serve(speak(script, **settings), tls=with_h2(authority.server("127.0.0.1"))) as server:
        transport = Http2Transport(options(server.url("https"), ca_file=authority.file, pool=pool))
        yield server, transport
        await transport.close()


async def until_there_are(server: RawServer, requests: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(server.requests) < requests:
            await let_the_client_read()


# --- One connection for many --------------------------------------------------------------------------------------


async def test_many_requests_share_a_connection(authority: Authority) -> None:
    peers: list[H2Peer] = []

    async def script(peer: H2Peer) -> None:
        peers.append(peer)
        streams = [await peer.read_request() for _ in range(20)]
        for stream in reversed(streams):
            await peer.send_head(stream, 200)
            await peer.send_body(stream, stream.fields[":path"].encode())
        await peer.wait_for_end()

    async with meeting(authority, script) as (server, transport):
        asked = [transport.exchange(Request.get(f"/{number}"), timeout_s=PATIENCE_S) for number in range(20)]
        results = await asyncio.gather(*asked)
    assert [result.body for result in results if isinstance(result, Response)] == [b"/%d" % n for n in range(20)]
    assert server.connections == 1
    assert not peers[0].resets


async def test_no_more_at_once_than_the_server_allows(authority: Authority) -> None:
    """Its protocol library ends a connection on which more are begun."""

    async def script(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            await let_the_client_read()
            await peer.send_head(stream, 200, is_all=True)

    async with meeting(authority, script, max_concurrent_streams=2) as (server, transport):
        results = await asyncio.gather(*(transport.exchange(READ, timeout_s=PATIENCE_S) for _ in range(12)))
    assert all(isinstance(result, Response) for result in results)
    assert len(server.requests) == 12
    assert server.connections > 1


async def test_a_server_that_allows_nothing_gets_nothing(authority: Authority) -> None:
    async with meeting(authority, FINE_2, max_concurrent_streams=0) as (server, transport):
        result = await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S)
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.REFUSED, Phase.CONNECTING)
    assert not server.requests


async def test_no_more_at_once_than_the_pool_has_places(authority: Authority) -> None:
    most = 0

    async def script(peer: H2Peer) -> None:
        nonlocal most
        while True:
            stream = await peer.read_request()
            await let_the_client_read()
            most = max(most, len(peer.state.streams))
            await peer.send_head(stream, 200, is_all=True)

    async with meeting(authority, script, pool=3) as (_, transport):
        await asyncio.gather(*(transport.exchange(READ, timeout_s=PATIENCE_S) for _ in range(12)))
    assert most <= 3


# --- What one request does not do to another ----------------------------------------------------------------------


async def test_cancelling_resets_the_stream_and_nothing_else(authority: Authority) -> None:
    """The library that was tried first left the stream open, and the vendor at work."""
    peers: list[H2Peer] = []

    async def script(peer: H2Peer) -> None:
        peers.append(peer)
        first, second = await peer.read_request(), await peer.read_request()
        await peer.send_head(first, 200)
        while not peer.resets:
            await peer.read()
        await peer.send_head(second, 200, is_all=True)
        await peer.wait_for_end()

    async with meeting(authority, script) as (server, transport):
        first = asyncio.create_task(transport.exchange(READ, timeout_s=PATIENCE_S))
        await until_there_are(server, 1)
        second = asyncio.create_task(transport.exchange(READ, timeout_s=PATIENCE_S))
        await until_there_are(server, 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert isinstance(await second, Response)
    assert peers[0].resets == [1]
    assert server.connections == 1


async def test_nor_does_one_that_takes_too_long(authority: Authority) -> None:
    async def script(peer: H2Peer) -> None:
        await peer.read_request()
        second = await peer.read_request()
        while not peer.resets:
            await peer.read()
        await peer.send_head(second, 200, is_all=True)
        await peer.wait_for_end()

    async with meeting(authority, script) as (server, transport):
        slow = asyncio.create_task(transport.exchange(READ, timeout_s=1.0))
        await until_there_are(server, 1)
        results = await asyncio.gather(slow, transport.exchange(READ, timeout_s=PATIENCE_S))
    assert results[0] == Broken(Failure.TIMEOUT, Phase.WAITING, server.url("https"))
    assert isinstance(results[1], Response)
    assert server.connections == 1


async def test_streams_that_were_left_do_not_count_against_the_servers_limit(authority: Authority) -> None:
    async def script(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            if stream.fields[":path"] == "/last":
                await peer.send_head(stream, 200, is_all=True)
            else:
                await peer.send_head(stream, 200)

    async with meeting(authority, script, max_concurrent_streams=2) as (server, transport):
        for number in range(6):
            task = asyncio.create_task(transport.exchange(READ, timeout_s=PATIENCE_S))
            await until_there_are(server, number + 1)
            await let_the_client_read()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert isinstance(await transport.exchange(Request.get("/last"), timeout_s=PATIENCE_S), Response)
    assert server.connections == 1


async def test_answers_that_are_not_read_leave_room_for_others(authority: Authority) -> None:
    """What has come for a stream that is left is acknowledged, or the connection's window would close for all."""

    async def script(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            is_last = stream.fields[":path"] == "/last"
            await peer.send_head(stream, 200, [("content-length", "4" if is_last else "2000000000")])
            await peer.send_body(stream, b"last" if is_last else bytes(200_000), is_all=is_last)

    async with meeting(authority, script) as (server, transport):
        for _ in range(100):
            result = await transport.exchange(READ, timeout_s=PATIENCE_S)
            assert isinstance(result, Broken)
            assert result.failure is Failure.TOO_LARGE
        last = await transport.exchange(Request.get("/last"), timeout_s=PATIENCE_S)
    assert isinstance(last, Response)
    assert last.body == b"last"
    assert server.connections == 1


# --- A server that leaves -----------------------------------------------------------------------------------------


async def test_a_request_that_was_turned_away_is_sent_once(authority: Authority) -> None:
    """The library that was tried first sent it again, unasked."""

    async def script(peer: H2Peer) -> None:
        await peer.send_head(await peer.read_request(), 200, is_all=True)
        await peer.read_request()
        await peer.go_away(last=1)
        await peer.wait_for_end()

    async with meeting(authority, script) as (server, transport):
        assert isinstance(await transport.exchange(READ, timeout_s=PATIENCE_S), Response)
        result = await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S)
        assert result == Broken(Failure.TURNED_AWAY, Phase.WAITING, server.url("https"))
        assert len(server.requests) == 2
        third = asyncio.create_task(transport.exchange(READ, timeout_s=PATIENCE_S))
        assert isinstance(await third, Response)  # on a new connection
    assert server.connections == 2


async def test_what_a_leaving_server_has_begun_it_finishes(authority: Authority) -> None:
    async def script(peer: H2Peer) -> None:
        first = await peer.read_request()
        second = await peer.read_request()
        await peer.announce_end(last=first.number)
        await let_the_client_read()
        await peer.send_head(first, 200)
        await peer.send_body(first, b"{}")
        assert second.number > first.number
        await peer.wait_for_end()

    async with meeting(authority, script) as (server, transport):
        first = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await until_there_are(server, 1)
        second = await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S)
        assert isinstance(await first, Response)
        async with asyncio.timeout(PATIENCE_S):
            await server.has_ended.wait()  # nothing more is expected of it
    assert second == Broken(Failure.TURNED_AWAY, Phase.WAITING, server.url("https"))


async def test_a_connection_that_went_silent_gets_no_more_requests(authority: Authority) -> None:
    async def script(peer: H2Peer) -> None:
        if server.connections == 1:
            await peer.read_request()
            await peer.stay_deaf()
        await FINE_2(peer)

    async with meeting(authority, script) as (server, transport):
        slow = await transport.exchange(READ, timeout_s=1.0)
        assert isinstance(slow, Broken)
        assert isinstance(await transport.exchange(READ, timeout_s=PATIENCE_S), Response)
    assert server.connections == 2


async def test_an_early_answer_ends_the_request(authority: Authority) -> None:
    async def script(peer: H2Peer) -> None:
        stream = await peer.read_head()
        await peer.send_head(stream, 413, is_all=True)
        await peer.refuse(stream, ErrorCodes.NO_ERROR)
        await peer.wait_for_end()

    request = Request(method="POST", path="/things", effect=Effect.ONCE, body=bytes(5_000_000))
    async with meeting(authority, script) as (_, transport):
        result = await transport.exchange(request, timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == 413


async def test_closing_ends_what_is_under_way(authority: Authority) -> None:
    async with meeting(authority, QUIET_2) as (server, transport):
        task = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await server.has_begun.wait()
        await let_the_client_read()
        await transport.close()
        result = await task
    assert isinstance(result, Broken)
    assert result.failure is Failure.RESET


# --- A server that will not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("offers", [["http/1.1"], []], ids=["says so", "says nothing"])
async def test_a_server_without_http2_is_spoken_to_in_http1(offers: list[str], authority: Authority) -> None:
    context = authority.server("127.0.0.1")
    if offers:
        context.set_alpn_protocols(offers)
    async with serve(reply(EMPTY), tls=context) as server:
        transport = Http2Transport(options(server.url("https"), ca_file=authority.file))
        results = await asyncio.gather(*(transport.exchange(READ, timeout_s=PATIENCE_S) for _ in range(3)))
        results.append(await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await transport.close()
    assert all(isinstance(result, Response) for result in results)
    assert len(server.requests) == 4  # each once


async def test_plain_http_is_http1(authority: Authority) -> None:
    async with serve(reply(EMPTY)) as server:
        assert isinstance(await HTTP2.exchange(options(server.url()), READ), Response)
    assert server.requests[0].startswith(b"GET /things HTTP/1.1\r\n")


# --- Choosing -----------------------------------------------------------------------------------------------------


def test_the_options_choose_the_client() -> None:
    assert isinstance(connect(options("https://shop.test")), HttpTransport)
    assert isinstance(connect(options("https://shop.test", http2=True)), Http2Transport)
    assert isinstance(connect(options("https://shop.test", follow_redirects=1)), Redirecting)


def test_a_missing_package_is_told_with_what_to_install() -> None:
    """In an interpreter that has no `h2`; and HTTP/1.1 does without."""
    code = """
import sys
sys.modules["h2"] = None
from fairlead.errors import ConfigError
from fairlead.transport.connect import connect
from fairlead.transport.http import HttpOptions
connect(HttpOptions(base_url="https://shop.test"))
try:
    connect(HttpOptions(base_url="https://shop.test", http2=True))
except ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.startswith("http2: ")
    assert done.stdout.endswith("pip install fairlead[http2]\n")
