"""Bodies through the proxy, piece by piece: as fast as the other side takes them, and no further than it stays."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from fairlead.config.settings import Settings
from gateway.proxied import KEY, PATIENCE_S, Caller, proxied, request
from raw_server import Peer, let_the_client_read, reply
from stages import http

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: %b\r\n%b\r\n"
PIECE = b"x" * 65_536
MANY = 1_600  # about 100 MB


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def open_caller(port: int) -> Caller:
    return Caller(*await asyncio.open_connection("127.0.0.1", port))


# --- To the caller ------------------------------------------------------------------------------------------------


async def test_events_arrive_when_they_are_sent() -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED % (b"text/event-stream", b""))
        for number in range(3):
            await peer.send(chunk(b"data: %d\n\n" % number))
            await go_on.wait()
            go_on.clear()
        await peer.send(b"0\r\n\r\n")

    async with proxied(script) as all_:
        await all_.caller.send(request("GET /proxy/shop/events", "Accept: text/event-stream"))
        head = await all_.caller.reader.readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head
        for number in range(3):
            assert b"data: %d\n\n" % number in await all_.caller.reader.readuntil(b"\n\n\r\n")
            go_on.set()
        assert await all_.caller.reader.readexactly(5) == b"0\r\n\r\n"


async def test_events_may_be_long_in_coming() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED % (b"text/event-stream", b""))
        await asyncio.sleep(0.3)  # six times as long as any other answer may be silent
        await peer.send(chunk(b"data: late\n\n") + b"0\r\n\r\n")
        await peer.wait_for_end()

    async with proxied(script, read_s=0.05) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/events")
    assert answer.body == b"data: late\n\n"


async def test_fields_after_the_body_are_passed_on() -> None:
    body = CHUNKED % (b"text/plain", b"Trailer: X-Sum, X-Other\r\n") + chunk(b"abc") + b"0\r\nX-Sum: 6\r\n\r\n"
    async with proxied(reply(body)) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/")
        again = await all_.caller.ask("GET /proxy/shop/")
    assert (answer.body, answer.trailers, answer.headers["trailer"]) == (b"abc", "x-sum: 6\r\n", "X-Sum, X-Other")
    assert again.trailers == answer.trailers
    assert all_.vendor.connections == 1


async def test_an_answer_that_ends_with_its_connection_is_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with proxied(script) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/")
    assert answer.body == b"all of it"


@pytest.mark.parametrize("head", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
async def test_an_answer_that_breaks_off_is_not_whole_for_the_caller_either(head: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + chunk(b"half"))
        await let_the_client_read()
        peer.reset()

    async with proxied(script) as all_:
        await all_.caller.send(request("GET /proxy/shop/"))
        read = await all_.caller.reader.read(-1)
    assert b"half" in read
    assert not read.endswith(b"0\r\n\r\n")


async def test_so_is_one_that_stalls() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf")
        await peer.wait_for_end()

    async with proxied(script, read_s=0.1) as all_:
        await all_.caller.send(request("GET /proxy/shop/"))
        read = await all_.caller.reader.read(-1)
    assert read.endswith(b"half")
    assert all_.fl.connections["shop"].concurrency.free == 50


async def test_a_vendor_is_held_up_by_a_caller_who_does_not_read() -> None:
    sent = 0
    is_stuck = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * MANY))
        for _ in range(MANY):
            try:
                async with asyncio.timeout(1.0):
                    await peer.send(PIECE)
            except TimeoutError:
                is_stuck.set()
                await peer.wait_for_end()
            sent += 1

    async with proxied(script) as all_:
        caller = await open_caller(all_.port)
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        await caller.send(request("GET /proxy/shop/"))
        await is_stuck.wait()
        assert sent < MANY // 2  # the rest waits at the vendor: what the kernel takes on four sockets is a few MB
        caller.writer.transport.abort()
        await all_.vendor.has_ended.wait()


async def test_a_long_answer_takes_no_memory() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * MANY))
        for _ in range(MANY):
            await peer.send(PIECE)
        await peer.wait_for_end()

    async with proxied(script) as all_:
        caller = await open_caller(all_.port)
        tracemalloc.start()
        await caller.send(request("GET /proxy/shop/"))
        await caller.reader.readuntil(b"\r\n\r\n")
        read = 0
        while read < len(PIECE) * MANY:
            read += len(await caller.reader.read(1 << 20))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        caller.writer.close()
    assert peak < 8_000_000


async def test_when_the_caller_leaves_so_do_we() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED % (b"text/event-stream", b"") + chunk(b"data: 1\n\n"))
        await peer.wait_for_end()

    async with proxied(script) as all_:
        caller = await open_caller(all_.port)
        await caller.send(request("GET /proxy/shop/events"))
        await caller.reader.readuntil(b"data: 1\n\n")
        assert all_.fl.connections["shop"].concurrency.free == 49
        caller.writer.close()
        await all_.vendor.has_ended.wait()
        await let_the_client_read()
        assert all_.fl.connections["shop"].concurrency.free == 50


# --- To the vendor ------------------------------------------------------------------------------------------------


async def test_a_long_body_passes_as_it_comes() -> None:
    got: list[bytes] = []
    has_first = asyncio.Event()

    async def script(peer: Peer) -> None:
        while b"0\r\n\r\n" not in b"".join(got)[-7:]:
            got.append(await peer.read_some())
            if b"first" in b"".join(got):
                has_first.set()
        await peer.send(http(201))
        await peer.wait_for_end()

    async with proxied(script, gateway="replay_bytes = 3") as all_:
        await all_.caller.send(request("POST /proxy/shop/", "Transfer-Encoding: chunked") + chunk(b"first"))
        await has_first.wait()  # before the rest is sent
        await all_.caller.send(chunk(b"second") + b"0\r\n\r\n")
        answer = await all_.caller.read()
    assert answer.status == 201
    head, _, body = b"".join(got).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == chunk(b"first") + chunk(b"second") + b"0\r\n\r\n"


async def test_its_length_and_the_fields_after_it_pass_too() -> None:
    got = b""

    async def script(peer: Peer) -> None:
        nonlocal got
        while not got.endswith((b"x-sum: 6\r\n\r\n", b"12345")):
            got += await peer.read_some()
        await peer.send(http(200))
        await peer.wait_for_end()

    async with proxied(script, gateway="replay_bytes = 3") as all_:
        answer = await all_.caller.ask("POST /proxy/shop/", body=b"12345")
        assert (answer.status, b"Content-Length: 5" in got) == (200, True)
    got = b""
    async with proxied(script, gateway="replay_bytes = 3") as all_:
        fields = ("Transfer-Encoding: chunked", "Trailer: X-Sum")
        await all_.caller.send(request("POST /proxy/shop/", *fields) + chunk(b"abcdef") + b"0\r\nX-Sum: 6\r\n\r\n")
        assert (await all_.caller.read()).status == 200
    assert got.endswith(chunk(b"abcdef") + b"0\r\nx-sum: 6\r\n\r\n")


async def test_a_long_body_is_sent_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(http(429, b"slower"))

    async with proxied(script, gateway="replay_bytes = 3") as all_:
        answer = await all_.caller.ask("POST /proxy/shop/", body=b"12345")
    assert (answer.status, answer.body, len(all_.vendor.requests)) == (429, b"slower", 1)


async def test_a_body_waits_for_the_vendors_word() -> None:
    is_refused = False

    async def script(peer: Peer) -> None:
        head = await peer.read()
        assert b"expect: 100-continue" in head.lower()
        assert head.endswith(b"\r\n\r\n")
        if is_refused:
            await peer.send(http(413, b"too long"))
            await peer.wait_for_end()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.read() == b"12345"
        await peer.send(http(200))

    for is_refused in (False, True):
        async with proxied(script, gateway="replay_bytes = 3") as all_:
            caller = await open_caller(all_.port)
            await caller.send(request("PUT /proxy/shop/", "Expect: 100-continue", "Content-Length: 5"))
            if not is_refused:
                assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                await caller.send(b"12345")
            answer = await caller.read()
            caller.writer.close()
        assert answer.status == (413 if is_refused else 200)


async def test_without_a_key_no_body_is_asked_for() -> None:
    async with proxied(reply(http(200))) as all_:
        fields = ("Expect: 100-continue", "Content-Length: 5")
        await all_.caller.send(request("PUT /proxy/shop/", *fields, key="fairlead-key: wrong"))
        assert (await all_.caller.read()).status == 401


async def test_a_caller_who_leaves_in_the_middle_ends_it_at_the_vendor() -> None:
    async def script(peer: Peer) -> None:
        peer.count(await peer.read())
        await peer.wait_for_end()

    async with proxied(script, gateway="replay_bytes = 3") as all_:
        caller = await open_caller(all_.port)
        await caller.send(request("POST /proxy/shop/", "Content-Length: 1000000") + b"a beginning")
        await all_.vendor.has_begun.wait()
        caller.writer.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            await all_.vendor.has_ended.wait()
        await let_the_client_read()
        assert all_.fl.connections["shop"].concurrency.free == 50
        other = await open_caller(all_.port)
        await other.send(request("GET /healthz", key=f"fairlead-key: {KEY}"))
        assert (await other.read()).status == 200
        other.writer.close()


async def test_a_vendor_that_answers_before_it_has_heard_all_is_heard() -> None:
    async def script(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(413, b"too long"))
        await peer.wait_for_end()

    async with proxied(script, gateway="replay_bytes = 3") as all_:
        caller = await open_caller(all_.port)
        await caller.send(request("POST /proxy/shop/", "Content-Length: 1000000") + b"a beginning")
        answer = await caller.read()
        caller.writer.close()
    assert (answer.status, answer.body) == (413, b"too long")


async def test_a_stream_outlives_the_connection_that_it_came_from() -> None:
    goes_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf")
        await goes_on.wait()
        await peer.send(b"x" * (100_000 - 4))
        await peer.wait_for_end()

    async with proxied(script) as all_:
        await all_.caller.send(request("GET /proxy/shop/"))
        head = await all_.caller.reader.readuntil(b"half")
        await all_.fl.reload(Settings())
        assert "shop" not in all_.fl.connections
        goes_on.set()
        body = await all_.caller.reader.readexactly(100_000 - 4)
        await all_.vendor.has_ended.wait()  # and then it is closed
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b"x" * (100_000 - 4)
