"""HTTP/2 over TLS, where a connection asks for it, and HTTP/1.1 where the server will not.

The same promises as in `transport/http.py`: checked addresses, TLS 1.2 or newer and verified, bounded in time and size,
no redirects, no cookies, nothing from the environment, and no request sent twice. What ends before its answer resets
its stream, so that the vendor may stop working on it.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing, suppress
from functools import partial
from math import inf
from typing import Any

from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers, Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Phase
from fairlead.transport.body import UnpackedBody
from fairlead.transport.dial import Way, dial
from fairlead.transport.failures import ENDINGS, BrokenOff, broken
from fairlead.transport.fields import BODILESS, encode, head_of, patience_s
from fairlead.transport.guard import SYSTEM, AddressBlocked, Network, anywhere, is_private_name
from fairlead.transport.http import HttpOptions, HttpTransport, measured
from fairlead.transport.origin import parse_origin
from fairlead.transport.proxy import parse_proxy
from fairlead.transport.tls import TlsOptions, load_tls, prepare_tls
from fairlead.transport.unpack import Unpacker
from fairlead.transport.wire import Stream, Wire

# A connection that was not used for so long may have been forgotten on the way; the other client's default as well.
_IDLE_S = 15.0


class Http2Transport:
    """Connections to one base URL, each for many requests at once. Raises `InvalidSettingError` for bad options."""

    def __init__(self, options: HttpOptions, *, network: Network = SYSTEM) -> None:
        self._options = options
        self._origin = parse_origin(options.base_url)
        self._network = network
        self._proxy = parse_proxy(options.proxy, options.proxy_login)
        self._tls = prepare_tls(options.base_url, options.ca_file, options.tls)
        self._http1 = HttpTransport(options, network=network)
        self._speaks_http1 = not self._origin.is_secure
        self._is_hidden = self._proxy is not None and not options.allow_private and is_private_name(self._origin.host)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(options.pool)
        self._wires: list[Wire] = []
        self._disowned: list[Wire] = []
        self._opening: _Opening | None = None

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the whole answer, in at most `timeout_s`. Cancelling resets the stream."""
        if self._speaks_http1:
            return await self._http1.exchange(request, timeout_s=timeout_s)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._settle_in(loop)
        progress, places = _Progress(), self._places
        until = loop.time() + timeout_s
        if self._is_hidden:
            return broken(AddressBlocked(), Phase.QUEUED, self._origin.url)
        try:
            async with asyncio.timeout_at(until):
                await places.acquire()
                try:
                    answer = await self._exchange(request, progress, places)
                except BaseException:
                    places.release()
                    raise
                if answer.stream is None:
                    places.release()
                return answer
        except _WantsHttp1:
            self._speaks_http1 = True
            left_s = until - asyncio.get_running_loop().time()
            return await self._http1.exchange(request, timeout_s=left_s)
        except ENDINGS as error:
            if progress.is_callers_fault:  # whatever it looks like
                raise
            return broken(error, progress.phase, self._origin.url)

    async def close(self) -> None:
        """Close every socket."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.task.cancel()
            await asyncio.gather(opening.task, return_exceptions=True)
        wires, self._wires = self._wires, []
        for wire in wires:
            await wire.close()
        await self._http1.close()

    def disown(self) -> None:
        """Forget every socket without touching it; the connections are kept, as they would close when collected."""
        self._disowned += self._wires
        self._wires, self._loop = [], None
        self._http1.disown()

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in another event loop, or in the child of a fork: the sockets there are not ours to use."""
        for wire in self._wires:
            wire.abandon()
        self._loop = loop
        self._wires, self._opening = [], None
        self._places = asyncio.Semaphore(self._options.pool)

    async def _exchange(self, request: Request, progress: _Progress, places: asyncio.Semaphore) -> Response:
        wire = await self._find_wire(progress)
        began_at = asyncio.get_running_loop().time()
        progress.reach(Phase.SENDING)
        has_body = bool(request.body) or request.content is not None
        stream = wire.begin(head_of(request, self._origin), is_all=not has_body)
        sending = None
        try:
            if request.content is not None:  # it may well be answered while it is on its way
                sending = asyncio.create_task(_send(wire, stream, request.content, request.content.length))
                sending.add_done_callback(partial(_end_if_failed, stream))
            else:
                await wire.send(stream, request.body)
            progress.reach(Phase.WAITING)
            status, fields = await wire.read_head(stream, self._options.read_s)
            progress.reach(Phase.RECEIVING)
            headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
            unpacker = Unpacker("" if request.is_raw else headers.get("content-encoding", ""))
            if request.is_streamed:
                body = _Body(self, wire, stream, unpacker, sending, places)
                body.read_s = patience_s(headers, self._options.read_s)
                return Response(status=status, headers=headers, stream=body)
            whole = (
                b""
                if request.method == "HEAD" or status in BODILESS
                else await self._read(wire, stream, headers, unpacker)
            )
        except BaseException as error:
            if isinstance(error, TimeoutError | asyncio.CancelledError) and wire.heard_at <= began_at:
                wire.retire()  # nothing came at all: the connection itself may be dead
            self.leave(wire, stream, sending)
            if isinstance(error, BrokenOff) and sending is not None and sending.done() and not sending.cancelled():
                progress.is_callers_fault = sending.exception() is not None
                sending.result()  # what the caller gave us to send cannot be read
            raise
        self.leave(wire, stream, sending)
        return Response(status=status, headers=headers, body=whole)

    def leave(self, wire: Wire, stream: Stream, sending: asyncio.Task[None] | None) -> None:
        """Forget an exchange, complete or not."""
        if sending is not None:
            sending.cancel()
        wire.leave(stream)

    @property
    def where(self) -> str:
        """What messages call the other side."""
        return self._origin.url

    async def _read(self, wire: Wire, stream: Stream, headers: Headers, unpacker: Unpacker) -> bytes:
        """Read the body, unpacked, up to the limit; what claims or turns out to be longer is not read on."""
        limit = self._options.max_answer_bytes
        claimed = headers.get("content-length", "0")
        if claimed.isdigit() and int(claimed) > limit:
            raise BrokenOff(Failure.TOO_LARGE)
        chunks: list[bytes] = []
        size = 0
        while True:
            async with asyncio.timeout(self._options.read_s):
                packed = await wire.read_chunk(stream)
            if not packed and stream.is_complete and not stream.chunks:
                unpacker.finish()
                return b"".join(chunks)
            chunk = unpacker.feed(packed, limit - size)
            size += len(chunk)
            if size > limit:
                raise BrokenOff(Failure.TOO_LARGE)
            chunks.append(chunk)

    async def _find_wire(self, progress: _Progress) -> Wire:
        """Return a connection with room for one more request; open one where there is none."""
        while True:
            self._tidy()
            for wire in self._wires:
                if wire.is_idle:
                    await wire.catch_up()
                if wire.has_room:
                    return wire
            await self._wait_for_another(progress)

    async def _wait_for_another(self, progress: _Progress) -> None:
        """Open a connection, together with all who need one now; raise what hindered it."""
        opening = self._opening
        if opening is None:
            opening = self._opening = _Opening()
            opening.task = asyncio.create_task(self._open(opening))
            opening.task.add_done_callback(_look_at)
        progress.opening = opening
        opening.waiting += 1
        try:
            await asyncio.wait({opening.task})
        finally:
            opening.waiting -= 1
            if self._opening is opening and (opening.task.done() or not opening.waiting):
                self._opening = None
                opening.task.cancel()  # nobody wants it any more; does nothing where it is done
        if opening.task.cancelled():
            raise ConnectionResetError  # we are being closed
        opening.task.result()

    async def _open(self, opening: _Opening) -> None:
        if self._tls is None:
            self._tls = load_tls(None, TlsOptions())
        self._tls.set_alpn_protocols(["h2", "http/1.1"])
        options = self._options
        is_free = options.allow_private_proxy if self._proxy else options.allow_private
        way = Way(
            host=self._origin.host,
            port=self._origin.port,
            tls=self._tls,
            resolve=self._network.resolve,
            may_reach=anywhere if is_free else self._network.may_reach,
            proxy=self._proxy,
        )
        async with asyncio.timeout(options.connect_s):
            reader, writer = await _open_streams(way, opening)
            agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
            if agreed != "h2":
                writer.transport.abort()
                raise _WantsHttp1
            wire = Wire(reader, writer, opening.raw)
            try:
                await wire.start()
            except BaseException:
                await wire.close()
                raise
        if not wire.has_room:
            await wire.close()
            raise BrokenOff(Failure.REFUSED)
        self._wires.append(wire)

    def _tidy(self) -> None:
        """Drop what is closed, and retire what has long been idle."""
        now = asyncio.get_running_loop().time()
        for wire in self._wires:
            if wire.is_idle and now - wire.left_at > _IDLE_S:
                wire.retire()
        self._wires = [wire for wire in self._wires if wire.is_open]


def _look_at(task: asyncio.Task[None]) -> None:
    """Look at how it ended: all who asked may be gone, and nobody shall be told of an error that nobody looked at."""
    if not task.cancelled():
        task.exception()


def _end_if_failed(stream: Stream, sending: asyncio.Task[None]) -> None:
    """End an exchange whose request cannot be sent to its end."""
    if not sending.cancelled() and sending.exception() is not None:
        stream.end(Failure.RESET)


class _WantsHttp1(Exception):  # noqa: N818  # never leaves this file
    """The server has not agreed to HTTP/2."""


class _Opening:
    """A connection on its way, and how many wait for it."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.phase = Phase.QUEUED
        self.waiting = 0
        self.raw: socket.socket | None = None

    def reach(self, phase: Phase) -> None:
        """Note how far it is."""
        self.phase = phase


class _Progress:
    """How far one exchange has got; while it waits for a connection, how far that has."""

    __slots__ = ("_phase", "is_callers_fault", "opening")

    def __init__(self) -> None:
        self._phase = Phase.QUEUED
        #: What the caller gave us to send has failed.
        self.is_callers_fault = False
        self.opening: _Opening | None = None

    @property
    def phase(self) -> Phase:
        return self._phase if self._phase.was_sent or self.opening is None else self.opening.phase

    def reach(self, phase: Phase) -> None:
        self._phase = phase


class _Body(UnpackedBody):
    """The body of an answer. It has its place under the server's limit until it is read."""

    def __init__(
        self,
        transport: Http2Transport,
        wire: Wire,
        stream: Stream,
        unpacker: Unpacker,
        sending: asyncio.Task[None] | None,
        place: asyncio.Semaphore,
    ) -> None:
        super().__init__(unpacker, transport.where)
        self._place = place
        self._transport = transport
        self._wire = wire
        self._stream = stream
        self._sending = sending
        self._has_left = False
        self.read_s = inf

    def _is_over(self) -> bool:
        return self._has_left

    async def _read(self) -> bytes | None:
        stream = self._stream
        async with asyncio.timeout(None if self.read_s == inf else self.read_s):
            packed = await self._wire.read_chunk(stream)
        return packed if packed or not stream.is_complete or stream.chunks else None

    async def _finish(self) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of it; a body that is not read to its end is not sent any further."""
        if not self._has_left:
            self._has_left = True
            self._place.release()
            self._transport.leave(self._wire, self._stream, self._sending)

    def __del__(self) -> None:
        """Let go of what nobody has: this may be called in any thread."""
        if not self._has_left:
            with suppress(RuntimeError):  # the event loop is closed, and its sockets with it
                self._loop.call_soon_threadsafe(self._place.release)
                self._loop.call_soon_threadsafe(self._transport.leave, self._wire, self._stream, self._sending)

    def trailers(self) -> Pairs:
        """Return the fields that came after the body."""
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._stream.trailers)


async def _open_streams(way: Way, opening: _Opening) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)

    def make(raw: socket.socket) -> asyncio.StreamReaderProtocol:
        opening.raw = raw
        return asyncio.StreamReaderProtocol(reader, loop=loop)

    transport, protocol = await dial(way, make, opening.reach)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _send(wire: Wire, stream: Stream, content: Any, length: int | None) -> None:
    """Send a body that comes in pieces, until there is no more, or the other side has said its last word."""
    stream.is_fed = False
    async with aclosing(content.open() if length is None else measured(content, length)) as pieces:
        async for piece in pieces:
            stream.is_fed = True
            await wire.send(stream, piece, is_last=False)
            if stream.is_complete or stream.failure is not None:
                return
            stream.is_fed = False
    stream.is_fed = True
    stream.moved_at = asyncio.get_running_loop().time()
    wire.end_sending(stream, [(encode(name.lower()), encode(value)) for name, value in content.trailers()])
