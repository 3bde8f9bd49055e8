"""A stand-in for a vendor: a real HTTP/1.1 server on loopback, with state, faults and an admin page.

It speaks HTTP through h11 on plain asyncio streams, and not through a web framework, because it must be able to do
what no framework allows: reset a connection in the middle of a body, or never answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote

import h11
import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Headers
from fairlead.model.ports import Clock
from fairlead.runtime.ports import SystemClock
from fairlead.testing.exchange import Books, FakeReply, FakeRequest
from fairlead.testing.faults import Fault, Faults, parse_faults

_HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_ADMIN = "/_fake/"
_LINGER_NOT = struct.pack("ii", 1, 0)
_PROXY_PAGE = FakeReply(
    status=200,
    body=b"<!doctype html><title>Service</title><h1>Please stand by</h1>",
    content_type="text/html; charset=utf-8",
)


class FakeServer:
    """What every fake can do; a vendor's fake says what it answers.

    Serves between `start` and `stop`, or within `async with`. `faults` may be replaced at any time, here or by
    `PUT /_fake/faults`. `port` 0 takes a free one. `random` and `clock` are chance and time; tests pass their own.
    """

    #: What it accepts unless told otherwise: the name of each credential, as the provider declares it, and a value.
    CREDENTIALS: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Faults | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.books = Books()
        self.clock: Clock = clock or SystemClock()
        self.random = random or Random()  # noqa: S311  # chance for faults, not for secrets
        self._port = port
        self._listener: asyncio.Server | None = None
        self._is_up = False
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.faults = faults or Faults()

    # What a vendor's fake says.

    def operation(self, request: FakeRequest) -> str:
        """Return the vendor's name of the operation that the path belongs to, or `unknown`."""
        raise NotImplementedError

    def answer(self, request: FakeRequest) -> FakeReply:
        """Return what the vendor answers. It does not wait, so that no two requests can come between each other."""
        raise NotImplementedError

    def error(self, status: int) -> FakeReply:
        """Return the vendor's own error with this status."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop what the vendor remembers: quotas, limits."""

    # The life of the server.

    @property
    def url(self) -> str:
        """The base URL; raise `RuntimeError` before the first start, when there is none."""
        if not self._port:
            raise RuntimeError("The fake has no address before it is started.")
        return f"http://{_HOST}:{self._port}"

    @property
    def admin_url(self) -> str:
        """Where the admin page is."""
        return self.url

    @property
    def connection(self) -> dict[str, Any]:
        """The settings that lead a connection here."""
        return {"base_url": self.url, "allow_private": True}

    @property
    def faults(self) -> Faults:
        """How the vendor misbehaves."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._faults_since = self.clock.monotonic()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._writers)

    async def start(self) -> None:
        """Listen; a second start does nothing. Raises `OSError` where the port is taken."""
        if self._is_up:
            return
        self._is_up = True  # before the first client can come in
        try:
            self._listener = await asyncio.start_server(self._accept, _HOST, self._port, backlog=1024)
        except OSError:
            self._is_up = False
            raise
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and reset every connection; a second stop does nothing."""
        listener, self._listener = self._listener, None
        self._is_up = False
        if listener is None:
            return
        listener.close()
        connections = dict(self._writers)
        for task, writer in connections.items():
            _reset(writer)
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in connections.values():
            await _closed(writer)
        await listener.wait_closed()

    async def go_down(self) -> None:
        """Refuse connections, and reset those that are open, until `come_up`."""
        await self.stop()

    async def come_up(self) -> None:
        """Listen again, on the same port, with books and state as they were."""
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def reset(self) -> None:
        """Start anew: no faults, empty books, nothing remembered."""
        self.faults = Faults()
        self.books = Books()
        self.forget()

    # One connection.

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_up:  # accepted by the kernel before the listener was closed
            _reset(writer)
            return
        # What has been drained has then left for the kernel: a reset must not overtake the half body before it.
        writer.transport.set_write_buffer_limits(high=0)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._writers[task] = writer
        task.add_done_callback(lambda done: self._writers.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other, until either side has had enough."""
        wire = h11.Connection(h11.SERVER)
        try:
            while (request := await _receive(wire, reader)) is not None:
                if not await self._exchange(request, wire, reader, writer):
                    break
                if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
                    break
                wire.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await _refuse(wire, writer, error)
        except OSError:
            pass  # the client left, as clients may
        finally:
            writer.transport.abort()  # everything sent was drained; waiting here could be cancelled half-way

    async def _exchange(
        self,
        request: FakeRequest,
        wire: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer one request, as well as the faults allow; return whether the connection is still good."""
        if request.path.startswith(_ADMIN):
            await _send(wire, writer, request, self._administer(request))
            return True
        self.books.note_request(self.operation(request))
        fault = self.faults.draw(self.random, age_s=self.clock.monotonic() - self._faults_since)
        if fault is not Fault.NONE:
            self.books.note_fault(fault)
        if fault is Fault.DOWN:
            _reset(writer)
            return False
        if latency := self.faults.draw_latency(self.random):
            await self.clock.sleep(latency)
        if fault is Fault.HANG:
            await _wait_for_leaving(reader)
            return False
        reply = self._spoil(self._reply(request, fault), fault)
        self.books.note_reply(reply.status, fault)
        if fault is Fault.LOST:
            _reset(writer)
            return False
        await _send(wire, writer, request, reply, share=0.5 if fault is Fault.RESET else 1.0)
        if fault is Fault.RESET:
            _reset(writer)
        return fault is not Fault.RESET

    def _reply(self, request: FakeRequest, fault: Fault) -> FakeReply:
        if fault is not Fault.ERROR:
            return self.answer(request)
        reply = self.error(self.faults.error_status)
        return msgspec.structs.replace(reply, headers=(*reply.headers, *self.faults.retry_after()))

    def _spoil(self, reply: FakeReply, fault: Fault) -> FakeReply:
        """Put into the answer what is wrong with its content."""
        if fault is Fault.MALFORMED:
            return msgspec.structs.replace(reply, body=reply.body[: len(reply.body) // 2])
        return _PROXY_PAGE if fault is Fault.WRONG_TYPE else reply

    def _administer(self, request: FakeRequest) -> FakeReply:
        """Answer the test or the person who holds the strings."""
        match request.method, request.path.removeprefix(_ADMIN):
            case "GET", "faults":
                return FakeReply.json(200, msgspec.structs.asdict(self.faults))
            case "PUT", "faults":
                try:
                    self.faults = parse_faults(request.body)
                except InvalidArgumentError as error:
                    return FakeReply.json(400, {"message": error.message, "hint": error.hint})
                return FakeReply.json(200, msgspec.structs.asdict(self.faults))
            case "GET", "books":
                return FakeReply.json(200, self.books)
            case "POST", "reset":
                self.reset()
                return FakeReply.json(200, self.books)
        return FakeReply.json(404, {"message": "Only GET and PUT faults, GET books and POST reset."})


async def _receive(wire: h11.Connection, reader: asyncio.StreamReader) -> FakeRequest | None:
    """Read one whole request; None when the client has closed the connection."""
    head: h11.Request | None = None
    body = b""
    while True:
        match event := wire.next_event():
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage() if head is not None:
                return _read_request(head, body)
            case h11.ConnectionClosed():
                return None
            case _:
                wire.receive_data(await reader.read(_CHUNK))


def _read_request(head: h11.Request, body: bytes) -> FakeRequest:
    path, _, query = head.target.decode("ascii").partition("?")
    return FakeRequest(
        method=head.method.decode("ascii"),
        path=unquote(path),
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers),
        body=body,
    )


async def _send(
    wire: h11.Connection,
    writer: asyncio.StreamWriter,
    request: FakeRequest,
    reply: FakeReply,
    *,
    share: float = 1.0,
) -> None:
    """Send an answer; with a `share` below 1, only that much of the body that its headers promise."""
    headers = [
        ("Content-Type", reply.content_type),
        ("Content-Length", str(len(reply.body))),
        *reply.headers,
    ]
    sent = wire.send(h11.Response(status_code=reply.status, headers=headers)) or b""
    if request.method != "HEAD":
        sent += wire.send(h11.Data(data=reply.body[: int(len(reply.body) * share)])) or b""
    if share >= 1:
        sent += wire.send(h11.EndOfMessage()) or b""
    writer.write(sent)
    await writer.drain()


async def _refuse(wire: h11.Connection, writer: asyncio.StreamWriter, error: h11.RemoteProtocolError) -> None:
    """Say that this was not HTTP, where there is still a way to say it."""
    if wire.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return
    close = h11.Response(
        status_code=error.error_status_hint, headers=[("Content-Length", "0"), ("Connection", "close")]
    )
    with contextlib.suppress(OSError):
        writer.write((wire.send(close) or b"") + (wire.send(h11.EndOfMessage()) or b""))
        await writer.drain()


async def _wait_for_leaving(reader: asyncio.StreamReader) -> None:
    """Wait until the client closes or resets the connection; what it still sends is dropped."""
    while await reader.read(_CHUNK):
        pass


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection with RST instead of FIN (SO_LINGER of zero seconds)."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Wait until the socket is closed, however that came about."""
    with contextlib.suppress(OSError):
        await writer.wait_closed()
