"""What a server of HTTP/1.1 may say that is odd but right, and what is wrong and ends the connection."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from fairlead.errors import InvalidArgumentError
from fairlead.model.exchange import Broken, StreamEnded
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure
from fairlead.transport.http import HttpTransport
from raw_server import EMPTY, Peer, let_the_client_read, reply, serve
from stages import HTTP1, PATIENCE_S, Authority, Client, free_places, options, request_for
from talks import CHUNKED, FINE

READ = Request.get("/things")
STREAMED = Request(method="GET", path="/things", effect=Effect.READ, is_streamed=True)


async def told(said: bytes, request: Request = READ) -> tuple[Response | Broken, int]:
    """Return the second of two answers, and over how many connections they came."""
    async with serve(reply(said)) as server:
        transport = HttpTransport(options(server.url(), pool=1))
        for _ in range(2):
            result = await transport.exchange(request, timeout_s=PATIENCE_S)
            if isinstance(result, Response) and result.stream is not None:
                try:
                    body = b"".join([piece async for piece in result.stream])
                    result = msgspec.structs.replace(result, body=body)
                except StreamEnded as ended:
                    result = ended.broken
        assert free_places(transport) == 1
        await transport.close()
    return result, server.connections


@pytest.mark.parametrize(
    ("said", "body", "connections"),
    [
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", 2),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", b"{}", 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Folded: a\r\n b\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", b"{}", 1),
        (CHUNKED + b'2;a=b;c="d"\r\n{}\r\n0;end\r\n\r\n', b"{}", 1),
        (CHUNKED + b"0002\r\n{}\r\n000\r\n\r\n", b"{}", 1),
        (b"HTTP/1.1 204 No\r\n\r\n", b"", 1),
        (b"HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n", b"", 1),
        (b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
    ],
)
async def test_what_is_odd_is_read(said: bytes, body: bytes, connections: int) -> None:
    result, count = await told(said)
    assert isinstance(result, Response), result
    assert (result.body, count) == (body, connections)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/3.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"ffffffffffffffffff\r\n{}",
        CHUNKED + b"g\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"2\r\n{}xx0\r\n\r\n",
        CHUNKED + b"2;" + b"a" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"0\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=lambda said: said[:60].split(b"\r\n", 1)[1].decode() or repr(said[len(CHUNKED) : len(CHUNKED) + 20]),
)
@pytest.mark.parametrize("asked", [READ, STREAMED], ids=["whole", "streamed"])
async def test_what_is_wrong_ends_it(said: bytes, asked: Request) -> None:
    result, count = await told(said, asked)
    assert isinstance(result, Broken), result
    assert result.failure in {Failure.PROTOCOL, Failure.TOO_LARGE}
    assert count == 2


async def test_a_chunk_of_gigabytes_takes_no_memory() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED + b"fffffff0\r\n")
        for _ in range(100):
            await peer.send(bytes(64 * 1024))

    async with serve(script) as server:
        result = await HTTP1.exchange(options(server.url()), READ)
    assert isinstance(result, Broken)
    assert result.failure is Failure.TOO_LARGE


async def test_what_nobody_asked_for_does_not_become_an_answer(client: Client, authority: Authority) -> None:
    """A server that says more than one answer, or speaks on an idle connection, would answer the next request."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(EMPTY + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await peer.wait_for_end()

    async with serve(script) as server:
        transport = HttpTransport(options(server.url(), pool=1))
        for _ in range(3):
            result = await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S)
            assert isinstance(result, Response)
            assert result.body == b""
        await transport.close()
    assert server.connections == 3


# --- A connection that the server has closed ----------------------------------------------------------------------


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"], ids=["closed", "408"])
async def test_no_request_is_lost_on_a_connection_that_was_closed_meanwhile(farewell: bytes) -> None:
    """The event loop has had no time to tell: a program that was busy asks the moment it is done."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # noqa: FBT003  # its own signature

        async def answer_one() -> socket.socket:
            made, _ = await loop.sock_accept(listener)
            await loop.sock_recv(made, 65536)
            await loop.sock_sendall(made, EMPTY)
            return made

        transport = HttpTransport(options(f"http://127.0.0.1:{listener.getsockname()[1]}", pool=1))
        for _ in range(2):
            answering = asyncio.create_task(answer_one())
            result = await transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S)
            if not isinstance(result, Response):
                answering.cancel()
            assert isinstance(result, Response)
            made = await answering
            made.send(farewell)
            made.close()
        await transport.close()


async def test_a_secure_answer_that_ends_with_its_connection_ends_with_an_alert(authority: Authority) -> None:
    """RFC 9112 §9.8: or anybody on the way could cut it short."""
    context = authority.server("127.0.0.1")
    said = b"HTTP/1.1 200 OK\r\n\r\nall of it"

    async def in_order(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(said)

    async with serve(in_order, tls=context) as server:
        result = await HTTP1.exchange(options(server.url("https"), ca_file=authority.file), READ)
    assert isinstance(result, Response)
    assert result.body == b"all of it"

    def cut_short(listener: socket.socket) -> None:
        made, _ = listener.accept()
        with context.wrap_socket(made, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(said)
            socket.socket(fileno=secured.detach()).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(cut_short, listener))
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        result = await HTTP1.exchange(options(url, ca_file=authority.file), READ)
        await serving
    assert isinstance(result, Broken)
    assert result.failure is Failure.TRUNCATED


# --- What we say --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", path="/a b\r\nX: y", effect=Effect.READ),
        Request(method="GET", path="/", raw_query="a=b\r\nX: y", effect=Effect.READ),
        Request(method="GET", path="/", headers=(("x-a", "b\nx-c: d"),), effect=Effect.READ),
        Request(method="GET", path="/", headers=(("x-a\r\nx-b", "c"),), effect=Effect.READ),
        Request(method="GET", path="/", headers=(("x-a", "b\rc"),), effect=Effect.READ),
        Request(method="GET", path="/", headers=(("x-a", "b\0c"),), effect=Effect.READ),
        Request(method="GET / HTTP/1.1\r\nX: y\r\n\r\nGET", path="/", effect=Effect.READ),
    ],
    ids=["path", "query", "value", "name", "carriage return", "nul", "method"],
)
async def test_nothing_that_would_begin_another_line_is_sent(
    request_: Request, client: Client, authority: Authority
) -> None:
    async with client.serve(authority, FINE, pool=1) as (server, wanted):
        transport = client.make(wanted)
        with pytest.raises(InvalidArgumentError):
            await transport.exchange(request_, timeout_s=PATIENCE_S)
        assert free_places(transport) == 1
        assert isinstance(await transport.exchange(READ, timeout_s=PATIENCE_S), Response)
        await transport.close()
    assert len(server.requests) == 1


@pytest.mark.parametrize("value", [" padded\t", "\x01", "\x7f", "ü", "", "a, b"])
async def test_other_values_are(value: str, client: Client, authority: Authority) -> None:
    request = Request(method="GET", path="/", headers=(("x-a", value),), effect=Effect.READ)
    async with client.serve(authority, FINE) as (server, wanted):
        result = await client.exchange(wanted, request)
    assert isinstance(result, Response), result
    assert b"x-a" in server.requests[0]


async def test_a_stream_through_a_proxy_names_all_of_its_address() -> None:
    async with serve(reply(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n")) as proxy:
        transport = HttpTransport(options("http://shop.test", proxy=proxy.url(), allow_private_proxy=True, pool=1))
        for _ in range(2):
            result = await transport.exchange(STREAMED, timeout_s=PATIENCE_S)
            assert isinstance(result, Response)
            assert [piece async for piece in result.stream] == [b"{}"]
        await let_the_client_read()
        assert free_places(transport) == 1
        await transport.close()
    assert proxy.requests[0].startswith(b"GET http://shop.test/things HTTP/1.1\r\nHost: shop.test\r\n")
    assert proxy.connections == 1
