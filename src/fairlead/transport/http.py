"""HTTP/1.1: a pool of connections to one base URL, TLS 1.2 or newer and verified, bounded in time and size.

Repeating is the pipeline's decision, so nothing here does. `docs/explanation/transport.md` says what is guarded.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from fairlead.model.exchange import Broken, Content
from fairlead.model.headers import Headers, Pairs
from fairlead.model.message import Request, Response, query_of
from fairlead.model.outcome import Phase
from fairlead.model.secret import Secret
from fairlead.transport.body import UnpackedBody
from fairlead.transport.dial import Way, dial
from fairlead.transport.failures import ENDINGS, BrokenOff, broken
from fairlead.transport.fields import encode, fields_of, patience_s, refuse_breaks, says_length
from fairlead.transport.guard import SYSTEM, AddressBlocked, Network, anywhere, is_private_name
from fairlead.transport.http1 import Line
from fairlead.transport.incoming import Incoming
from fairlead.transport.origin import parse_origin
from fairlead.transport.proxy import ProxyRefused, parse_proxy
from fairlead.transport.tls import TlsOptions, load_tls, prepare_tls
from fairlead.transport.unpack import Unpacker

# The most that is written in one go: between the pieces of a larger body others may run.
_CHUNK = 64 * 1024
# A connection that was not used for so long may have been forgotten on the way.
_IDLE_S = 15.0


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a transport needs to know of its connection. Times are in seconds."""

    base_url: str
    allow_private: bool = False
    ca_file: str | None = None
    tls: TlsOptions = TlsOptions()
    #: `http://host:port`; `proxy_login` is `user:password`.
    proxy: str | None = None
    proxy_login: Secret | None = None
    allow_private_proxy: bool = False
    http2: bool = False
    follow_redirects: int = 0
    connect_s: float = 5.0
    read_s: float = 10.0
    max_answer_bytes: int = 10 * 1024 * 1024
    pool: int = 100


class HttpTransport:
    """A pool of sockets to one base URL. Raises `InvalidSettingError` for options that cannot work."""

    def __init__(self, options: HttpOptions, *, network: Network = SYSTEM) -> None:
        self._options = options
        self._network = network
        self._origin = parse_origin(options.base_url)
        self._proxy = parse_proxy(options.proxy, options.proxy_login)
        self._tls = prepare_tls(options.base_url, options.ca_file, options.tls)
        self._host = f"Host: {self._origin.authority}"
        # Behind a proxy no guard sees the vendor's address: what its name says is all there is.
        self._is_hidden = self._proxy is not None and not options.allow_private and is_private_name(self._origin.host)
        self._is_handed_over = self._proxy is not None and not self._origin.is_secure
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(options.pool)
        self._idle: list[Line] = []
        self._lines: set[Line] = set()
        self._disowned: list[Line] = []

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the answer, in at most `timeout_s`. Cancelling closes the socket."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._settle_in(loop)
        progress = _Progress()
        if self._is_hidden:
            return broken(AddressBlocked(), Phase.QUEUED, self._origin.url)
        until = loop.time() + timeout_s
        line: Line | None = None
        try:
            line = await self._take(until, progress)
            try:
                return await self._converse(line, request, until, progress)
            except BaseException:
                self.drop(line)
                raise
        except ENDINGS as error:
            if line is not None and error is line.sending_error():  # the caller's own, whatever it looks like
                raise
            return broken(error, progress.phase, self._origin.url)

    @property
    def where(self) -> str:
        """What messages call the other side."""
        return self._origin.url

    async def close(self) -> None:
        """Close every socket."""
        lines, self._lines, self._idle = self._lines, set(), []
        for line in lines:
            line.close()
        if lines:
            await asyncio.sleep(0)  # in which the sockets are closed

    def disown(self) -> None:
        """Forget every socket without touching it; they are kept, as they would complain when they are collected."""
        self._disowned += self._lines
        self._lines, self._idle, self._loop = set(), [], None

    # Connections.

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in another event loop, or in the child of a fork: the sockets there are not ours to use."""
        for line in self._lines:
            line.abandon()
        self._loop = loop
        self._lines, self._idle = set(), []
        self._places = asyncio.Semaphore(self._options.pool)

    async def _take(self, until: float, progress: _Progress) -> Line:
        """Return a connection for one exchange, together with a place in the pool."""
        places = self._places
        if places.locked():
            async with asyncio.timeout_at(until):
                await places.acquire()
        else:
            await places.acquire()
        try:
            now = asyncio.get_running_loop().time()
            while self._idle:
                line = self._idle.pop()
                if now - line.moved_at < _IDLE_S and line.is_ready:
                    line.place = places
                    return line
                self._lines.discard(line)
                line.close()
            async with asyncio.timeout_at(min(until, now + self._options.connect_s)):
                _, line = await dial(self._way(), Line, progress.reach)
        except BaseException:
            places.release()
            raise
        line.place = places
        self._lines.add(line)
        return line

    def _way(self) -> Way:
        options = self._options
        is_free = options.allow_private_proxy if self._proxy else options.allow_private
        return Way(
            host=self._origin.host,
            port=self._origin.port,
            tls=self._context() if self._origin.is_secure else None,
            resolve=self._network.resolve,
            may_reach=anywhere if is_free else self._network.may_reach,
            proxy=self._proxy,
        )

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = load_tls(None, TlsOptions())
        return self._tls

    def give_back(self, line: Line) -> None:
        """Take a connection back whose answer is complete."""
        if line.finish():
            _leave_place(line)
            self._idle.append(line)
        else:
            self.drop(line)

    def drop(self, line: Line) -> None:
        """Close a connection whose answer is not, or will not be, complete."""
        _leave_place(line)
        self._lines.discard(line)
        line.close()

    # Exchanges.

    async def _converse(self, line: Line, request: Request, until: float, progress: _Progress) -> Response:
        options = self._options
        answer = Incoming(
            is_head_only=request.method == "HEAD", is_streamed=request.is_streamed, limit=options.max_answer_bytes
        )
        progress.follow(line, answer)
        try:
            await line.exchange(
                self._head(request),
                _pieces(request) or request.body,
                answer,
                until=until,
                read_s=options.read_s,
                is_expectant=request.content is not None and _is_expectant(request),
            )
        except BrokenOff:
            error = line.sending_error()
            if error is not None:  # what the caller gave us to send cannot be read
                raise error from None
            raise
        headers = answer.headers or Headers()
        if self._is_handed_over and answer.status == 407:  # RFC 9110 §15.5.8: only a proxy says so
            progress.reach(Phase.CONNECTING)
            raise ProxyRefused(407)
        unpacker = Unpacker("" if request.is_raw else headers.get("content-encoding", ""))
        if request.is_streamed:
            if not answer.is_complete:
                line.be_patient(patience_s(headers, options.read_s))
            stream = _Stream(self, line, answer, unpacker)
            return Response(status=answer.status, headers=headers, stream=stream)
        body = unpacker.unpack(answer.chunks, options.max_answer_bytes)
        self.give_back(line)
        return Response(status=answer.status, headers=headers, body=body)

    def _head(self, request: Request) -> bytes:
        """Return the request line and the fields (RFC 9112 §3)."""
        origin = self._origin
        target = f"{origin.path}{request.path}"
        if query := query_of(request):
            target = f"{target}?{query}"
        lines = [f"{request.method} {target} HTTP/1.1", self._host]
        if self._is_handed_over and self._proxy:
            lines[0] = f"{request.method} {origin.url}{target} HTTP/1.1"
            lines += [f"{name}: {value}" for name, value in self._proxy.authorization().items()]
        lines += [f"{name}: {value}" for name, value in fields_of(request)]
        if says_length(request):
            length = len(request.body) if request.content is None else request.content.length
            lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
        refuse_breaks("".join(lines))
        return encode("\r\n".join([*lines, "", ""]))


def _leave_place(line: Line) -> None:
    """Give the place back to the pool that it is of, once."""
    place, line.place = line.place, None
    if place is not None:
        place.release()


class _Progress:
    """How far one exchange has got."""

    __slots__ = ("_answer", "_line", "_phase")

    def __init__(self) -> None:
        self._phase = Phase.QUEUED
        self._line: Line | None = None
        self._answer: Incoming | None = None

    def reach(self, phase: Phase) -> None:
        """Note how far it is."""
        self._phase = phase
        self._answer = None

    def follow(self, line: Line, answer: Incoming) -> None:
        """Look at a connection from now on: its request may be on its way."""
        self._line, self._answer = line, answer

    @property
    def phase(self) -> Phase:
        """How far it is now."""
        if self._answer is None or self._line is None:
            return self._phase
        if self._answer.headers is not None:
            return Phase.RECEIVING
        return Phase.WAITING if self._line.is_sent else Phase.SENDING


class _Stream(UnpackedBody):
    """The body of an answer. It has its connection until it is read."""

    def __init__(self, transport: HttpTransport, line: Line, answer: Incoming, unpacker: Unpacker) -> None:
        super().__init__(unpacker, transport.where)
        self._transport = transport
        self._line: Line | None = line
        self._answer = answer

    def _is_over(self) -> bool:
        return self._line is None

    async def _read(self) -> bytes | None:
        return (await self._line.read() if self._line else b"") or None

    def taken(self) -> bytes | None:
        """Return a short body that has come already, and give the connection back."""
        line, answer = self._line, self._answer
        if line is None or not answer.is_complete or answer.size > _CHUNK or not self._unpacker.is_idle:
            return None
        self._line = None
        self._transport.give_back(line)
        return b"".join(answer.chunks)

    async def _finish(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._transport.give_back(line)

    async def aclose(self) -> None:
        """Let go of it; a body that is not read to its end takes its connection along."""
        line, self._line = self._line, None
        if line is not None:
            self._transport.drop(line)

    def __del__(self) -> None:
        """Let go of what nobody has: this may be called in any thread."""
        if self._line is not None:
            with suppress(RuntimeError):  # the event loop is closed, and its sockets with it
                self._loop.call_soon_threadsafe(self._transport.drop, self._line)

    def trailers(self) -> Pairs:
        """Return the fields that came after the body."""
        return tuple(self._answer.trailing)


def _is_expectant(request: Request) -> bool:
    return any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in request.headers)


def _pieces(request: Request) -> AsyncGenerator[bytes, None] | None:
    """Return a body that comes, or goes, in pieces; None for one that is sent at once."""
    if request.content is not None:
        content: Any = request.content
        return measured(content, content.length) if content.length is not None else _chunked(content)
    return _cut(request.body) if len(request.body) > _CHUNK else None


async def _cut(body: bytes) -> AsyncGenerator[bytes, None]:
    view = memoryview(body)
    for begin in range(0, len(body), _CHUNK):
        yield bytes(view[begin : begin + _CHUNK])


async def measured(content: Content, length: int) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a body whose length was promised; raise `EOFError` where the promise is not kept."""
    async with aclosing(content.open()) as pieces:
        async for piece in pieces:
            length -= len(piece)
            if length < 0:
                break
            yield piece
    if length:
        raise EOFError("The body to be sent is not as long as was said.")


async def _chunked(content: Content) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a body of unknown length, framed (RFC 9112 §7.1)."""
    async with aclosing(content.open()) as pieces:
        async for piece in pieces:
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
    trailers = "".join(f"{name}: {value}\r\n" for name, value in content.trailers())
    yield b"0\r\n" + encode(trailers) + b"\r\n"
