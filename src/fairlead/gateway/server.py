"""The server under the gateway: uvicorn, with the two things that a proxy needs and ASGI servers leave out.

Fields after a body (`http.response.trailers`, an extension of ASGI), and a way to break an answer off, so that whoever
reads it sees that it is not whole.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

#: Where an application finds the way to break off, in `scope["extensions"]`.
BREAK_OFF = "fairlead.break_off"
#: Likewise how many of the scope's headers stood before the body: the server adds those after it to the same list.
HEAD_FIELDS = "fairlead.head_fields"
# What may wait for the end of one go of the event loop, in bytes.
_HELD_BYTES = 64 * 1024
# Of a head, of the fields after a body, and of what stands between two pieces of one.
_LONGEST_HEAD = 64 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# How long whoever is refused may go on speaking, in seconds: one who is cut off would not hear why (RFC 9112 §9.6).
_LINGER_S = 2.0
# uvicorn knows the statuses that RFC 9110 has classes for; some vendors have others.
STATUS_LINE.update({status: b"HTTP/1.1 %d \r\n" % status for status in range(600, 1000)})


def build_server(app: ASGIApp, *, handles_signals: bool = True) -> uvicorn.Server:
    """Return a server that is ready to `serve([socket])`.

    It ends in good order on SIGINT and SIGTERM, unless whoever started it sees to signals.
    """
    config = uvicorn.Config(
        app,
        http=_Protocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        ws="none",
    )
    return _Server(config) if handles_signals else _Tenant(config)


class _Server(uvicorn.Server):
    """A server that was asked to end, and ended in good order, has not failed: it does not raise the signal again."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as signal handlers are called
        """Finish what is open; at a second Ctrl-C drop it."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class _Tenant(uvicorn.Server):
    """A server in somebody else's house: it leaves the signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, the extensions, and the bounds that it lacks."""

    _unread = 0
    _is_refused = False
    _answering: RequestResponseCycle | None = None

    def data_received(self, data: bytes) -> None:
        """Take in what has come; a head, or what stands between pieces of a body, has its bound (RFC 6585 §5)."""
        if self._is_refused:
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > _LONGEST_HEAD and not self.transport.is_closing():
            self._is_refused = True
            if self._answering is None or self._answering.response_complete:
                self.transport.write(_TOO_LARGE)
                self.loop.call_later(_LINGER_S, self.transport.close)
            else:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever is answering: uvicorn tells the request that came last, which may not have had its turn."""
        super().connection_lost(exc)
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()

    def on_body(self, body: bytes) -> None:
        """Take a piece."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end."""
        self._unread = 0
        super().on_message_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin."""
        super().connection_made(cast("asyncio.Transport", _Corked(transport)))

    def on_headers_complete(self) -> None:
        """Note how many fields the head has, before those of the end join them."""
        self._unread = 0
        super().on_headers_complete()
        self.cycle.scope.setdefault("extensions", {})[HEAD_FIELDS] = len(self.headers)  # type: ignore[assignment]

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the caller is told, and anybody can ask for one."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        tail = _Tail(cycle)
        extensions: dict[str, Any] = cycle.scope.setdefault("extensions", {})
        extensions |= {"http.response.trailers": {}, BREAK_OFF: tail.break_off}

        async def extended(scope: Any, receive: Any, _: Any) -> None:
            await app(scope, receive, tail.send)

        super()._start_asgi_task(cycle, extended)


class _Corked:
    """The way to a caller. What is written in one go of the event loop leaves together: of a short answer, all.

    uvicorn writes the head and each piece of a body for itself, and every write is a call of the kernel, which costs
    more than everything else that is done about it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write soon; at once where much has come together."""
        if not data:
            return
        if not self._held:
            self._call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _HELD_BYTES:
            self._flush()

    def close(self) -> None:
        """Close after what was written."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was written before that is not held back."""
        self._flush()
        self._transport.abort()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self._transport.is_closing():
                self._transport.writelines(held)


class _Tail:
    """The end of one answer: with fields after the body, or broken off."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._has_trailers = False

    async def send(self, message: Any) -> None:
        """Send a message of ASGI; after the body of an answer with trailers, those (RFC 9112 §7.1.2)."""
        kind = message["type"]
        if kind == "http.response.start":
            # A vendor's own date is the date of what it has said.
            if any(name == b"date" for name, _ in message.get("headers", ())):
                self._cycle.default_headers = [pair for pair in self._cycle.default_headers if pair[0] != b"date"]
            self._has_trailers = message.get("trailers", False) and self._cycle.scope["method"] != "HEAD"
        elif kind == "http.response.body" and self._has_trailers:
            message = {**message, "more_body": True}
        elif kind == "http.response.trailers":
            if message.get("more_trailers", False) or not self._has_trailers:
                return
            fields = b"".join(b"%b: %b\r\n" % (name, value) for name, value in message["headers"])
            last = b"0\r\n%b\r\n" % fields
            # The last chunk is written as it is, and counted as a body of its own length.
            self._cycle.chunked_encoding, self._cycle.expected_content_length = False, len(last)
            message = {"type": "http.response.body", "body": last}
        await self._cycle.send(message)

    async def break_off(self) -> None:
        """Close the connection in the middle of the answer."""
        self._cycle.transport.abort()
        while not self._cycle.disconnected:  # noqa: ASYNC110  # the event loop tells the protocol, which has no event
            await asyncio.sleep(0)
