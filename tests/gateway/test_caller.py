"""Callers' connections: how many there may be, how long each part of a request may take, and what goes over them."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.proxied import PATIENCE_S, Caller, proxied, request
from gateway.test_proxy import OK, problem, sent
from gateway.test_proxy_streams import CHUNKED, chunk, open_caller
from raw_server import Peer, let_the_client_read, reply
from stages import http

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs


async def end_of(caller: Caller) -> bytes:
    """Return what comes until the gateway closes."""
    async with asyncio.timeout(PATIENCE_S):
        return await caller.reader.read(-1)


# --- How long -----------------------------------------------------------------------------------------------------


async def test_a_head_that_drips_has_its_time() -> None:
    async with proxied(reply(OK), gateway="head_s = 0.3") as all_:
        reading = asyncio.ensure_future(all_.caller.read())
        await all_.caller.send(b"GET /proxy/shop/ HTTP/1.1\r\nx: ")
        dripped = 0
        while not reading.done():
            await all_.caller.send(b"x")
            dripped += 1
            await asyncio.wait({reading}, timeout=0.02)
            assert dripped < 500
        answer = problem(reading.result(), 408, "slow_request")
        assert answer["title"] == "The request was too long in coming."
        assert await end_of(all_.caller) == b""
    assert not all_.vendor.requests


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    async with proxied(reply(OK), gateway="head_s = 0.1\nidle_s = 60") as all_:
        assert await end_of(all_.caller) == b""


async def test_so_is_one_that_asks_nothing_more() -> None:
    async with proxied(reply(OK), gateway="idle_s = 0.1") as all_:
        assert (await all_.caller.ask("GET /proxy/shop/")).status == 200
        assert (await all_.caller.ask("GET /proxy/shop/")).status == 200
        assert await end_of(all_.caller) == b""


async def test_empty_lines_are_no_request() -> None:
    async with proxied(reply(OK), gateway="head_s = 0.2") as all_:
        reading = asyncio.ensure_future(end_of(all_.caller))
        while not reading.done():
            await all_.caller.send(b"\r\n")
            await asyncio.wait({reading}, timeout=0.02)
        assert reading.result() == b""


@pytest.mark.parametrize("replay_bytes", [3, 1000])
async def test_a_body_that_stops_coming_has_its_time(replay_bytes: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_some()
        await peer.wait_for_end()

    async with proxied(script, gateway=f"body_s = 0.2\nreplay_bytes = {replay_bytes}") as all_:
        await all_.caller.send(request("POST /proxy/shop/", "Content-Length: 100") + b"a beginning")
        async with asyncio.timeout(PATIENCE_S):
            problem(await all_.caller.read(), 408, "slow_request")
        if replay_bytes == 3:
            async with asyncio.timeout(PATIENCE_S):
                await all_.vendor.has_ended.wait()
        await let_the_client_read()
        assert all_.fl.connections["shop"].concurrency.free == 50


async def test_a_body_that_comes_slowly_is_waited_for() -> None:
    async with proxied(reply(http(201)), gateway="body_s = 0.4\nhead_s = 0.2") as all_:
        await all_.caller.send(request("POST /proxy/shop/", "Content-Length: 6"))
        for piece in (b"ab", b"cd", b"ef"):
            await asyncio.sleep(0.25)  # all of it takes longer than any piece may
            await all_.caller.send(piece)
        assert (await all_.caller.read()).status == 201
    assert sent(all_.vendor.requests[0])[2] == b"abcdef"


async def test_nobody_is_late_who_waits_for_the_gateway() -> None:
    """A third head is cut in two by what the gateway reads at once, and the vendor takes its time for the first."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await asyncio.sleep(0.4)
        await peer.send(http(200, b"1"))
        for number in (2, 3):
            await peer.read_request()
            await peer.send(http(200, b"%d" % number))

    asked = request("GET /proxy/shop/") * 3
    async with proxied(script, gateway="head_s = 0.1\nbody_s = 0.1\nidle_s = 0.1") as all_:
        await all_.caller.send(asked[:-20])
        assert (await all_.caller.read()).body == b"1"
        await all_.caller.send(asked[-20:])
        assert [(await all_.caller.read()).body for _ in range(2)] == [b"2", b"3"]


async def test_an_answer_may_take_as_long_as_it_takes() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_some()
        await peer.send(CHUNKED % (b"text/event-stream", b"") + chunk(b"data: 1\n\n"))
        await asyncio.sleep(0.4)
        await peer.send(chunk(b"data: 2\n\n") + b"0\r\n\r\n")
        await peer.wait_for_end()

    async with proxied(script, gateway="head_s = 0.1\nbody_s = 0.1\nidle_s = 0.1\nreplay_bytes = 1") as all_:
        answer = await all_.caller.ask("POST /proxy/shop/", body=b"long")
    assert answer.body == b"data: 1\n\ndata: 2\n\n"


# --- How many -----------------------------------------------------------------------------------------------------


async def test_one_connection_too_many_is_told_and_closed() -> None:
    async with proxied(reply(OK), gateway="max_connections = 2") as all_:
        second = await open_caller(all_.port)
        assert (await second.ask("GET /proxy/shop/")).status == 200
        third = await open_caller(all_.port)
        refused = await third.read()
        problem(refused, 503, "too_many_connections")
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        assert await end_of(third) == b""
        third.writer.close()
        assert (await all_.caller.ask("GET /proxy/shop/")).status == 200
        second.writer.close()
        await second.writer.wait_closed()
        await let_the_client_read()
        fourth = await open_caller(all_.port)
        assert (await fourth.ask("GET /proxy/shop/")).status == 200
        fourth.writer.close()


async def test_what_waits_over_one_connection_has_its_bound() -> None:
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        has_begun.set()
        await goes_on.wait()
        await peer.send(http(200))

    async with proxied(script) as all_:
        await all_.caller.send(request("GET /proxy/shop/"))
        await has_begun.wait()
        await all_.caller.send(b"GET / HTTP/1.1\r\n\r\n" * 2_500)
        assert await end_of(all_.caller) == b""
        goes_on.set()
        await let_the_client_read()
        assert all_.fl.connections["shop"].concurrency.free == 50


# --- What goes over them ------------------------------------------------------------------------------------------


async def test_what_is_no_http_is_told_so() -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.send(b"\x16\x03\x01 hello\r\n\r\n")
        problem(await all_.caller.read(), 400, "malformed_request")


async def test_nonsense_after_a_request_is_not_taken_for_its_answer() -> None:
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        has_begun.set()
        await goes_on.wait()
        await peer.send(http(200))

    async with proxied(script) as all_:
        await all_.caller.send(request("GET /proxy/shop/"))
        await has_begun.wait()
        await all_.caller.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert await end_of(all_.caller) == b""
        goes_on.set()


async def test_an_old_caller_is_sent_no_chunks() -> None:
    body = CHUNKED % (b"text/plain", b"") + chunk(b"abc") + chunk(b"def") + b"0\r\n\r\n"
    async with proxied(reply(body)) as all_:
        await all_.caller.send(request("GET /proxy/shop/").replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, rest = (await end_of(all_.caller)).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert rest == b"abcdef"


async def test_who_was_not_told_to_send_a_body_is_not_misread() -> None:
    """Whether it follows all the same nobody knows: so nothing else does over that connection (RFC 9110 §10.1.1)."""
    async with proxied(reply(OK)) as all_:
        fields = ("Expect: 100-continue", "Content-Length: 5")
        await all_.caller.send(request("PUT /proxy/shop/", *fields, key="fairlead-key: wrong"))
        answer = await all_.caller.read()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert await end_of(all_.caller) == b""


async def test_a_protocol_that_we_do_not_speak_is_passed_over() -> None:
    async with proxied(reply(OK)) as all_:
        asked = request("GET /proxy/shop/a", "Connection: Upgrade", "Upgrade: h2c") + request("GET /proxy/shop/b")
        await all_.caller.send(asked)
        assert [(await all_.caller.read()).status for _ in range(2)] == [200, 200]
    assert [sent(each)[0] for each in all_.vendor.requests] == ["GET /v1/a HTTP/1.1", "GET /v1/b HTTP/1.1"]


async def test_what_follows_an_early_answer_is_dropped_and_the_next_request_served() -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.send(request("PUT /proxy/shop/", "Content-Length: 200000", key="fairlead-key: wrong"))
        assert (await all_.caller.read()).status == 401
        await all_.caller.send(b"x" * 200_000)
        assert (await all_.caller.ask("GET /proxy/shop/")).status == 200
    assert len(all_.vendor.requests) == 1


async def test_many_at_once_keep_their_order() -> None:
    async def script(peer: Peer) -> None:
        while True:
            asked = await peer.read_request()
            await peer.send(http(200, asked.split(b" ")[1]))

    async with proxied(script) as all_:
        await all_.caller.send(b"".join(request(f"GET /proxy/shop/{number}") for number in range(100)))
        answers = [(await all_.caller.read()).body for _ in range(100)]
    assert answers == [b"/v1/%d" % number for number in range(100)]


async def test_the_rest_of_the_gateway_speaks_over_them_too() -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.send(request("POST /v1/cache/invalidate", "Transfer-Encoding: chunked"))
        await all_.caller.send(chunk(b'{"tags"') + chunk(b': ["x"]}') + b"0\r\n\r\n")
        answer = await all_.caller.read()
        head = await all_.caller.ask("GET /healthz")
    assert json.loads(answer.body) == {"forgotten": 0}
    assert (head.status, head.headers["content-length"]) == (200, "3")
