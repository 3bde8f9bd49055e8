"""Answers that are streamed: piece by piece, no faster than they are read, and never less than whole without a word."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conformance.transport.test_bounds import at_most
from fairlead.model.exchange import Broken, StreamEnded, Transport
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from h2_server import H2Peer
from raw_server import Peer, RawServer, let_the_client_read, reply
from stages import PATIENCE_S, SHORT_S, Authority, Client, free_places, request_for
from talks import BOMB, CHUNKED, HALF, HALF_AND_RESET, HALF_AND_STALL, Talk, bomb, saying

ASKED = Request(method="GET", path="/things", effect=Effect.READ, is_streamed=True)
POOL = 2


@asynccontextmanager
async def listening(
    client: Client, authority: Authority, talk: Talk, **changes: Any
) -> AsyncIterator[tuple[RawServer, Transport]]:
    """Serve, and see at the end that every place is free again."""
    async with asyncio.timeout(PATIENCE_S * 2), client.serve(authority, talk, pool=POOL, **changes) as (server, wanted):
        transport = client.make(wanted)
        yield server, transport
        assert free_places(transport) == POOL
        await transport.close()


async def begin(transport: Transport, request: Request = ASKED, *, timeout_s: float = PATIENCE_S) -> Any:
    """Return the stream of an answer."""
    answer = await transport.exchange(request, timeout_s=timeout_s)
    assert isinstance(answer, Response), answer
    return answer.stream


async def ending(stream: Any) -> Broken:
    with pytest.raises(StreamEnded) as caught:
        async for _ in stream:
            pass
    return caught.value.broken


def pieces(*said: bytes, tail: bytes = b"\r\n", head: str = "") -> Talk:
    """Say a body in pieces, and fields after it."""

    async def http1(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(CHUNKED.replace(b"\r\n\r\n", f"\r\n{head}\r\n".encode()))
            for piece in said:
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                await let_the_client_read()
            await peer.send(b"0\r\n" + tail)

    async def http2(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            fields = [
                (name.lower(), value) for name, _, value in (line.partition(": ") for line in head.split("\r\n")[:-1])
            ]
            await peer.send_head(stream, 200, fields)
            for piece in said:
                await peer.send_body(stream, piece, is_all=False)
            after = [line.partition(": ") for line in tail.decode().split("\r\n") if line]
            if after:
                peer.state.send_headers(stream.number, [(n.lower(), v) for n, _, v in after], end_stream=True)
                await peer.flush()
            else:
                await peer.send_body(stream, b"")

    return Talk(http1, http2)


# --- Whole --------------------------------------------------------------------------------------------------------


async def test_an_answer_comes_in_pieces_and_the_connection_serves_again(client: Client, authority: Authority) -> None:
    async with listening(client, authority, pieces(b"one", b"two", b"three")) as (server, transport):
        for _ in range(3):
            stream = await begin(transport)
            assert b"".join([piece async for piece in stream]) == b"onetwothree"
            assert free_places(transport) == POOL
    assert server.connections == 1


async def test_the_fields_after_it_are_told(client: Client, authority: Authority) -> None:
    async with listening(client, authority, pieces(b"one", tail=b"X-Sum: 3\r\n\r\n")) as (_, transport):
        stream = await begin(transport)
        assert [piece async for piece in stream] == [b"one"]
        assert [(name.lower(), value) for name, value in stream.trailers()] == [("x-sum", "3")]


async def test_a_packed_answer_is_unpacked_as_it_comes(client: Client, authority: Authority) -> None:
    packed = gzip.compress(b"ab" * 50_000)
    cut = len(packed) // 2
    talk = pieces(packed[:cut], packed[cut:], head="Content-Encoding: gzip\r\n")
    async with listening(client, authority, talk) as (_, transport):
        stream = await begin(transport)
        assert b"".join([piece async for piece in stream]) == b"ab" * 50_000


async def test_one_that_is_packed_and_cut_short_is_not_whole(client: Client, authority: Authority) -> None:
    talk = pieces(gzip.compress(b"ab" * 50)[:-9], head="Content-Encoding: gzip\r\n")
    async with listening(client, authority, talk) as (_, transport):
        broken = await ending(await begin(transport))
    assert (broken.failure, broken.phase) == (Failure.PROTOCOL, Phase.RECEIVING)


async def test_a_bomb_stays_small(client: Client, authority: Authority) -> None:
    bomb()
    async with listening(client, authority, BOMB) as (_, transport):
        with at_most(megabytes=6):
            stream = await begin(transport)
            size = 0
            async for piece in stream:
                assert len(piece) < 100_000
                size += len(piece)
    assert size == 50_000_000


@pytest.mark.parametrize("status", [204, 304, 200])
async def test_an_answer_without_a_body_has_an_empty_stream(status: int, client: Client, authority: Authority) -> None:
    async with listening(client, authority, saying(status, b"")) as (server, transport):
        for _ in range(2):
            assert [piece async for piece in await begin(transport)] == []
    assert server.connections == 1


async def test_a_head_has_a_length_and_no_body(client: Client, authority: Authority) -> None:
    head = Request(method="HEAD", path="/things", effect=Effect.READ, is_streamed=True)

    async def http2(peer: H2Peer) -> None:
        while True:
            await peer.send_head(await peer.read_request(), 200, [("content-length", "9")], is_all=True)

    talk = Talk(reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), http2)
    async with listening(client, authority, talk) as (server, transport):
        for _ in range(2):
            answer = await transport.exchange(head, timeout_s=PATIENCE_S)
            assert isinstance(answer, Response)
            assert answer.headers["content-length"] == "9"
            assert [piece async for piece in answer.stream] == []
    assert server.connections == 1


@pytest.mark.parametrize("status", [304, 204])
async def test_the_length_of_what_does_not_come_is_no_reason_to_refuse_it(
    status: int, client: Client, authority: Authority
) -> None:
    """RFC 9110 §8.6: a 304 may tell how long the 200 would have been."""

    async def http2(peer: H2Peer) -> None:
        await peer.send_head(await peer.read_request(), status, [("content-length", "2000000000")], is_all=True)
        await peer.wait_for_end()

    said = f"HTTP/1.1 {status} Whatever\r\nContent-Length: 2000000000\r\n\r\n".encode()
    async with listening(client, authority, Talk(reply(said), http2)) as (_, transport):
        answer = await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (status, b"")


async def test_words_before_the_answer_are_not_the_answer(client: Client, authority: Authority) -> None:
    async def http2(peer: H2Peer) -> None:
        stream = await peer.read_request()
        for status in (100, 103, 103):
            await peer.send_head(stream, status, [("link", "</style.css>")])
        await peer.send_head(stream, 200)
        await peer.send_body(stream, b"fine")
        await peer.wait_for_end()

    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    said = b"HTTP/1.1 100 Continue\r\n\r\n" + early * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
    async with listening(client, authority, Talk(reply(said), http2)) as (_, transport):
        answer = await transport.exchange(ASKED, timeout_s=PATIENCE_S)
        assert isinstance(answer, Response)
        assert (answer.status, "link" in answer.headers) == (200, False)
        assert [piece async for piece in answer.stream] == [b"fine"]


# --- Broken off ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("talk", "failure"),
    [(HALF, Failure.TRUNCATED), (HALF_AND_RESET, Failure.TRUNCATED), (HALF_AND_STALL, Failure.TIMEOUT)],
    ids=["closed", "reset", "stalled"],
)
async def test_one_that_breaks_off_says_so(talk: Talk, failure: Failure, client: Client, authority: Authority) -> None:
    async with listening(client, authority, talk, read_s=0.2) as (server, transport):
        broken = await ending(await begin(transport))
    assert (broken.failure, broken.phase) == (failure, Phase.RECEIVING)
    assert str(server.port) in broken.detail


async def test_events_may_be_long_in_coming(client: Client, authority: Authority) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n"))
        await asyncio.sleep(SHORT_S * 4)
        await peer.send(b"4\r\nlate\r\n0\r\n\r\n")
        await peer.wait_for_end()

    async def http2(peer: H2Peer) -> None:
        stream = await peer.read_request()
        await peer.send_head(stream, 200, [("content-type", "text/event-stream")])
        await asyncio.sleep(SHORT_S * 4)
        await peer.send_body(stream, b"late")
        await peer.wait_for_end()

    async with listening(client, authority, Talk(http1, http2)) as (_, transport):
        assert [piece async for piece in await begin(transport)] == [b"late"]
    async with listening(client, authority, Talk(http1, http2), read_s=SHORT_S) as (_, transport):
        stream = None
        while stream is None:  # the handshake may take longer than that
            answer = await transport.exchange(ASKED, timeout_s=PATIENCE_S)
            stream = answer.stream if isinstance(answer, Response) else None
        assert [piece async for piece in stream] == [b"late"]
