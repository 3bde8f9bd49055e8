"""One request of a caller and the answer to it: the body comes in pieces, and so may the answer go.

A handler is given this in place of ASGI's messages, which have no fields after a body, no way to break an answer off,
and cost more than all else that is done about a short one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol, TypeAlias

RawFields: TypeAlias = list[tuple[bytes, bytes]]

# What may wait for whoever reads a body, before its sender is held up, in bytes.
_HIGH_WATER = 64 * 1024
# RFC 9110 §5.1 and §5.5: a token, and what begins no other line.
_SOUND = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_CHUNKED, _CLOSE = b"transfer-encoding: chunked\r\n", b"connection: close\r\n"
_KNOWN = {status.value: status.phrase for status in HTTPStatus}
#: By status, also those that RFC 9110 has no class for, and some vendors have.
STATUS_LINES = {status: f"HTTP/1.1 {status} {_KNOWN.get(status, '')}\r\n".encode() for status in range(100, 1000)}


class CallerGone(Exception):  # noqa: N818  # a fact about the caller
    """The caller has left before its request was whole."""


class Carrier(Protocol):
    """What an exchange needs of the connection that it goes over."""

    @property
    def date(self) -> bytes:
        """The field that says when an answer was made (RFC 9110 §6.6.1)."""
        ...

    def hold(self, data: bytes) -> None:
        """Send together with what is written next."""
        ...

    def write(self, data: bytes) -> None:
        """Send, together with what else is written in this go of the event loop."""
        ...

    async def drain(self) -> None:
        """Wait until the caller has taken so much that more may be written."""
        ...

    def hold_up(self) -> None:
        """Read no more for a while."""
        ...

    def read_on(self, *, is_due: bool) -> None:
        """Read what comes; where it `is_due`, the caller has its time to send it."""
        ...

    def be_patient(self) -> None:
        """Wait for nothing."""
        ...

    def take_leave(self, exchange: Exchange) -> None:
        """Go on to the next request: this one is answered."""
        ...

    def abort(self) -> None:
        """Close at once; what was written before that is not held back."""
        ...


class Exchange:
    """A request, whose names of fields are in lower case, and its answer. Whoever leaves is told nothing more."""

    __slots__ = (
        "_carrier", "_held", "_is_chunked", "_is_silent", "_left", "_news", "_size", "fields", "has_left", "is_begun",
        "is_expectant", "is_kept", "is_old", "is_over", "is_whole", "method", "path", "query", "task", "trailing",
    )  # fmt: skip

    def __init__(
        self,
        carrier: Carrier,
        method: str,
        path: bytes,
        query: bytes,
        fields: RawFields,
        *,
        is_kept: bool,
        is_old: bool,
    ) -> None:
        self._carrier = carrier
        self.method = method
        #: As it was written, and without the query.
        self.path = path
        self.query = query
        self.fields = fields
        #: The fields after the body, once that is read.
        self.trailing: RawFields = []
        #: Whether the connection serves another request after this one.
        self.is_kept = is_kept
        #: The caller speaks HTTP/1.0, and knows no chunks.
        self.is_old = is_old
        #: The caller waits for a word before it sends the body (RFC 9110 §10.1.1).
        self.is_expectant = False
        #: All of the request has come.
        self.is_whole = False
        self.has_left = False
        #: The answer has begun; it is over.
        self.is_begun = self.is_over = False
        #: Who answers.
        self.task: asyncio.Task[None] | None = None
        self._held: list[bytes] = []
        self._size = 0
        self._news: asyncio.Future[None] | None = None
        self._is_silent = self._is_chunked = False
        self._left: int | None = None

    # What the caller sends.

    async def read(self) -> bytes:
        """Return the next piece of the body, empty at its end; raise `CallerGone`. One may wait at a time."""
        if self.is_expectant:
            self.is_expectant = False
            if not self.is_whole:
                self._carrier.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._held:
            if self.is_whole:
                return b""
            if self.has_left or self.is_over:
                raise CallerGone
            self._carrier.read_on(is_due=True)
            try:
                await self._wait()
            finally:
                self._carrier.be_patient()
        piece = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held.clear()
        self._size = 0
        return piece

    @property
    def is_read(self) -> bool:
        """Whether all of the request has come, and was read."""
        return self.is_whole and not self._held

    async def wait_until_left(self) -> None:
        """Wait until the caller leaves, or its answer is over; what it still sends is dropped."""
        while not (self.has_left or self.is_over):
            self._held.clear()
            self._size = 0
            self._carrier.read_on(is_due=False)
            await self._wait()

    async def _wait(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def take(self, piece: bytes) -> None:
        """Take a piece of the body from the connection; nobody wants one whose answer is over."""
        if self.is_over:
            return
        self._held.append(piece)
        self._size += len(piece)
        if self._size > _HIGH_WATER:
            self._carrier.hold_up()
        self._wake()

    def close_request(self) -> None:
        """Note that all of the request has come."""
        self.is_whole = True
        self._wake()

    def leave(self) -> None:
        """Note that the caller has left."""
        self.has_left = True
        self._wake()

    # What it is told.

    def begin(self, status: int, fields: bytes, length: int | None = None, *, is_dated: bool = False) -> None:
        """Begin the answer. `fields` are `sound`, and do not frame it, but may tell the `length` that is given too.

        It leaves with what follows: who has to wait for that says `flush`.
        """
        self.is_begun = True
        if self.is_expectant and not self.is_whole:  # whether the body follows all the same is the caller's guess
            self.is_expectant = self.is_kept = False
        self._is_silent = self.method == "HEAD" or status in {204, 304}
        self._left = length
        self._is_chunked = length is None and not self._is_silent and not self.is_old
        if not self.has_left:
            date = b"" if is_dated else self._carrier.date
            framed = _CHUNKED if self._is_chunked else b""
            self._carrier.hold(
                b"".join((STATUS_LINES[status], date, fields, framed, b"" if self.is_kept else _CLOSE, b"\r\n"))
            )

    def flush(self) -> None:
        """Let what was begun leave: the rest takes a while."""
        self._carrier.write(b"")

    def write(self, piece: bytes) -> None:
        """Send a piece of the answer's body."""
        if piece and not (self._is_silent or self.has_left):
            self._carrier.write(self._framed(piece))

    def _framed(self, piece: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise ValueError("The answer is longer than was said.")
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece

    async def drain(self) -> None:
        """Wait until the caller has taken so much that more may be written."""
        await self._carrier.drain()

    def end(self, piece: bytes = b"", trailing: bytes = b"") -> None:
        """End the answer with a last piece, and with fields after it where it is in chunks (RFC 9112 §7.1.2)."""
        if not (self._is_silent or self.has_left):
            if piece:
                self._carrier.hold(self._framed(piece))
            if self._left:
                raise ValueError("The answer is shorter than was said.")
            if self._is_chunked:
                self._carrier.hold(b"0\r\n%b\r\n" % trailing)
        self.is_over = True
        self._wake()
        self._carrier.take_leave(self)

    def break_off(self) -> None:
        """Close the connection in the middle of the answer, so that whoever reads it sees that it is not whole."""
        self.has_left = True
        self._carrier.abort()


#: Answers one request.
Handler: TypeAlias = Callable[[Exchange], Awaitable[None]]


def is_sound(fields: bytes) -> bool:
    """Whether the lines of a head are fields, each for itself, and nothing else."""
    return _SOUND.fullmatch(fields) is not None
