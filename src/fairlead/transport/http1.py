"""One HTTP/1.1 connection (RFC 9112), for one exchange after the other, parsed by llhttp.

Nothing happens of its own accord: no repeat, no redirect, no cookie. Whatever is against the rules ends the connection:
bytes that nobody asked for, two lengths, a length beside chunks, a head of more than 64 KB.
One timer an exchange watches both of its bounds: all of it, and the wait for the next piece.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import inf
from typing import cast

import httptools

from fairlead.model.headers import Headers
from fairlead.model.outcome import Failure
from fairlead.transport.failures import BrokenOff
from fairlead.transport.fields import BODILESS
from fairlead.transport.incoming import Incoming

# Of a head, of the fields after a body, and of what stands between two pieces of one.
_LONGEST_HEAD = 64 * 1024
# What may wait for whoever reads a stream, before the other side is held up.
_HIGH_WATER = 256 * 1024
# How long `Expect: 100-continue` waits for a word before the body is sent all the same, in seconds (RFC 9110 §10.1.1).
_EXPECTANT_S = 1.0


class Line(asyncio.Protocol):
    """A connection on which nothing has been said yet, or over which an answer has come whole."""

    def __init__(self, raw: socket.socket | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = self._new_parser()
        self._answer: Incoming | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = inf
        self._read_s = inf
        self._head_size = 0
        self._unread = 0
        self._is_paused = False
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # `connection_made` comes first
        self._raw = raw
        self._is_fed = True
        #: The place in a pool that it holds; whoever gives that back leaves None.
        self.place: asyncio.Semaphore | None = None
        self.is_open = False
        #: Whether another exchange may follow.
        self.is_kept = True
        self.moved_at = self._loop.time()

    def _new_parser(self) -> httptools.HttpResponseParser:
        """Return a parser that reads what RFC 9112 lets a client read: folded fields, ends of line without CR."""
        parser = httptools.HttpResponseParser(self)
        parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)
        return parser

    @property
    def is_ready(self) -> bool:
        """Whether another request may be sent.

        Not where something waits to be read, which nobody can have asked for: most often it is the end, which the
        event loop has had no time to tell.
        """
        if not (self.is_open and self.is_kept):
            return False
        try:
            return self._raw is None or self._raw.recv(1, socket.MSG_PEEK) is None
        except OSError as error:
            return isinstance(error, BlockingIOError)

    # What is asked.

    async def exchange(
        self,
        head: bytes,
        content: bytes | AsyncGenerator[bytes, None],
        answer: Incoming,
        *,
        until: float,
        read_s: float,
        is_expectant: bool = False,
    ) -> None:
        """Send a request, and wait for its answer: whole, or only the head of one that is streamed.

        A `content` in pieces is sent while the answer is read; one that `is_expectant`, only once it is welcome.
        Raises `BrokenOff`; `sending_error` tells whether that was the content's fault.
        """
        self._answer = answer
        self._head_size = self._unread = 0
        self.moved_at = self._loop.time()
        self._until, self._read_s = until, read_s
        self._watch()
        if is_expectant:
            self._transport.write(head)
            head = b""
            if not await self._is_welcome(answer):
                content = b""
                self.is_kept = False
        if isinstance(content, bytes):
            self._transport.write(head + content)
        else:
            self._transport.write(head)
            self._sending = self._loop.create_task(self._send(content))
            self._sending.add_done_callback(self._sent)
        while not answer.is_complete and (answer.headers is None or not answer.is_streamed):
            if answer.failure is not None:
                raise BrokenOff(answer.failure)
            await self._news()

    async def _is_welcome(self, answer: Incoming) -> bool:
        """Wait for leave to send the body, for a while; return whether no answer has come in its place."""
        patience = self._loop.call_later(_EXPECTANT_S, self._wake)
        try:
            if not (answer.is_invited or answer.headers or answer.failure):
                await self._news()
        finally:
            patience.cancel()
        return answer.headers is None and answer.failure is None

    async def read(self) -> bytes:
        """Return the next piece of a streamed answer, empty at its end; raise `BrokenOff`."""
        answer = self._answer
        assert answer is not None  # noqa: S101  # who reads has asked
        while not answer.chunks:
            if answer.is_complete:
                return b""
            if answer.failure is not None:
                raise BrokenOff(answer.failure)
            await self._news()
        piece = answer.chunks.popleft()
        answer.size -= len(piece)
        if self._is_paused and answer.size <= _HIGH_WATER // 4:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def be_patient(self, read_s: float) -> None:
        """Let the rest of a streamed answer take as long as it likes, as long as pieces come within `read_s`."""
        self.moved_at = self._loop.time()
        self._until, self._read_s = inf, read_s
        self._watch()

    def finish(self) -> bool:
        """Take leave of a complete answer; return whether another exchange may follow."""
        self._answer = None
        is_sent = self._sending is None or self._sending.done()
        if not is_sent:  # it has heard enough: what is left of the request would only confuse
            self._give_up_sending()
        self._sending = None
        return self.is_kept and is_sent and self.is_open

    def close(self) -> None:
        """Close the socket at once, whatever is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._give_up_sending()
        self.is_kept = False
        if self._answer is not None:
            self._answer.until_end = False  # this end is ours
        if self.is_open:
            self._transport.abort()

    # What is sent.

    async def _send(self, content: AsyncGenerator[bytes, None]) -> None:
        self._is_fed = False
        async with aclosing(content):
            async for piece in content:
                self._is_fed = True
                while self._writable is not None:
                    await self._writable
                if not self.is_open:
                    return
                self.moved_at = self._loop.time()
                self._transport.write(piece)
                self._is_fed = False
        self._is_fed = True
        self.moved_at = self._loop.time()
        while self._writable is not None:
            await self._writable

    def _sent(self, task: asyncio.Task[None]) -> None:
        """Look at how the sending ended: a source that failed ends the exchange."""
        if task.cancelled():
            return
        if task.exception() is not None:
            self._end(Failure.RESET)

    def _give_up_sending(self) -> None:
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            self.is_kept = False

    def abandon(self) -> None:
        """Forget a connection of an event loop that is not there any more, as the child of a fork finds it.

        The descriptor is closed here; the other process's stays as it is, and nothing is said over it.
        """
        self.is_open = self.is_kept = False
        if self._raw is not None:
            self._raw.close()

    @property
    def is_sent(self) -> bool:
        """Whether all of the request has left our hands."""
        return self._sending is None or self._sending.done()

    def sending_error(self) -> BaseException | None:
        """Return what the source of the request's body raised."""
        task = self._sending
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass, but behaves as one
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Read what has come; what nobody asked for ends the connection."""
        answer = self._answer
        if answer is None or answer.is_complete:
            self.close()
            return
        self.moved_at = self._loop.time()
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end(Failure.PROTOCOL)
        else:
            if self._unread > _LONGEST_HEAD:
                self._end(Failure.PROTOCOL)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self.is_open = self.is_kept = False
        answer = self._answer
        if answer is not None and answer.until_end and exc is None and answer.failure is None and self._was_ended():
            self.on_message_complete()
        self._end(Failure.RESET)
        self.resume_writing()

    def _was_ended(self) -> bool:
        """Whether the other side has said that this is all: over TLS by an alert, or anybody might (RFC 9112 §9.8)."""
        secured = self._transport.get_extra_info("ssl_object")
        try:
            return secured is None or secured.read(1) == b""
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False

    def pause_writing(self) -> None:
        """Hold back what is sent."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on sending."""
        self.moved_at = self._loop.time()
        if self._writable is not None:
            if not self._writable.done():  # as it is where whoever waited for it was cancelled
                self._writable.set_result(None)
            self._writable = None

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Begin an answer; a second one was not asked for."""
        if self._answer is None or self._answer.is_complete:
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field: of the head, or after the body."""
        answer = self._answer
        assert answer is not None  # noqa: S101  # `on_message_begin` saw to it
        self._head_size += len(name) + len(value)
        if self._head_size > _LONGEST_HEAD or b"\0" in value:
            raise ValueError
        fields = answer.pairs if answer.headers is None else answer.trailing
        fields.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Take the head; one that only informs is none (RFC 9110 §15.2), but for a protocol that nobody asked for."""
        answer = self._answer
        assert answer is not None  # noqa: S101  # `on_message_begin` saw to it
        self._unread = 0
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            answer.pairs.clear()
            if status == 100:
                answer.is_invited = True
                self._wake()
            return
        headers = Headers(answer.pairs)
        answer.status, answer.headers = status, headers
        self._head_size = 0
        if not self._parser.should_keep_alive():
            self.is_kept = False
            coding = headers.get("transfer-encoding", "").lower()
            answer.until_end = "content-length" not in headers and not coding.endswith("chunked")
        if answer.is_head_only:
            self._parser = self._new_parser()  # this one waits for a body
            self.on_message_complete()
        elif not answer.is_streamed and status not in BODILESS and int(headers.get("content-length", 0)) > answer.limit:
            self._end(Failure.TOO_LARGE)
        elif answer.is_streamed:
            self._wake()

    def on_body(self, data: bytes) -> None:
        """Take a piece."""
        answer = self._answer
        assert answer is not None  # noqa: S101  # `on_message_begin` saw to it
        if answer.is_complete:  # the body of an answer that has none
            raise ValueError
        self._unread = 0
        answer.chunks.append(data)
        answer.size += len(data)
        if answer.is_streamed:
            if answer.size > _HIGH_WATER and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            self._wake()
        elif answer.size > answer.limit:
            self._end(Failure.TOO_LARGE)

    def on_message_complete(self) -> None:
        """Note that the answer is whole."""
        answer = self._answer
        if answer is not None and answer.headers is not None and answer.failure is None:
            answer.is_complete = True
            self._wake()

    # Waiting.

    async def _news(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, failure: Failure) -> None:
        """Break the exchange off; what is already complete stays so. The connection is over in any case."""
        answer = self._answer
        if answer is not None and not answer.is_complete and answer.failure is None:
            has_begun = answer.headers is not None
            answer.failure = Failure.TRUNCATED if failure is Failure.RESET and has_begun else failure
        self.close()
        self._wake()

    def _watch(self) -> None:
        """See that somebody looks at the earlier of the two bounds; one who looks before that will look again."""
        at = min(self._until, self.moved_at + self._read_s)
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
            self._timer = None
        if at < inf:
            self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        """End the exchange if a bound is passed: but nobody is late for a busy reader or a slow source."""
        self._timer = None
        if self._answer is None or self._answer.is_complete:
            return
        now = self._loop.time()
        if self._waiter is None or not self._is_fed:
            self.moved_at = now
        if self._waiter is not None and (now >= self._until or now >= self.moved_at + self._read_s):
            self._end(Failure.TIMEOUT)
            return
        self._watch()
