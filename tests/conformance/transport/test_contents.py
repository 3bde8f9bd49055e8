"""Bodies that are sent piece by piece: as long as they move, and whose fault it is where they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from h2.errors import ErrorCodes

from fairlead.model.exchange import Broken
from fairlead.model.headers import Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure
from h2_server import H2Peer
from raw_server import Peer
from stages import Authority, Client
from talks import FINE, Talk, http

READ_S = 0.3


class Pieces:
    """A body of pieces, each of which takes a while to come; it may fail at its end."""

    length = None
    is_spent = False

    def __init__(self, count: int, *, each_s: float = 0.0, failure: Exception | None = None) -> None:
        self._count = count
        self._each_s = each_s
        self._failure = failure
        self.is_closed = False

    def trailers(self) -> Pairs:
        return ()

    async def open(self) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(self._count):
                await asyncio.sleep(self._each_s)
                yield bytes(1000)
            if self._failure:
                raise self._failure
        finally:
            self.is_closed = True


def sending(pieces: Pieces) -> Request:
    return Request(method="PUT", path="/things", content=pieces, effect=Effect.ONCE)


async def _hear_all(peer: Peer) -> None:
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        got += await peer.read_some()
    await peer.send(http(200))
    await peer.wait_for_end()


async def _break_in(peer: Peer) -> None:
    await peer.read_some()
    peer.reset()


async def _break_in_2(peer: H2Peer) -> None:
    await peer.refuse(await peer.read_head(), ErrorCodes.INTERNAL_ERROR)
    await peer.wait_for_end()


async def _answer_early(peer: Peer) -> None:
    await peer.read_some()
    await peer.send(http(413))
    await peer.wait_for_end()


async def _answer_early_2(peer: H2Peer) -> None:
    stream = await peer.read_head()
    await peer.send_head(stream, 413, is_all=True)
    await peer.wait_for_end()


HEAR_ALL = Talk(_hear_all, FINE.http2)
BREAK_IN = Talk(_break_in, _break_in_2)
ANSWER_EARLY = Talk(_answer_early, _answer_early_2)


async def test_a_body_may_take_longer_than_any_wait_as_long_as_it_moves(client: Client, authority: Authority) -> None:
    pieces = Pieces(5, each_s=READ_S / 3)
    async with client.serve(authority, HEAR_ALL, read_s=READ_S) as (_, wanted):
        answer = await client.exchange(wanted, sending(pieces))
    assert isinstance(answer, Response), answer
    assert (answer.status, pieces.is_closed) == (200, True)


@pytest.mark.parametrize("failure", [OSError(5, "the disk"), ConnectionResetError(), TimeoutError(), ValueError("odd")])
async def test_what_the_body_raises_is_the_callers(failure: Exception, client: Client, authority: Authority) -> None:
    async with client.serve(authority, HEAR_ALL) as (_, wanted):
        with pytest.raises(type(failure)) as caught:
            await client.exchange(wanted, sending(Pieces(1, failure=failure)))
    assert caught.value is failure


async def test_a_server_that_breaks_in_is_told_and_the_body_closed(client: Client, authority: Authority) -> None:
    pieces = Pieces(1_000_000)
    async with client.serve(authority, BREAK_IN) as (_, wanted):
        answer = await client.exchange(wanted, sending(pieces))
    assert isinstance(answer, Broken), answer
    assert (answer.failure, pieces.is_closed) == (Failure.RESET, True)


async def test_one_that_has_heard_enough_is_heard(client: Client, authority: Authority) -> None:
    pieces = Pieces(1_000_000)
    async with client.serve(authority, ANSWER_EARLY) as (_, wanted):
        answer = await client.exchange(wanted, sending(pieces))
    assert isinstance(answer, Response), answer
    assert (answer.status, pieces.is_closed) == (413, True)
