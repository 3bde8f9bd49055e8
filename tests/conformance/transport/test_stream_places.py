"""Streams that are not read, left, forgotten or carried into another event loop: what they hold comes back."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from conformance.transport.test_bounds import at_most
from conformance.transport.test_streams import ASKED, POOL, begin, ending, listening, pieces
from fairlead.model.exchange import Broken, Transport
from fairlead.model.outcome import Effect, Failure, Phase
from h2_server import H2Peer
from raw_server import Peer, let_the_client_read
from stages import PATIENCE_S, SHORT_S, Authority, Client, free_places, request_for
from talks import CHUNKED, FINE, HALF_AND_STALL, ON_AND_ON, Talk

# --- Held up ------------------------------------------------------------------------------------------------------


async def test_whoever_does_not_read_holds_the_server_up(client: Client, authority: Authority) -> None:
    sent = 0
    piece = bytes(64 * 1024)

    async def http1(peer: Peer) -> None:
        nonlocal sent
        await peer.read_request()
        await peer.send(CHUNKED)
        for _ in range(1_600):
            await peer.send(b"10000\r\n" + piece + b"\r\n")
            sent += 1
        await peer.send(b"0\r\n\r\n")
        await peer.wait_for_end()

    async def http2(peer: H2Peer) -> None:
        nonlocal sent
        stream = await peer.read_request()
        await peer.send_head(stream, 200)
        for _ in range(1_600):
            await peer.send_body(stream, piece, is_all=False)
            sent += 1
        await peer.send_body(stream, b"")
        await peer.wait_for_end()

    async with listening(client, authority, Talk(http1, http2), read_s=SHORT_S) as (_, transport):
        stream = await begin(transport)
        with at_most(megabytes=12):
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(SHORT_S * 2)  # the server's turns, in which nobody is late who is not read
        assert sent < 800
        size = 0
        async for each in stream:
            size += len(each)
    assert size == 1_600 * len(piece)


async def test_many_who_do_not_read_hold_nobody_else_up(client: Client, authority: Authority) -> None:
    async def http2(peer: H2Peer) -> None:
        waiting = []
        for _ in range(20):
            stream = await peer.read_request()
            await peer.send_head(stream, 200)
            room = peer.state.local_flow_control_window(stream.number)
            assert room, "one who does not read has used up what was for all"
            await peer.send_body(stream, bytes(min(room, 512 * 1024)), is_all=False)
            waiting.append(stream)
        await peer.wait_for_end()

    async with client.serve(authority, Talk(ON_AND_ON.http1, http2), pool=20) as (_, wanted):
        transport = client.make(wanted)
        streams = [await begin(transport, timeout_s=2.0) for _ in range(20)]
        await let_the_client_read()
        for stream in streams:
            await stream.aclose()
        assert free_places(transport) == 20
        await transport.close()


async def test_frames_of_nothing_take_no_memory(authority: Authority, client: Client) -> None:
    async def http2(peer: H2Peer) -> None:
        stream = await peer.read_request()
        await peer.send_head(stream, 200)
        for _ in range(100):
            for _ in range(1_000):
                peer.state.send_data(stream.number, b"")
            await peer.flush()
        await peer.send_body(stream, b"fine")
        await peer.wait_for_end()

    talk = Talk(pieces(b"fine").http1, http2)
    async with listening(client, authority, talk) as (_, transport):
        stream = await begin(transport)
        await asyncio.sleep(SHORT_S)
        kept = getattr(stream, "_stream", None)
        assert kept is None or len(kept.chunks) < 10
        assert b"".join([piece async for piece in stream]) == b"fine"


# --- Left ---------------------------------------------------------------------------------------------------------


async def test_one_that_is_left_early_gives_its_place_back(client: Client, authority: Authority) -> None:
    async def http2(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            await peer.send_head(stream, 200)
            await peer.send_body(stream, b"more is to come", is_all=False)

    async with listening(client, authority, Talk(ON_AND_ON.http1, http2)) as (server, transport):
        for _ in range(POOL + 1):
            stream = await begin(transport)
            assert await anext(stream)
            assert free_places(transport) == POOL - 1
            await stream.aclose()
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        await server.has_ended.wait() if not client.is_h2 else None


async def test_so_does_one_that_is_forgotten(client: Client, authority: Authority) -> None:
    async with listening(client, authority, ON_AND_ON) as (_, transport):
        stream = await begin(transport)
        del stream
        gc.collect()
        await let_the_client_read()
        assert free_places(transport) == POOL


async def test_a_pool_of_one_waits_for_a_stream_to_be_over(client: Client, authority: Authority) -> None:
    async with client.serve(authority, pieces(b"one"), pool=1) as (_, wanted):
        transport = client.make(wanted)
        stream = await begin(transport)
        late = await transport.exchange(request_for(Effect.ONCE), timeout_s=SHORT_S)
        assert late == Broken(Failure.TIMEOUT, Phase.QUEUED, wanted.base_url)
        waiting = asyncio.create_task(begin(transport))
        await let_the_client_read()
        assert not waiting.done()
        assert [piece async for piece in stream] == [b"one"]
        assert [piece async for piece in await waiting] == [b"one"]
        assert free_places(transport) == 1
        await transport.close()


async def test_cancelling_the_reader_gives_the_place_back(client: Client, authority: Authority) -> None:
    async with listening(client, authority, HALF_AND_STALL) as (_, transport):
        stream = await begin(transport)
        assert await anext(stream)
        reading = asyncio.create_task(anext(stream))
        await let_the_client_read()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_closing_ends_a_stream_that_is_open(client: Client, authority: Authority) -> None:
    async with listening(client, authority, HALF_AND_STALL) as (_, transport):
        stream = await begin(transport)
        await anext(stream)
        await transport.close()
        broken = await ending(stream)
    assert (broken.failure, broken.phase) == (Failure.TRUNCATED, Phase.RECEIVING)


async def test_what_ends_with_its_connection_is_not_whole_because_we_have_closed_it(
    client: Client, authority: Authority
) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nthe first half")
        await peer.wait_for_end()

    async with listening(client, authority, Talk(http1, HALF_AND_STALL.http2)) as (_, transport):
        stream = await begin(transport)
        await anext(stream)
        await transport.close()
        assert (await ending(stream)).failure is Failure.TRUNCATED


# --- One loop after another ---------------------------------------------------------------------------------------


def test_a_transport_serves_in_one_event_loop_after_the_other(client: Client, authority: Authority) -> None:
    """A program may call `asyncio.run` twice; what it left open in the first is not of the second."""
    kept: list[Any] = []

    async def first() -> Transport:
        async with client.serve(authority, FINE, pool=POOL) as (_, wanted):
            transport = client.make(wanted)
            await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
            asked = [transport.exchange(ASKED, timeout_s=PATIENCE_S) for _ in range(POOL)]
            kept.extend(await asyncio.gather(*asked))
            late = await transport.exchange(ASKED, timeout_s=SHORT_S)
            assert isinstance(late, Broken)
            return transport

    async def second(transport: Transport) -> None:
        results = await asyncio.gather(*(transport.exchange(ASKED, timeout_s=1.0) for _ in range(POOL + 1)))
        assert all(isinstance(each, Broken) and each.failure is Failure.REFUSED for each in results)
        for answer in kept:
            await answer.stream.aclose()
        assert free_places(transport) == POOL
        await transport.close()

    asyncio.run(second(asyncio.run(first())))
    gc.collect()
