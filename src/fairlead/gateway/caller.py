"""One caller's connection: HTTP/1.1 (RFC 9112), one request after the other, each bound in size and time.

uvicorn accepts it, and ends it in good order; what is said over it is ours. What is written in one go of the event loop
leaves together, as every write is a call of the kernel: of a short answer, all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from math import inf
from typing import Any, cast

import httptools
from uvicorn.server import ServerState

from fairlead.config.gateway import Gateway
from fairlead.gateway.answers import render_problem, send_rendered
from fairlead.gateway.exchange import STATUS_LINES, CallerGone, Exchange, Handler, RawFields

# What may wait for the end of one go of the event loop, in bytes.
_HELD_BYTES = 64 * 1024
# Of a head, of the fields after a body, and of what stands between two pieces of one.
_LONGEST_HEAD = 64 * 1024
# Requests over one connection that wait for their turn: all that is read at once is parsed, and anybody may send it.
_MOST_WAITING = 1_000
# How long whoever is refused may go on speaking, in seconds: one who is cut off would not hear why (RFC 9112 §9.6).
_LINGER_S = 2.0
_logger = logging.getLogger("uvicorn.error")


def _refusal(status: int, code: str, title: str, **fields: str) -> bytes:
    """Return an answer to what never became a request."""
    answer = render_problem(status, code, title, headers={"connection": "close", **fields})
    head = b"".join(b"%b: %b\r\n" % pair for pair in answer.raw_headers)
    return b"%b%b\r\n%b" % (STATUS_LINES[status], head, bytes(answer.body))


_MALFORMED = _refusal(400, "malformed_request", "This is not HTTP/1.1 as RFC 9112 has it.")
_TOO_SLOW = _refusal(408, "slow_request", "The request was too long in coming.")
_TOO_LARGE = _refusal(431, "head_too_large", "The head of the request is longer than 64 KiB.")
_TOO_MANY = _refusal(503, "too_many_connections", "The gateway has all the connections it may.", **{"retry-after": "1"})


class CallerLine(asyncio.Protocol):
    """A `Carrier` of one exchange after the other; requests that come before their turn wait for it."""

    def __init__(self, handle: Handler, bounds: Gateway, state: ServerState) -> None:
        self._handle = handle
        self._bounds = bounds
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser = httptools.HttpRequestParser(self)
        # What comes after a last request is for nobody, but its answer is on its way all the same.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # `connection_made` comes first
        #: The exchange that is answered, the one whose request comes, and those that wait for their turn.
        self._answering: Exchange | None = None
        self._coming: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._url = b""
        self._fields: RawFields = []
        self._is_expectant = False
        self._unread = 0
        self._is_in_head = False
        self._is_refused = False
        self._is_held_up = False
        self._writable: asyncio.Future[None] | None = None
        self._held: list[bytes] = []
        self._size = 0
        self._is_soon = False
        self._due = inf
        self._timer: asyncio.TimerHandle | None = None

    # What the event loop and the server tell.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, where there is room for one more."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass, but behaves as one
        if len(self._state.connections) >= self._bounds.max_connections:
            self._is_refused = True
            self._transport.write(_TOO_MANY)
            self._transport.close()
            return
        self._state.connections.add(cast("Any", self))
        self._expect(self._bounds.head_s)

    def data_received(self, data: bytes) -> None:
        """Take in what has come; a head, or what stands between pieces of a body, has its bound (RFC 6585 §5)."""
        if self._is_refused:
            return
        self._unread += len(data)
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as pause:  # to a protocol that we do not speak: it goes on as it was
                data = data[pause.args[0] :]
            except httptools.HttpParserError:
                self._refuse(_MALFORMED)
                return
            else:
                break
        if self._unread > _LONGEST_HEAD:
            self._refuse(_TOO_LARGE)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # however it ended
        """Tell whoever is answering, and forget who waits."""
        self._state.connections.discard(cast("Any", self))
        self._is_refused = True
        if self._timer is not None:
            self._timer.cancel()
        for exchange in (self._answering, self._coming):
            if exchange is not None:
                exchange.leave()
        self._waiting.clear()
        self._held.clear()
        self.resume_writing()
        self._parser = None  # type: ignore[assignment]  # each holds the other

    def pause_writing(self) -> None:
        """Hold back what is sent."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on sending."""
        if self._writable is not None:
            if not self._writable.done():  # as it is where whoever waited for it was cancelled
                self._writable.set_result(None)
            self._writable = None

    def shutdown(self) -> None:
        """End after the answer that is under way: the server takes its leave."""
        if self._answering is None:
            self._transport.close()
        else:
            self._answering.is_kept = False
            self._waiting.clear()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Begin a request: its head has its time."""
        self._url, self._fields, self._is_expectant, self._is_in_head = b"", [], False, True
        self._expect(self._bounds.head_s)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field: of the head, or after the body."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._is_expectant = True
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Answer a request, or let it wait for its turn."""
        self._unread, self._is_in_head, self._due = 0, False, inf
        parser, url = self._parser, httptools.parse_url(self._url)
        is_old = parser.get_http_version() == "1.0"
        exchange = Exchange(
            self,
            parser.get_method().decode("ascii"),
            url.path or b"/",
            url.query or b"",
            self._fields,
            is_kept=not is_old and parser.should_keep_alive(),
            is_old=is_old,
        )
        exchange.is_expectant = self._is_expectant
        self._coming = exchange
        self._fields = exchange.trailing
        if self._answering is None:
            self._answer(exchange)
        elif len(self._waiting) >= _MOST_WAITING:
            raise ValueError  # with which the parser gives up
        else:
            self._waiting.append(exchange)
            self.hold_up()

    def on_body(self, piece: bytes) -> None:
        """Take a piece."""
        self._unread, self._due = 0, inf
        if self._coming is not None:
            self._coming.take(piece)
            if self._answering is None:  # it has its answer already, and would only be dropped
                self._expect(self._bounds.body_s)

    def on_message_complete(self) -> None:
        """Take the end."""
        self._unread, self._due = 0, inf
        if self._coming is not None:
            self._coming.close_request()
            if self._answering is None:
                self._expect(self._bounds.idle_s)

    # Answering.

    def _answer(self, exchange: Exchange) -> None:
        self._answering = exchange
        exchange.task = self._loop.create_task(self._attend(exchange))
        self._state.tasks.add(exchange.task)

    async def _attend(self, exchange: Exchange) -> None:
        """Have an exchange answered. A bug of ours is logged, and told without a detail."""
        try:
            await self._handle(exchange)
            if not (exchange.is_over or exchange.has_left):
                raise AssertionError("A request was left without its answer.")  # noqa: TRY301  # it is a bug as well
        except CallerGone:
            pass
        except Exception:  # whatever it was: the caller is not to wait for an answer that will never come
            _logger.exception("The gateway failed.")
            if exchange.is_begun:
                exchange.break_off()
            else:
                exchange.is_kept = False
                send_rendered(exchange, render_problem(500, "internal", "The gateway failed; its log says why."))
        except BaseException:  # the server cannot wait any longer
            exchange.break_off()
            raise
        finally:
            self._state.tasks.discard(cast("asyncio.Task[None]", exchange.task))

    def take_leave(self, exchange: Exchange) -> None:
        """Go on to the next request: this one is answered."""
        self._answering = None
        self._flush()
        if self._transport.is_closing():
            return
        if not exchange.is_kept:
            self._transport.close()
        elif self._waiting:
            self._answer(self._waiting.popleft())
        else:
            if not self._is_in_head:
                self._expect(self._bounds.idle_s)
            self.read_on(is_due=False)

    def _refuse(self, answer: bytes) -> None:
        """Say why, where nothing else is being said, and close."""
        self._is_refused = True
        exchange = self._answering
        if exchange is not None:
            if exchange.is_begun or exchange.is_whole:  # it would be taken for the answer to that
                self._transport.close()
                return
            exchange.leave()
        self.write(answer)
        self._flush()
        self._loop.call_later(_LINGER_S, self._transport.close)

    def abort(self) -> None:
        """Close at once; what was written before that is not held back."""
        self._flush()
        self._transport.abort()

    # Reading.

    def hold_up(self) -> None:
        """Read no more for a while."""
        if not self._is_held_up and not self._transport.is_closing():
            self._is_held_up = True
            self._transport.pause_reading()

    def read_on(self, *, is_due: bool) -> None:
        """Read what comes; where it `is_due`, the caller has its time to send it."""
        if is_due:
            self._expect(self._bounds.body_s)
        if self._is_held_up and not self._transport.is_closing():
            self._is_held_up = False
            self._transport.resume_reading()
            if self._is_in_head:
                self._expect(self._bounds.head_s)

    def be_patient(self) -> None:
        """Wait for nothing."""
        self._due = inf

    # Writing.

    @property
    def date(self) -> bytes:
        """The field that says when an answer was made (RFC 9110 §6.6.1), as the server has it."""
        return b"".join([b"%b: %b\r\n" % field for field in self._state.default_headers])

    def hold(self, data: bytes) -> None:
        """Write together with what comes next."""
        self._held.append(data)
        self._size += len(data)

    def write(self, data: bytes) -> None:
        """Write soon; at once where much has come together."""
        self._held.append(data)
        self._size += len(data)
        if self._size > _HELD_BYTES:
            self._flush()
        elif not self._is_soon:
            self._is_soon = True
            self._loop.call_soon(self._flush_now)

    async def drain(self) -> None:
        """Wait until the caller has taken so much that more may be written."""
        if self._writable is not None:
            await self._writable

    def _flush_now(self) -> None:
        self._is_soon = False
        self._flush()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self._transport.is_closing():
                self._transport.writelines(held)

    # Time.

    def _expect(self, seconds: float) -> None:
        """Give the caller so long for what comes next. One timer looks at that; it is seldom moved."""
        self._due = due = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)
        elif self._timer.when() > due:
            self._timer.cancel()
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        """See whether the caller is late."""
        self._timer = None
        if self._loop.time() < self._due:
            if self._due < inf:
                self._timer = self._loop.call_at(self._due, self._look)
        elif self._is_held_up:  # nobody is late whom we do not hear
            self._expect(self._bounds.head_s)
        elif self._is_in_head or self._answering is not None:
            self._refuse(_TOO_SLOW)
        else:
            self._transport.close()
