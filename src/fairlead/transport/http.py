"""HTTP/1.1 on aiohttp: pooled, TLS 1.2 or newer, verified, bounded in time and size.

What the library would do of its own accord is switched off: it replays requests on dead connections, follows
redirects, keeps cookies and reads proxies from the environment. Repeating is the pipeline's decision.
`docs/explanation/transport.md` says what is guarded.
"""

from __future__ import annotations

import asyncio
import socket
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response, encode_query
from fairlead.model.outcome import Failure, Phase
from fairlead.model.secret import Secret
from fairlead.transport.guard import SYSTEM, AddressBlocked, Network, Resolve, anywhere, is_private_name, socket_factory
from fairlead.transport.proxy import ProxyRefused, parse_proxy
from fairlead.transport.tls import TlsOptions, load_tls, prepare_tls
from fairlead.transport.unpack import ACCEPTED, BadPacking, Unpacker

_CHUNK = 64 * 1024
USER_AGENT = "fairlead"


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
        self._base = options.base_url.rstrip("/")
        self._proxy = parse_proxy(options.proxy, options.proxy_login)
        self._tls = prepare_tls(options.base_url, options.ca_file, options.tls)
        self._session: aiohttp.ClientSession | None = None
        self._disowned: list[aiohttp.ClientSession | None] = []

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the whole answer, in at most `timeout_s`. Cancelling closes the socket."""
        progress = _Progress()
        query = f"?{encode_query(request.query)}" if request.query else ""
        url = URL(f"{self._base}{request.path}{query}", encoded=True)
        if self._is_hidden(url):
            return Broken(Failure.BLOCKED, Phase.QUEUED, _detail(AddressBlocked(), url))
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request, url, progress)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError, _TooLarge, BadPacking, ProxyRefused) as error:
            return Broken(_failure(error, progress.phase), progress.phase, _detail(error, url))

    async def close(self) -> None:
        """Close every socket."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def disown(self) -> None:
        """Forget every socket without touching it; the session is kept, as it would complain when it is collected."""
        self._disowned.append(self._session)
        self._session = None

    def _is_hidden(self, url: URL) -> bool:
        """Whether the vendor is private by its name, and behind a proxy, where no guard sees its address."""
        return self._proxy is not None and not self._options.allow_private and is_private_name(url.raw_host or "")

    async def _exchange(self, request: Request, url: URL, progress: _Progress) -> Response:
        if self._session is None:
            self._session = self._open_session()
        proxy = self._proxy
        login = proxy.authorization() if proxy else {}
        is_tunnelled = url.scheme == "https"  # and then what is the proxy's must not reach the vendor
        async with self._session.request(
            request.method,
            url,
            headers=request.headers if is_tunnelled else (*request.headers, *login.items()),
            data=_payload(request.body),
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=login if is_tunnelled else None,
            trace_request_ctx=progress,
        ) as answer:
            if proxy and not is_tunnelled and answer.status == 407:  # RFC 9110 §15.5.8: only a proxy says so
                progress.phase = Phase.CONNECTING
                raise ProxyRefused(407)
            progress.phase = Phase.RECEIVING
            body = b"" if request.method == "HEAD" else await _read(answer, self._options.max_answer_bytes)
        pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers)
        return Response(status=answer.status, headers=Headers(pairs), body=body)

    def _open_session(self) -> aiohttp.ClientSession:
        options = self._options
        needs_tls = options.base_url.lower().startswith("https:")
        is_free = options.allow_private_proxy if self._proxy else options.allow_private
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls or (load_tls(None, TlsOptions()) if needs_tls else True),
                limit=options.pool,
                resolver=_Resolver(self._network.resolve),
                socket_factory=socket_factory(anywhere if is_free else self._network.may_reach),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"user-agent": USER_AGENT, "accept-encoding": ACCEPTED},
            auto_decompress=False,  # it takes half a packed body for a whole one
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=options.connect_s, sock_read=options.read_s, ceil_threshold=float("inf")
            ),
            trace_configs=[_tracing()],
        )
        # It would send GET, PUT and DELETE a second time when a kept connection turns out dead, unasked.
        session._retry_connection = False  # noqa: SLF001  # no public switch exists; a test guards it
        return session


class _Resolver(AbstractResolver):
    """Lets the library resolve names as we do."""

    def __init__(self, ask: Resolve) -> None:
        self._ask = ask

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Return every address of a name."""
        found = [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in await self._ask(host, port)
        ]
        if not found:
            raise OSError("no address")
        return found

    async def close(self) -> None:
        """Leave everything as it is: nothing was opened."""


class _Progress:
    """How far one exchange has got."""

    __slots__ = ("phase",)

    def __init__(self) -> None:
        self.phase = Phase.QUEUED


class _TooLarge(Exception):  # noqa: N818  # never leaves this file
    """The answer passed the limit."""


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the body, unpacked, up to the limit; what claims or turns out to be longer is not read on."""
    if (answer.content_length or 0) > limit:
        answer.close()
        raise _TooLarge
    unpacker = Unpacker(answer.headers.get("content-encoding", ""))
    chunks: list[bytes] = []
    size = 0
    async for packed in answer.content.iter_chunked(_CHUNK):
        chunk = unpacker.feed(packed, limit - size)
        size += len(chunk)
        if size > limit:
            answer.close()
            raise _TooLarge
        chunks.append(chunk)
    unpacker.finish()
    return b"".join(chunks)


def _payload(body: bytes) -> bytes | BytesIO | None:
    """Return the body such that a large one is written in pieces, between which others may run."""
    return BytesIO(body) if len(body) > _CHUNK else body or None


def _tracing() -> aiohttp.TraceConfig:
    """Follow each exchange. From the moment a connection is ready, its request may have left."""

    def reaching(phase: Phase) -> Any:
        async def note(_session: aiohttp.ClientSession, context: SimpleNamespace, _event: Any) -> None:
            context.trace_request_ctx.phase = phase

        return note

    trace = aiohttp.TraceConfig()
    trace.on_dns_resolvehost_start.append(reaching(Phase.RESOLVING))
    trace.on_dns_resolvehost_end.append(reaching(Phase.CONNECTING))
    trace.on_connection_create_start.append(reaching(Phase.CONNECTING))
    trace.on_connection_create_end.append(reaching(Phase.SENDING))
    trace.on_connection_reuseconn.append(reaching(Phase.SENDING))
    trace.on_request_headers_sent.append(reaching(Phase.WAITING))
    return trace


def _failure(error: BaseException, phase: Phase) -> Failure:
    """Say in our words how the exchange broke off. What is garbled before anything was sent, a proxy garbled."""
    failure = _cause(error, phase)
    return Failure.RESET if failure is Failure.PROTOCOL and not phase.was_sent else failure


def _cause(error: BaseException, phase: Phase) -> Failure:
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connect_failure(error)
    match error:
        case _TooLarge():
            return Failure.TOO_LARGE
        case ProxyRefused() | aiohttp.ClientHttpProxyError():
            return Failure.REFUSED
        case TimeoutError():
            return Failure.TIMEOUT
        case UnicodeError() | aiohttp.InvalidURL():  # what cannot be a name, as `a..b` or `127.1`
            return Failure.DNS
        case aiohttp.ClientResponseError() | BadPacking():
            return Failure.PROTOCOL
    return Failure.TRUNCATED if phase >= Phase.RECEIVING else Failure.RESET


def _connect_failure(error: aiohttp.ClientConnectorError) -> Failure:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Failure.DNS
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            return Failure.TLS
    match error.os_error:
        case AddressBlocked():
            return Failure.BLOCKED
        case ConnectionResetError() | BrokenPipeError():
            return Failure.RESET
    return Failure.REFUSED


def _detail(error: BaseException, url: URL) -> str:
    """Describe the failure with the host alone: a query may hold a key."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        error = ProxyRefused(error.status)
    reason: Any = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    text = getattr(reason, "strerror", None) or getattr(reason, "reason", None) or (str(reason) if reason else "")
    if isinstance(error, ProxyRefused | AddressBlocked):
        text = str(error)
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        text = f"the proxy: {text}"
    return f"{url.scheme}://{url.host_port_subcomponent}" + (f" ({text})" if text else "")
