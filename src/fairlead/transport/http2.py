"""HTTP/2 over TLS, where a connection asks for it, and HTTP/1.1 where the server will not.

The same promises as in `transport/http.py`: checked addresses, TLS 1.2 or newer and verified, bounded in time and size,
no redirects, no cookies, nothing from the environment, and no request sent twice. What ends before its answer resets
its stream, so that the vendor may stop working on it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from yarl import URL

from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response, encode_query
from fairlead.model.outcome import Failure, Phase
from fairlead.transport.dial import NoAddress, Way, dial
from fairlead.transport.guard import SYSTEM, AddressBlocked, Network, anywhere, is_private_name
from fairlead.transport.http import USER_AGENT, HttpOptions, HttpTransport
from fairlead.transport.proxy import ProxyRefused, parse_proxy
from fairlead.transport.tls import TlsOptions, load_tls, prepare_tls
from fairlead.transport.unpack import ACCEPTED, BadPacking, Unpacker
from fairlead.transport.wire import Field, Stream, StreamBroken, Wire

# A connection that was not used for so long may have been forgotten on the way; the other client's default as well.
_IDLE_S = 15.0
# RFC 9113 §8.2.2: what is about the connection, and `host`, whose place `:authority` takes.
_NOT_SENT = frozenset({"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})


class Http2Transport:
    """Connections to one base URL, each for many requests at once. Raises `InvalidSettingError` for bad options."""

    def __init__(self, options: HttpOptions, *, network: Network = SYSTEM) -> None:
        self._options = options
        self._base = options.base_url.rstrip("/")
        self._network = network
        self._proxy = parse_proxy(options.proxy, options.proxy_login)
        self._tls = prepare_tls(options.base_url, options.ca_file, options.tls)
        self._http1 = HttpTransport(options, network=network)
        self._speaks_http1 = not options.base_url.lower().startswith("https:")
        self._places = asyncio.Semaphore(options.pool)
        self._wires: list[Wire] = []
        self._disowned: list[Wire] = []
        self._opening: _Opening | None = None

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the whole answer, in at most `timeout_s`. Cancelling resets the stream."""
        if self._speaks_http1:
            return await self._http1.exchange(request, timeout_s=timeout_s)
        progress = _Progress()
        until = asyncio.get_running_loop().time() + timeout_s
        query = f"?{encode_query(request.query)}" if request.query else ""
        url = URL(f"{self._base}{request.path}{query}", encoded=True)
        where = f"{url.scheme}://{url.host_port_subcomponent}"
        if self._proxy and not self._options.allow_private and is_private_name(url.raw_host or ""):
            return Broken(Failure.BLOCKED, Phase.QUEUED, f"{where} ({AddressBlocked()})")
        try:
            async with asyncio.timeout_at(until), self._places:
                return await self._exchange(request, url, progress)
        except _WantsHttp1:
            self._speaks_http1 = True
            left_s = until - asyncio.get_running_loop().time()
            return await self._http1.exchange(request, timeout_s=left_s)
        except (StreamBroken, BadPacking, TimeoutError, NoAddress, ProxyRefused, OSError) as error:
            text = _reason(error)
            return Broken(_failure(error), progress.phase, f"{where} ({text})" if text else where)

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
        self._wires = []
        self._opening = None
        self._places = asyncio.Semaphore(self._options.pool)
        self._http1.disown()

    async def _exchange(self, request: Request, url: URL, progress: _Progress) -> Response:
        wire = await self._find_wire(url, progress)
        began_at = asyncio.get_running_loop().time()
        progress.reach(Phase.SENDING)
        stream = wire.begin(_head(request, url), is_all=not request.body)
        try:
            await wire.send(stream, request.body)
            progress.reach(Phase.WAITING)
            async with asyncio.timeout(self._options.read_s):
                status, fields = await wire.read_head(stream)
            progress.reach(Phase.RECEIVING)
            headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
            body = b"" if request.method == "HEAD" else await self._read(wire, stream, headers)
            return Response(status=status, headers=headers, body=body)
        except (TimeoutError, asyncio.CancelledError):
            if wire.heard_at < began_at:  # nothing came at all: the connection itself may be dead
                wire.retire()
            raise
        finally:
            wire.leave(stream)

    async def _read(self, wire: Wire, stream: Stream, headers: Headers) -> bytes:
        """Read the body, unpacked, up to the limit; what claims or turns out to be longer is not read on."""
        limit = self._options.max_answer_bytes
        claimed = headers.get("content-length", "0")
        if claimed.isdigit() and int(claimed) > limit:
            raise StreamBroken(Failure.TOO_LARGE)
        unpacker = Unpacker(headers.get("content-encoding", ""))
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
                raise StreamBroken(Failure.TOO_LARGE)
            chunks.append(chunk)

    async def _find_wire(self, url: URL, progress: _Progress) -> Wire:
        """Return a connection with room for one more request; open one where there is none."""
        while True:
            self._tidy()
            for wire in self._wires:
                if wire.has_room:
                    return wire
            await self._wait_for_another(url, progress)

    async def _wait_for_another(self, url: URL, progress: _Progress) -> None:
        """Open a connection, together with all who need one now; raise what hindered it."""
        opening = self._opening
        if opening is None:
            opening = self._opening = _Opening()
            opening.task = asyncio.create_task(self._open(url, opening))
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

    async def _open(self, url: URL, opening: _Opening) -> None:
        if self._tls is None:
            self._tls = load_tls(None, TlsOptions())
        self._tls.set_alpn_protocols(["h2", "http/1.1"])
        options = self._options
        is_free = options.allow_private_proxy if self._proxy else options.allow_private
        way = Way(
            host=url.raw_host or "",
            port=url.port or 443,
            tls=self._tls,
            resolve=self._network.resolve,
            may_reach=anywhere if is_free else self._network.may_reach,
            proxy=self._proxy,
        )
        async with asyncio.timeout(options.connect_s):
            reader, writer = await dial(way, opening.reach)
            agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
            if agreed != "h2":
                writer.transport.abort()
                raise _WantsHttp1
            wire = Wire(reader, writer)
            try:
                await wire.start()
            except BaseException:
                await wire.close()
                raise
        if not wire.has_room:
            await wire.close()
            raise StreamBroken(Failure.REFUSED)
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


class _WantsHttp1(Exception):  # noqa: N818  # never leaves this file
    """The server has not agreed to HTTP/2."""


class _Opening:
    """A connection on its way, and how many wait for it."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.phase = Phase.QUEUED
        self.waiting = 0

    def reach(self, phase: Phase) -> None:
        """Note how far it is."""
        self.phase = phase


class _Progress:
    """How far one exchange has got; while it waits for a connection, how far that has."""

    __slots__ = ("_phase", "opening")

    def __init__(self) -> None:
        self._phase = Phase.QUEUED
        self.opening: _Opening | None = None

    @property
    def phase(self) -> Phase:
        return self._phase if self._phase.was_sent or self.opening is None else self.opening.phase

    def reach(self, phase: Phase) -> None:
        self._phase = phase


def _head(request: Request, url: URL) -> Sequence[Field]:
    """Return the fields of a request (RFC 9113 §8.3.1)."""
    usual = {"accept": "*/*", "accept-encoding": ACCEPTED, "user-agent": USER_AGENT}
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        usual["content-length"] = str(len(request.body))
    own = [(name.lower(), value) for name, value in request.headers if name.lower() not in _NOT_SENT]
    names = {name for name, _ in own}
    fields = [
        (":method", request.method),
        (":authority", url.host_port_subcomponent or ""),
        (":scheme", url.scheme),
        (":path", url.raw_path_qs),
        *((name, value) for name, value in usual.items() if name not in names),
        *own,
    ]
    return [(name.encode(), value.encode("utf-8")) for name, value in fields]


def _failure(error: Exception) -> Failure:
    """Say in our words how the exchange broke off."""
    match error:
        case StreamBroken():
            return error.failure
        case BadPacking():
            return Failure.PROTOCOL
        case ProxyRefused():
            return Failure.REFUSED
        case NoAddress():
            return Failure.DNS
        case TimeoutError():
            return Failure.TIMEOUT
        case AddressBlocked():
            return Failure.BLOCKED
        case ConnectionResetError() | BrokenPipeError() | ssl.SSLEOFError():
            return Failure.RESET
        case ssl.SSLError():
            return Failure.TLS
    return Failure.REFUSED


def _reason(error: Exception) -> str:
    """Say why, where that is known and not said by the failure itself."""
    if isinstance(error, StreamBroken | TimeoutError | BadPacking):
        return ""
    if isinstance(error, NoAddress):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return str(getattr(error, "strerror", None) or error)
