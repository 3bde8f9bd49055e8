"""Stages for exchanges: a raw server with a script (or no server at all), and what the transport is told of it."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import NamedTuple

import msgspec
import trustme

from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from fairlead.transport.http import HttpOptions, HttpTransport
from raw_server import EMPTY, Peer, Script, let_the_client_read, reply, reply_once, serve

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


# --- Stages: a server (or none), and what the transport is told of it ---------------------------------------------

Stage = Callable[[Authority], AbstractAsyncContextManager[HttpOptions]]


def options(base_url: str, **changes: object) -> HttpOptions:
    usual = HttpOptions(base_url=base_url, allow_private=True, max_answer_bytes=LIMIT)
    return msgspec.structs.replace(usual, **changes)


def plain(script: Script, *, scheme: str = "http", host: str = "127.0.0.1", **changes: object) -> Stage:
    """Set up a server without TLS."""

    @asynccontextmanager
    async def stage(_: Authority) -> AsyncIterator[HttpOptions]:
        async with serve(script) as server:
            yield options(server.url(scheme, host), **changes)

    return stage


def secure(name: str, *, is_trusted: bool) -> Stage:
    """Set up a server with a certificate for `name`."""

    @asynccontextmanager
    async def stage(authority: Authority) -> AsyncIterator[HttpOptions]:
        async with serve(reply(EMPTY), tls=authority.server(name)) as server:
            yield options(server.url("https"), ca_file=authority.file if is_trusted else None)

    return stage


@asynccontextmanager
async def nobody_listens(_: Authority) -> AsyncIterator[HttpOptions]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield options(f"http://127.0.0.1:{taken.getsockname()[1]}")


def unknown(host: str) -> Stage:
    @asynccontextmanager
    async def stage(_: Authority) -> AsyncIterator[HttpOptions]:
        yield options(f"http://{host}")

    return stage


# --- Scripts ------------------------------------------------------------------------------------------------------


def http(status: int, body: bytes = b"{}", *fields: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Content-Type: application/json", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


def answer(number: int, *fields: str) -> Stage:
    return plain(reply(http(number, b"" if number in {204, 304} else b"{}", *fields)))


def body(content: bytes) -> Stage:
    return plain(reply(http(200, content)))


async def reset_at_hello(peer: Peer) -> None:
    await peer.read()
    peer.reset()


async def close_at_hello(peer: Peer) -> None:
    await peer.read()
    peer.close()


async def reset_after_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def close_after_request(peer: Peer) -> None:
    await peer.read_request()


async def reset_in_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"done":')
    await let_the_client_read()
    peer.reset()


async def stall_in_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"done":')
    await peer.wait_for_end()


async def speak_plainly(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def claim_two_gigabytes(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n")
    await peer.wait_for_end()


async def stream_on_and_on(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):  # ends when the client hangs up
        await peer.send(b"2000\r\n" + b" " * 0x2000 + b"\r\n")


async def drop_a_bomb(peer: Peer) -> None:
    await reply_once(http(200, bomb(), "Content-Encoding: gzip"))(peer)
    await peer.wait_for_end()


@cache
def bomb() -> bytes:
    """Pack 50 MB into 50 kB, well below the limit."""
    return gzip.compress(bytes(50_000_000))


#: The head of an answer whose body comes in chunks.
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ELSEWHERE = "Location: /elsewhere"


# --- Exchanges ----------------------------------------------------------------------------------------------------


def request_for(effect: Effect) -> Request:
    """Build a request that carries the canary wherever a credential may stand."""
    query, headers = {"key": CANARY}, {"x-api-key": CANARY}
    if effect is Effect.READ:
        return Request.get("/things", query=query, headers=headers)
    key = CANARY if effect is Effect.IDEMPOTENT else None
    card = {"card": CANARY}
    return Request.post("/things", json=card, query=query, headers=headers, effect=effect, idempotency_key=key)


async def exchange(wanted: HttpOptions, request: Request, *, timeout_s: float = PATIENCE_S) -> Response | Broken:
    transport = HttpTransport(wanted)
    try:
        return await transport.exchange(request, timeout_s=timeout_s)
    finally:
        await transport.close()
