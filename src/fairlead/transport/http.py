"""HTTP/1.1 on aiohttp: pooled, TLS 1.2 or newer, verified, bounded in time and size.

What the library would do of its own accord is switched off: it replays requests on dead connections, follows
redirects, keeps cookies and reads proxies from the environment. Repeating is the pipeline's decision.
"""

from __future__ import annotations

import asyncio
import ssl
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from fairlead.errors import InvalidSettingError
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response, encode_query
from fairlead.model.outcome import Failure, Phase
from fairlead.transport.guard import AddressBlocked, socket_factory

_CHUNK = 64 * 1024
_USER_AGENT = "fairlead"


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a transport needs to know of its connection. Times are in seconds."""

    base_url: str
    allow_private: bool = False
    ca_file: str | None = None
    connect_s: float = 5.0
    read_s: float = 10.0
    max_answer_bytes: int = 10 * 1024 * 1024
    pool: int = 100


class HttpTransport:
    """A pool of sockets to one base URL."""

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._base = options.base_url.rstrip("/")
        # The system's certificates take a while to load: only when they are needed. A file of one's own is tried now.
        self._tls = _load_tls(options.ca_file) if options.ca_file else None
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the whole answer, in at most `timeout_s`. Cancelling closes the socket."""
        progress = _Progress()
        query = f"?{encode_query(request.query)}" if request.query else ""
        url = URL(f"{self._base}{request.path}{query}", encoded=True)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request, url, progress)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError, _TooLarge) as error:
            return Broken(_failure(error, progress.phase), progress.phase, _detail(error, url))

    async def close(self) -> None:
        """Close every socket."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, request: Request, url: URL, progress: _Progress) -> Response:
        if self._session is None:
            self._session = _open_session(self._options, self._tls or _load_tls(None))
        async with self._session.request(
            request.method,
            url,
            headers=request.headers,
            data=_payload(request.body),
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as answer:
            progress.phase = Phase.RECEIVING
            body = b"" if request.method == "HEAD" else await _read(answer, self._options.max_answer_bytes)
        pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers)
        return Response(status=answer.status, headers=Headers(pairs), body=body)


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
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > limit:
            answer.close()
            raise _TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def _payload(body: bytes) -> bytes | BytesIO | None:
    """Return the body such that a large one is written in pieces, between which others may run."""
    return BytesIO(body) if len(body) > _CHUNK else body or None


def _load_tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        tls = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidSettingError(
            f"{ca_file} cannot be used: {error.strerror or error.args[-1]}.", hint="Name a file of PEM certificates."
        ) from None
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return tls


def _open_session(options: HttpOptions, tls: ssl.SSLContext) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=tls,
            limit=options.pool,
            socket_factory=socket_factory(allow_private=options.allow_private),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"user-agent": _USER_AGENT},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=options.connect_s, sock_read=options.read_s, ceil_threshold=float("inf")
        ),
        trace_configs=[_tracing()],
    )
    # It would send GET, PUT and DELETE a second time when a kept connection turns out dead, unasked.
    session._retry_connection = False  # noqa: SLF001  # no public switch exists; a test guards it
    return session


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
    """Say in our words how the exchange broke off."""
    match error:
        case _TooLarge():
            return Failure.TOO_LARGE
        case TimeoutError():
            return Failure.TIMEOUT
        case aiohttp.ClientConnectorDNSError() | UnicodeError():  # the latter for what cannot be a name, as `a..b`
            return Failure.DNS
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            return Failure.TLS
        case aiohttp.ClientConnectorError(os_error=AddressBlocked()):
            return Failure.BLOCKED
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError() | BrokenPipeError()):
            return Failure.RESET
        case aiohttp.ClientConnectorError():
            return Failure.REFUSED
        case aiohttp.ClientResponseError():
            return Failure.PROTOCOL
        case aiohttp.ClientPayloadError() if _is_unpacking(error):
            return Failure.PROTOCOL
    return Failure.TRUNCATED if phase >= Phase.RECEIVING else Failure.RESET


def _is_unpacking(error: BaseException) -> bool:
    """Whether the body was complete, but not packed as its Content-Encoding says."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.http_exceptions.ContentEncodingError)


def _detail(error: BaseException, url: URL) -> str:
    """Describe the failure with the host alone: a query may hold a key."""
    reason: Any = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    text = getattr(reason, "strerror", None) or getattr(reason, "reason", None) or (str(reason) if reason else "")
    return f"{url.scheme}://{url.host_port_subcomponent}" + (f" ({text})" if text else "")
