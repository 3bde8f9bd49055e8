"""Answers that are streams: judged by their head, and holding their place at the connection until they are read."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec

from fairlead.model.exchange import Body, Broken, StreamEnded
from fairlead.model.headers import Headers, Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.runtime.connection import Connection
from fairlead.runtime.explain import explain
from fairlead.spec.outcomes import classify
from fairlead.transport.failures import BrokenOff
from fairlead.transport.unpack import Unpacker


class AnswerStream:
    """The body of a good answer. Read it to its end, or close it: until then it holds a place at its connection.

    Iterating raises the `TransportError` that fits where it breaks off. What the request did is known by then: the
    vendor has said so in the head of the answer.
    """

    def __init__(self, body: Body, connection: Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._body: Body = body
        self._connection = connection
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself: a body is read once."""
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except StreamEnded as ended:
            broken = ended.broken
            verdict = classify(broken.failure, phase=broken.phase, effect=Effect.READ)
            error = explain(verdict, broken, self._connection)
            raise error.locate(provider=self._connection.provider.id, connection=self._connection.name) from None
        finally:
            await self.aclose()

    def taken(self) -> bytes | None:
        """Return all of the body where it has come already, and let go of it; None where it has not."""
        whole = self._body.taken()
        if whole is not None:
            self._is_over = True
            self._connection.leave_line()
        return whole

    async def aclose(self) -> None:
        """Let go of it; what was not read is not read any more."""
        if not self._is_over:
            self._is_over = True
            self._connection.leave_line()
            await self._body.aclose()

    def __del__(self) -> None:
        """Give the place back of a stream that nobody has any more; the body does so with its own.

        This may be called in any thread.
        """
        if not self._is_over:
            warnings.warn("An answer's stream was neither read nor closed.", ResourceWarning, source=self, stacklevel=2)
            with suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._connection.leave_line)

    def trailers(self) -> Pairs:
        """Return the fields that came after the body (RFC 9110 §6.5), once it is read."""
        return self._body.trailers()


async def hold(request: Request, answer: Response, connection: Connection, *, timeout_s: float) -> Response | Broken:
    """Return a good answer with its stream; of any other, which tells what went wrong, the whole body.

    That must be there in `timeout_s`: it belongs to the attempt.
    """
    body: Any = answer.stream
    if 200 <= answer.status < 300:
        return msgspec.structs.replace(answer, stream=AnswerStream(body, connection))
    try:
        async with asyncio.timeout(timeout_s):
            return await _whole(request, answer, body, connection.policy.max_answer_bytes)
    except TimeoutError:
        return Broken(Failure.TIMEOUT, Phase.RECEIVING)
    except StreamEnded as ended:
        return ended.broken
    except BrokenOff as broken_off:
        return Broken(broken_off.failure, Phase.RECEIVING)
    finally:
        await body.aclose()


async def _whole(request: Request, answer: Response, body: Body, limit: int) -> Response:
    pieces: list[bytes] = []
    size = 0
    async for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise BrokenOff(Failure.TOO_LARGE)
    headers = answer.headers
    packed = b"".join(pieces)
    coding = headers.get("content-encoding", "") if request.is_raw else ""
    unpacked = Unpacker(coding).unpack([packed], limit)
    if unpacked != packed:
        gone = {"content-encoding", "content-length"}
        headers = Headers(pair for pair in headers.pairs if pair[0].lower() not in gone)
    return msgspec.structs.replace(answer, headers=headers, body=unpacked, stream=None)


async def let_go(answer: Response | Broken) -> None:
    """Close the stream of an answer that nobody will be given."""
    if isinstance(answer, Response) and answer.stream is not None:
        await answer.stream.aclose()


def is_repeatable(request: Request) -> bool:
    """Whether the request can be sent again as it was: not where a part of its body is gone."""
    content: Any = request.content
    return content is None or not content.is_spent
