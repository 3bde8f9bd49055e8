"""Cancelled at any moment, an exchange leaves nothing behind: no place, no socket, no word in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fairlead.model.exchange import StreamEnded
from fairlead.model.headers import Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from h2_server import H2Peer
from raw_server import Peer
from stages import HTTP1, HTTP2, PATIENCE_S, Authority, Client, free_places
from talks import CHUNKED, Talk

READ = Request.get("/things")


class _Content:
    """A body in pieces, with a turn of the loop before each."""

    length = None
    is_spent = False

    async def open(self) -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"piece"

    def trailers(self) -> Pairs:
        return ()


async def _http1(peer: Peer) -> None:
    while True:
        head = b""
        while not head.endswith((b"\r\n\r\n",)) or (b"chunked" in head and not head.endswith(b"0\r\n\r\n")):
            head += await peer.read_some()
        await peer.send(CHUNKED + b"3\r\none\r\n")
        await asyncio.sleep(0)
        await peer.send(b"3\r\ntwo\r\n0\r\n\r\n")


async def _http2(peer: H2Peer) -> None:
    while True:
        stream = await peer.read_request()
        if stream.number in peer.resets:
            continue
        await peer.send_head(stream, 200)
        await peer.send_body(stream, b"one", is_all=False)
        await asyncio.sleep(0)
        if stream.number not in peer.resets:
            await peer.send_body(stream, b"two")


async def _ask(transport: Any, *, is_streamed: bool) -> None:
    content = _Content() if is_streamed else None
    method = "POST" if is_streamed else "GET"
    request = Request(method=method, path="/", effect=Effect.READ, is_streamed=is_streamed, content=content)
    answer = await transport.exchange(request, timeout_s=PATIENCE_S)
    assert isinstance(answer, Response), answer
    if is_streamed:
        try:
            async for _ in answer.stream:
                await asyncio.sleep(0)
        except StreamEnded as ended:
            raise AssertionError(ended.broken) from ended
        finally:
            await answer.stream.aclose()


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("client", "is_secure"), [(HTTP1, False), (HTTP1, True), (HTTP2, True)], ids=["http1", "http1-secure", "http2"]
)
async def test_after_any_number_of_turns(
    client: Client, authority: Authority, *, is_streamed: bool, is_secure: bool
) -> None:
    tls = authority.server("127.0.0.1") if is_secure else None
    ended = 0
    async with (
        asyncio.timeout(PATIENCE_S * 3),
        client.serve(authority, Talk(_http1, _http2), tls=tls, pool=1) as (
            server,
            wanted,
        ),
    ):
        for turns in range(120):
            transport = client.make(wanted)
            asking = asyncio.create_task(_ask(transport, is_streamed=is_streamed))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            results = await asyncio.gather(asking, return_exceptions=True)
            ended += results[0] is None
            assert results[0] is None or isinstance(results[0], asyncio.CancelledError), results
            for _ in range(3):
                await asyncio.sleep(0)
            assert free_places(transport) == 1, turns
            after = await transport.exchange(READ, timeout_s=PATIENCE_S)
            assert isinstance(after, Response), (turns, after)
            await transport.close()
            if ended > 3:
                break
        while server.open_connections:
            server.has_ended.clear()
            await server.has_ended.wait()
    assert ended > 3, "the last of them were not cancelled in time, so that every moment was tried"
