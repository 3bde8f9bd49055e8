"""Stages for exchanges: a client, a server that says its lines (or no server), and what the client is told of it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol

import msgspec
import trustme

import talks
from fairlead.model.exchange import Broken, Transport
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from fairlead.transport.guard import SYSTEM, Network
from fairlead.transport.http import HttpOptions, HttpTransport
from fairlead.transport.http2 import Http2Transport
from fairlead.transport.tls import TlsOptions
from h2_server import speak, with_h2
from raw_server import RawServer, Script, serve
from talks import FINE, Talk

# What other suites know by these names.
http = talks.http
claim_two_gigabytes = talks.claim_two_gigabytes

#: Stands wherever a credential may, and must not be seen.
CANARY = "canary-8731"
#: No test waits longer.
PATIENCE_S = 10.0
#: Long enough for loopback; what is waited for must not come.
SHORT_S = 0.05
#: The largest answer that is read.
LIMIT = 100_000


class Authority(NamedTuple):
    """A certificate authority of our own."""

    ca: trustme.CA
    file: str

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context


# --- Clients ------------------------------------------------------------------------------------------------------


class Make(Protocol):
    """Makes a transport."""

    def __call__(self, options: HttpOptions, *, network: Network = SYSTEM) -> Transport: ...


class Client(NamedTuple):
    """A transport, and the protocol in which it is spoken to."""

    name: str
    make: Make
    is_h2: bool

    def knows(self, talk: Talk) -> bool:
        return (talk.http2 if self.is_h2 else talk.http1) is not None

    def script(self, talk: Talk, **settings: int) -> Script:
        if not self.is_h2:
            assert talk.http1
            return talk.http1
        assert talk.http2
        return speak(talk.http2, **settings)

    @asynccontextmanager
    async def serve(
        self,
        authority: Authority,
        talk: Talk,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        tls_options: TlsOptions | None = None,
        **changes: Any,
    ) -> AsyncIterator[tuple[RawServer, HttpOptions]]:
        """Start a server that talks in this client's protocol, with TLS where that needs it or `tls` is given."""
        if tls_options:
            changes["tls"] = tls_options
        if self.is_h2:
            tls = with_h2(tls or authority.server(host))
        async with serve(self.script(talk), tls=tls) as server:
            usual = options(server.url("https" if tls else "http", host), ca_file=authority.file if tls else None)
            yield server, msgspec.structs.replace(usual, **changes)

    async def exchange(self, wanted: HttpOptions, request: Request, *, timeout_s: float = PATIENCE_S) -> Ending:
        """Make one exchange, and close."""
        transport = self.make(wanted)
        try:
            return await transport.exchange(request, timeout_s=timeout_s)
        finally:
            await transport.close()


Ending = Response | Broken
HTTP1 = Client("http1", HttpTransport, is_h2=False)
HTTP2 = Client("http2", Http2Transport, is_h2=True)
CLIENTS = (HTTP1, HTTP2)


def options(base_url: str, **changes: Any) -> HttpOptions:
    usual = HttpOptions(base_url=base_url, allow_private=True, max_answer_bytes=LIMIT)
    return msgspec.structs.replace(usual, **changes)


def free_places(transport: Any) -> int:
    """Return how many more exchanges could begin."""
    http1 = getattr(transport, "_http1", None)
    return int(min(each._places._value for each in (transport, http1) if each is not None))


# --- Stages -------------------------------------------------------------------------------------------------------


class Stage(NamedTuple):
    """What a client meets. `talk` is None where it does not come to a request."""

    open: Callable[[Authority, Client], AbstractAsyncContextManager[HttpOptions]]
    talk: Talk | None = None

    def suits(self, client: Client) -> bool:
        return self.talk is None or client.knows(self.talk)


def plain(talk: Talk, *, host: str = "127.0.0.1", **changes: Any) -> Stage:
    """Set up a server that gets to hear the request."""

    @asynccontextmanager
    async def stage(authority: Authority, client: Client) -> AsyncIterator[HttpOptions]:
        async with client.serve(authority, talk, host=host, **changes) as (_, wanted):
            yield wanted

    return Stage(stage, talk)


def hello(script: Script, **changes: Any) -> Stage:
    """Set up a server that should begin with TLS, and does what the script says."""

    @asynccontextmanager
    async def stage(_: Authority, __: Client) -> AsyncIterator[HttpOptions]:
        async with serve(script) as server:
            yield options(server.url("https"), **changes)

    return Stage(stage)


def secure(name: str, *, is_trusted: bool) -> Stage:
    """Set up a server with a certificate for `name`."""

    @asynccontextmanager
    async def stage(authority: Authority, client: Client) -> AsyncIterator[HttpOptions]:
        file = authority.file if is_trusted else None
        async with client.serve(authority, FINE, tls=authority.server(name), ca_file=file) as (_, wanted):
            yield wanted

    return Stage(stage)


@asynccontextmanager
async def _nobody(_: Authority, client: Client) -> AsyncIterator[HttpOptions]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield options(f"{'https' if client.is_h2 else 'http'}://127.0.0.1:{taken.getsockname()[1]}")


NOBODY_LISTENS = Stage(_nobody)


def unknown(host: str) -> Stage:
    @asynccontextmanager
    async def stage(_: Authority, client: Client) -> AsyncIterator[HttpOptions]:
        yield options(f"{'https' if client.is_h2 else 'http'}://{host}")

    return Stage(stage)


def answer(number: int, *fields: str) -> Stage:
    return plain(talks.saying(number, b"" if number in {204, 304} else b"{}", *fields))


def body(content: bytes) -> Stage:
    return plain(talks.saying(200, content))


# --- Requests -----------------------------------------------------------------------------------------------------


def request_for(effect: Effect) -> Request:
    """Build a request that carries the canary wherever a credential may stand."""
    query, headers = {"key": CANARY}, {"x-api-key": CANARY}
    if effect is Effect.READ:
        return Request.get("/things", query=query, headers=headers)
    key = CANARY if effect is Effect.IDEMPOTENT else None
    card = {"card": CANARY}
    return Request.post("/things", json=card, query=query, headers=headers, effect=effect, idempotency_key=key)
