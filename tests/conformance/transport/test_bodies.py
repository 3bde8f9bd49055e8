"""Requests whose body comes in pieces: as long as was promised, answered at any time, and not blamed on the vendor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from conformance.transport.test_bounds import at_most
from conformance.transport.test_streams import POOL, begin, listening
from fairlead.model.exchange import Broken
from fairlead.model.headers import Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from h2_server import H2Peer
from raw_server import Peer, let_the_client_read
from stages import PATIENCE_S, Authority, Client, free_places
from talks import CHUNKED, QUIET, Talk, http

PIECE = bytes(64 * 1024)


class Source:
    """A `Content` that yields what it is given; an exception among it is raised."""

    def __init__(self, *given: bytes | Exception, length: int | None = None, trailers: Pairs = ()) -> None:
        self._given = given
        self._trailers = trailers
        self.length = length
        self.is_spent = False
        self.taken = 0
        self.go_on: Callable[[], Any] = let_the_client_read

    async def open(self) -> AsyncIterator[bytes]:
        self.is_spent = True
        for each in self._given:
            if isinstance(each, Exception):
                raise each
            yield each
            self.taken += 1
            await self.go_on()

    def trailers(self) -> Pairs:
        return self._trailers


class Endless(Source):
    """Yields pieces for as long as somebody wants them."""

    async def open(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 1
            yield PIECE


def upload(content: Source, *headers: tuple[str, str], is_streamed: bool = False) -> Request:
    return Request(
        method="POST", path="/things", effect=Effect.ONCE, content=content, headers=headers, is_streamed=is_streamed
    )


def hearing(end: bytes) -> tuple[Talk, list[bytes]]:
    """Take everything in until it ends like this, and answer."""
    heard: list[bytes] = []

    async def http1(peer: Peer) -> None:
        data = b""
        while not data.endswith(end):
            data += await peer.read_some()
        heard.append(data)
        await peer.send(http(200))
        await peer.wait_for_end()

    async def http2(peer: H2Peer) -> None:
        stream = await peer.read_request()
        heard.append(repr(stream.fields).encode() + stream.body)
        await peer.send_head(stream, 200, is_all=True)
        await peer.wait_for_end()

    return Talk(http1, http2), heard


# --- As it was promised -------------------------------------------------------------------------------------------


async def test_a_body_of_known_length_is_sent_with_it(client: Client, authority: Authority) -> None:
    talk, heard = hearing(b"onetwo")
    async with listening(client, authority, talk) as (_, transport):
        answer = await transport.exchange(upload(Source(b"one", b"", b"two", length=6)), timeout_s=PATIENCE_S)
        assert isinstance(answer, Response)
    assert b"content-length" in heard[0].lower()
    assert heard[0].endswith(b"onetwo")


async def test_one_of_unknown_length_is_sent_in_chunks(client: Client, authority: Authority) -> None:
    talk, heard = hearing(b"0\r\nx-sum: 6\r\n\r\n")
    content = Source(b"one", b"", b"two", trailers=(("x-sum", "6"),))
    async with listening(client, authority, talk) as (_, transport):
        assert isinstance(await transport.exchange(upload(content), timeout_s=PATIENCE_S), Response)
    assert b"content-length" not in heard[0].lower()
    said = b"onetwo" if client.is_h2 else b"3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n"
    assert heard[0].endswith(said)


@pytest.mark.parametrize("length", [5, 7])
async def test_a_length_that_is_not_kept_is_our_own_fault(length: int, client: Client, authority: Authority) -> None:
    async with listening(client, authority, QUIET) as (_, transport):
        with pytest.raises(EOFError):
            await transport.exchange(upload(Source(b"one", b"two", length=length)), timeout_s=PATIENCE_S)


async def test_so_is_a_source_that_fails(client: Client, authority: Authority) -> None:
    async with listening(client, authority, QUIET) as (_, transport):
        with pytest.raises(ZeroDivisionError):
            await transport.exchange(upload(Source(b"one", ZeroDivisionError())), timeout_s=PATIENCE_S)


async def test_a_slow_source_makes_nobody_late(client: Client, authority: Authority) -> None:
    """A caller who sends slowly would open the circuit of a vendor that does its part."""
    talk, _ = hearing(b"0\r\n\r\n")
    content = Source(b"one", b"two", b"three")
    content.go_on = lambda: asyncio.sleep(0.6)
    async with listening(client, authority, talk, read_s=0.3) as (_, transport):
        answer = await transport.exchange(upload(content), timeout_s=PATIENCE_S)
    assert isinstance(answer, Response), answer


async def test_but_the_attempt_has_its_bound(client: Client, authority: Authority) -> None:
    content = Source(b"one", b"two")
    content.go_on = lambda: asyncio.sleep(PATIENCE_S)
    async with listening(client, authority, QUIET) as (_, transport):
        answer = await transport.exchange(upload(content), timeout_s=0.5)
    assert isinstance(answer, Broken)
    assert (answer.failure, answer.phase.was_sent) == (Failure.TIMEOUT, True)


async def test_a_server_that_takes_all_and_says_nothing_is_late(client: Client, authority: Authority) -> None:
    async with listening(client, authority, QUIET, read_s=0.2) as (_, transport):
        answer = await transport.exchange(upload(Source(b"one")), timeout_s=PATIENCE_S)
    assert isinstance(answer, Broken)
    assert (answer.failure, answer.phase) == (Failure.TIMEOUT, Phase.WAITING)


# --- Answered at any time -----------------------------------------------------------------------------------------


async def test_an_early_answer_stops_the_sending(client: Client, authority: Authority) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_some()
        await peer.send(http(413))
        await peer.wait_for_end()

    async def http2(peer: H2Peer) -> None:
        await peer.send_head(await peer.read_head(), 413, is_all=True)
        await peer.wait_for_end()

    content = Endless()
    async with listening(client, authority, Talk(http1, http2)) as (_, transport):
        answer = await transport.exchange(upload(content), timeout_s=PATIENCE_S)
        assert isinstance(answer, Response)
        assert answer.status == 413
        await let_the_client_read()
        before = content.taken
        await let_the_client_read()
        assert content.taken == before


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_server_that_breaks_off_in_the_middle_is_told_apart(
    client: Client, authority: Authority, *, is_streamed: bool
) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_some()
        peer.reset()

    async def http2(peer: H2Peer) -> None:
        await peer.refuse(await peer.read_head(), 2)
        await peer.wait_for_end()

    async with listening(client, authority, Talk(http1, http2)) as (_, transport):
        answer = await transport.exchange(upload(Endless(), is_streamed=is_streamed), timeout_s=PATIENCE_S)
    assert isinstance(answer, Broken)
    assert (answer.failure, answer.phase.was_sent) == (Failure.RESET, True)


async def test_a_server_that_does_not_read_holds_the_source_up(client: Client, authority: Authority) -> None:
    async def deaf(peer: Any) -> None:
        await peer.stay_deaf()

    content = Endless()
    async with listening(client, authority, Talk(deaf, deaf), read_s=0.5) as (_, transport):
        with at_most(megabytes=6):
            answer = await transport.exchange(upload(content), timeout_s=PATIENCE_S)
    assert isinstance(answer, Broken)
    assert answer.failure is Failure.TIMEOUT
    assert content.taken < 200


async def test_an_echo_of_50_megabytes_goes_both_ways_at_once(client: Client, authority: Authority) -> None:
    async def http1(peer: Peer) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await peer.read_some()
        await peer.send(CHUNKED + data.partition(b"\r\n\r\n")[2])
        while not data.endswith(b"\r\n0\r\n\r\n"):
            data = data[-10:] + (piece := await peer.read_some())
            await peer.send(piece)
        await peer.wait_for_end()

    async def http2(peer: H2Peer) -> None:
        stream = await peer.read_head()
        await peer.send_head(stream, 200)
        while not (stream.is_complete and not stream.body):
            body, stream.body = stream.body, b""
            await peer.send_body(stream, body, is_all=False)
            if not stream.is_complete and not stream.body:
                await peer.read()
        await peer.send_body(stream, b"")
        await peer.wait_for_end()

    async with listening(client, authority, Talk(http1, http2)) as (_, transport):
        content = Source(*[PIECE] * 800)
        content.go_on = lambda: asyncio.sleep(0)
        with at_most(megabytes=12):
            stream = await begin(transport, upload(content, is_streamed=True))
            size = 0
            async for piece in stream:
                size += len(piece)
    assert size == 800 * len(PIECE)


# --- Waiting for leave --------------------------------------------------------------------------------------------


async def test_a_body_is_sent_as_soon_as_it_is_welcome(client: Client, authority: Authority) -> None:
    async def http1(peer: Peer) -> None:
        assert (await peer.read_some()).endswith(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(0.5):  # half of what a server may be silent
            assert await peer.read_some() == b"one"
        await peer.send(http(200))
        await peer.wait_for_end()

    content = Source(b"one", length=3)
    async with listening(client, authority, Talk(http1, hearing(b"")[0].http2)) as (_, transport):
        answer = await transport.exchange(upload(content, ("Expect", "100-continue")), timeout_s=PATIENCE_S)
    assert isinstance(answer, Response), answer


async def test_without_a_word_it_is_sent_after_a_while(client: Client, authority: Authority) -> None:
    talk, _ = hearing(b"one")
    content = Source(b"one", length=3)
    async with listening(client, authority, talk) as (_, transport):
        answer = await transport.exchange(upload(content, ("Expect", "100-continue")), timeout_s=PATIENCE_S)
    assert isinstance(answer, Response)


async def test_a_refusal_comes_in_its_place(client: Client, authority: Authority) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_some()
        await peer.send(http(417))
        assert not await peer.read()

    async def http2(peer: H2Peer) -> None:
        await peer.send_head(await peer.read_head(), 417, is_all=True)
        await peer.wait_for_end()

    content = Source(b"one", length=3)
    async with listening(client, authority, Talk(http1, http2)) as (_, transport):
        answer = await transport.exchange(upload(content, ("Expect", "100-continue")), timeout_s=PATIENCE_S)
        assert isinstance(answer, Response)
        assert (answer.status, content.is_spent) == (417, client.is_h2)
        assert free_places(transport) == POOL
