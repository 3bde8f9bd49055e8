"""Callers and vendors who mean the gateway, each other or themselves no good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.proxied import BEARER, KEY, PATIENCE_S, VENDOR_KEY, proxied, request
from gateway.test_proxy import IN_QUERY, OK, problem, sent
from gateway.test_proxy_streams import CHUNKED, chunk, open_caller
from raw_server import Peer, let_the_client_read, reply, reply_once
from stages import http

ALL = 50


@contextmanager
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """Listen to what the server logs, which goes nowhere else."""
    logger = logging.getLogger("uvicorn")
    logger.addHandler(caplog.handler)
    try:
        yield caplog.records
    finally:
        logger.removeHandler(caplog.handler)


async def is_free(fl: object) -> bool:
    """Give the proxy its turns; return whether every place at the vendor is free."""
    await let_the_client_read()
    return bool(fl.connections["shop"].concurrency.free == ALL)  # type: ignore[attr-defined]


# --- Requests in requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 2"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:\x0bchunked"],
        ["Content-Length: +2"],
        ["X-A: b", " folded: c"],
    ],
)
async def test_a_body_of_two_lengths_is_refused(fields: list[str]) -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.send(request("POST /proxy/shop/", *fields) + b"0\r\n\r\n")
        line = await all_.caller.reader.readline()
        assert line.split(b" ")[1] in {b"400", b"501"}
    assert not all_.vendor.requests


async def test_a_coding_that_we_do_not_know_is_refused() -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.send(request("POST /proxy/shop/", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n")
        problem(await all_.caller.read(), 501, "unsupported_coding")
    assert not all_.vendor.requests


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.test/proxy/shop/a", 200),
        ("http://evil.test/a", 401),
        ("//evil.test/proxy/shop/a", 401),
        ("/proxy/shop//evil.test/a", 400),
        ("/proxy/shop/%2F%2Fevil.test", 200),
        ("/proxy/shop/..%2fadmin", 200),
        ("/proxy/shop/%2e%2e/admin", 400),
        ("/proxy/shop/a\\b", 400),
        ("/proxy/shop@evil.test/", 404),
        ("/proxy/http://evil.test/", 404),
        ("/proxy/", 404),
        ("/%70roxy/shop/a", 404),
        ("/proxy/shop?a=b", 200),
        ("*", 404),
        ("/proxy/shop/\xc3\xa9", 400),
    ],
)
async def test_a_path_leads_nowhere_else(target: str, status: int) -> None:
    async with proxied(reply(OK)) as all_:
        key = "host: evil.test" if status == 401 else f"fairlead-key: {KEY}"
        await all_.caller.send(f"OPTIONS {target} HTTP/1.1\r\nhost: evil.test\r\n{key}\r\n\r\n".encode("latin-1"))
        line = await all_.caller.reader.readline()
        assert int(line.split(b" ")[1]) == status
    for seen in all_.vendor.requests:
        assert seen.startswith(b"OPTIONS /v1/")
        assert f"host: 127.0.0.1:{all_.vendor.port}" in seen.decode("latin-1").lower()


async def test_a_head_has_its_bound() -> None:
    """Anybody may send one, before any key is looked at."""
    async with proxied(reply(OK)) as all_:
        for begun in (b"GET /" + b"a" * 1_000_000, b"GET / HTTP/1.1\r\nx: " + b"a" * 1_000_000):
            caller = await open_caller(all_.port)
            caller.writer.write(begun)
            assert b" 431 " in await caller.reader.readuntil(b"\r\n\r\n")
            caller.writer.close()


async def test_a_web_socket_is_refused_in_plain_words(caplog: pytest.LogCaptureFixture) -> None:
    async with proxied(reply(OK)) as all_:
        with heard(caplog) as records:
            answer = await all_.caller.ask(
                "GET /proxy/shop/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"
            )
            problem(answer, 501, "unsupported_upgrade")
    assert not all_.vendor.requests
    assert not records


async def test_every_connection_field_is_heeded() -> None:
    async with proxied(reply(OK)) as all_:
        fields = ("Connection: X-One", "Connection: X-Two, Authorization", "X-One: 1", "X-Two: 2")
        assert (await all_.caller.ask("GET /proxy/shop/", *fields)).status == 200
    assert set(sent(all_.vendor.requests[0])[1]) == {"host", "authorization"}


async def test_a_usual_word_hides_no_other() -> None:
    async with proxied(reply(http(200, b"{}", "Connection: X-Mine", "Connection: keep-alive", "X-Mine: 1"))) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/", "Connection: X-One", "Connection: keep-alive", "X-One: 1")
    assert set(sent(all_.vendor.requests[0])[1]) == {"host", "authorization"}
    assert "x-mine" not in answer.headers


# --- Keys ---------------------------------------------------------------------------------------------------------


async def test_the_gateways_key_passes_nowhere() -> None:
    async with proxied(reply(OK)) as all_:
        fields = (f"X-Api-Key: {KEY}", f"X-Other: Token {KEY}", f"Authorization: Bearer {KEY}", "X-A: 1")
        answer = await all_.caller.ask(f"GET /proxy/shop/?key={KEY}&a=b&z={KEY.replace('-', '%2d')}", *fields)
    assert answer.status == 200
    line, seen, _ = sent(all_.vendor.requests[0])
    assert line == "GET /v1/?a=b HTTP/1.1"
    assert set(seen) == {"host", "authorization", "x-a"}


async def test_a_key_that_is_no_text_is_not_known() -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.send(b"GET /proxy/shop/ HTTP/1.1\r\nhost: gateway\r\nfairlead-key: \xff\xfe\r\n\r\n")
        problem(await all_.caller.read(), 401, "missing_key")


async def test_nor_does_it_after_a_body_or_what_has_no_place_there() -> None:
    got = b""

    async def script(peer: Peer) -> None:
        nonlocal got
        while not got.endswith(b"0\r\n\r\n") and b"x-sum" not in got:
            got += await peer.read_some()
        await peer.send(http(200))
        await peer.wait_for_end()

    after = (
        f"fairlead-key: {KEY}\r\nAuthorization: Bearer {KEY}\r\nX-Again: {KEY}\r\n"
        "Host: evil.test\r\nCookie: a=b\r\nX-Sum: 6\r\n"
    )
    async with proxied(script, gateway="replay_bytes = 3") as all_:
        fields = ("Transfer-Encoding: chunked", "Trailer: X-Sum")
        await all_.caller.send(request("POST /proxy/shop/", *fields) + chunk(b"abc") + f"0\r\n{after}\r\n".encode())
        assert (await all_.caller.read()).status == 200
    assert got.endswith(chunk(b"abc") + b"0\r\nx-sum: 6\r\n\r\n")


@pytest.mark.parametrize("status", [401, 200])
async def test_a_vendors_key_is_hidden_as_it_may_be_written(status: int) -> None:
    forms = (VENDOR_KEY, "canary-vendor%2Bkey%2F1", "canary-vendor%2bkey%2f1", "canary-vendor+key\\/1")
    said = http(status, " ".join(forms).encode(), f"X-Seen: {forms[1]}")
    async with proxied(reply(said), IN_QUERY, tries=1) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/")
    assert b"canary" not in answer.body
    assert answer.body.count(b"*") == sum(map(len, forms))
    assert "canary" not in answer.headers["x-seen"]


async def test_an_error_that_repeats_a_key_from_a_header_is_covered_too() -> None:
    async with proxied(reply(http(401, f"Invalid: {VENDOR_KEY}".encode()))) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/")
    assert answer.body == b"Invalid: " + b"*" * len(VENDOR_KEY)


async def test_events_of_a_vendor_with_a_key_in_its_address_are_not_held_back() -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED % (b"text/event-stream", b""))
        await peer.send(chunk(b"data: 1\n\n") + chunk(b"data: canary-ven"))
        await go_on.wait()
        await peer.send(chunk(b"dor+key/1\n\n") + b"0\r\n\r\n")
        await peer.wait_for_end()

    async with proxied(script, IN_QUERY) as all_:
        await all_.caller.send(request("GET /proxy/shop/events"))
        async with asyncio.timeout(PATIENCE_S):
            await all_.caller.reader.readuntil(b"data: 1\n\n")
        go_on.set()
        rest = await all_.caller.reader.readuntil(b"0\r\n\r\n")
    assert b"canary" not in rest
    assert b"*" * len(VENDOR_KEY) in rest.replace(b"\r\n", b"")


# --- Vendors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [299, 419, 599, 600, 999])
async def test_an_odd_status_passes(status: int) -> None:
    async with proxied(reply(http(status, b"odd")), tries=1) as all_:
        answer = await all_.caller.ask("POST /proxy/shop/")
        again = await all_.caller.ask("POST /proxy/shop/")
    assert (answer.status, answer.body, again.status) == (status, b"odd", status)


async def test_an_answer_without_a_reason_passes() -> None:
    async with proxied(reply(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}")) as all_:
        assert (await all_.caller.ask("GET /proxy/shop/")).body == b"{}"


async def test_a_protocol_that_nobody_asked_for_holds_no_place() -> None:
    said = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: odd\r\n\r\n"
    async with proxied(reply_once(said), tries=1) as all_:
        answer = await all_.caller.ask("POST /proxy/shop/")
        assert answer.status == 502
        assert await is_free(all_.fl)


async def test_a_vendor_does_not_speak_for_the_gateway() -> None:
    said = http(200, b"{}", "fairlead-error: mine", 'Alt-Svc: h3=":443"', "Strict-Transport-Security: max-age=9",
                "Date: Sun, 06 Nov 1994 08:49:37 GMT", "X-A: a\x01b")  # fmt: skip
    async with proxied(reply(said)) as all_:
        await all_.caller.send(request("GET /proxy/shop/"))
        head = (await all_.caller.reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert "fairlead-error" not in head
    assert "alt-svc" not in head
    assert "strict-transport-security" not in head
    assert [line for line in head.split("\r\n") if line.startswith("date:")] == ["date: sun, 06 nov 1994 08:49:37 gmt"]


async def test_what_comes_after_a_body_frames_and_sets_nothing() -> None:
    after = b"X-Sum: 6\r\nSet-Cookie: a=b\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    body = CHUNKED % (b"text/plain", b"Trailer: X-Sum\r\n") + chunk(b"abc") + b"0\r\n" + after
    async with proxied(reply(body)) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/")
        again = await all_.caller.ask("GET /proxy/shop/")
    assert (answer.trailers, again.status) == ("x-sum: 6\r\n", 200)


async def test_a_head_that_failed_tells_its_length_and_sends_nothing() -> None:
    async with proxied(reply(b"HTTP/1.1 404 No\r\nContent-Length: 1000\r\n\r\n")) as all_:
        for _ in range(2):
            await all_.caller.send(request("HEAD /proxy/shop/"))
            head = await all_.caller.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 ")
            assert b"content-length: 1000" in head


async def test_an_error_that_does_not_end_ends_with_the_attempt() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n")
        await peer.wait_for_end()

    async with proxied(script, tries=1) as all_:
        async with asyncio.timeout(PATIENCE_S):
            answer = await all_.caller.ask("GET /proxy/shop/", "fairlead-deadline-ms: 300")
        assert answer.status == 504
        assert await is_free(all_.fl)


# --- Callers who leave --------------------------------------------------------------------------------------------


async def test_of_two_requests_at_once_the_first_may_break_off() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf")
        await let_the_client_read()
        peer.reset()

    async with proxied(script) as all_:
        await all_.caller.send(request("GET /proxy/shop/") * 2)
        async with asyncio.timeout(PATIENCE_S):
            read = await all_.caller.reader.read(-1)
        assert read.endswith(b"half")
        await let_the_client_read()
        other = await open_caller(all_.port)
        await other.send(request("GET /healthz"))
        async with asyncio.timeout(PATIENCE_S):
            assert (await other.read()).status == 200
        other.writer.close()
        assert await is_free(all_.fl)
        running = [task for task in asyncio.all_tasks() if "_attend" in repr(task)]
        assert not running


async def test_who_asks_twice_and_leaves_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(CHUNKED % (b"text/event-stream", b"") + chunk(b"data: 1\n\n"))
        await peer.wait_for_end()

    async with proxied(script) as all_:
        with heard(caplog) as records:
            caller = await open_caller(all_.port)
            await caller.send(request("GET /proxy/shop/events") * 2)
            await caller.reader.readuntil(b"data: 1\n\n")
            caller.writer.transport.abort()
            async with asyncio.timeout(PATIENCE_S):
                await all_.vendor.has_ended.wait()
            assert await is_free(all_.fl)
    assert not records


async def test_who_leaves_after_a_long_body_is_noticed() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_some()
        await peer.send(CHUNKED % (b"text/event-stream", b"") + chunk(b"data: 1\n\n"))
        await peer.wait_for_end()

    async with proxied(script, gateway="replay_bytes = 3") as all_:
        caller = await open_caller(all_.port)
        await caller.send(request("POST /proxy/shop/", "Content-Length: 10") + b"01234")
        await caller.reader.readuntil(b"data: 1\n\n")
        await caller.send(b"56789")
        await let_the_client_read()
        caller.writer.close()
        async with asyncio.timeout(PATIENCE_S):
            await all_.vendor.has_ended.wait()
        assert await is_free(all_.fl)


async def test_a_slow_caller_opens_no_circuit() -> None:
    async def script(peer: Peer) -> None:
        while b"67" not in await peer.read_some():
            pass
        await peer.send(http(201))
        await peer.wait_for_end()

    async with proxied(script, f"{BEARER}\nbreaker = {{ min_attempts = 1, window = 1 }}", gateway="replay_bytes = 3",
                       read_s=0.1) as all_:  # fmt: skip
        await all_.caller.send(request("POST /proxy/shop/", "Content-Length: 8") + b"0123")
        await asyncio.sleep(0.4)
        await all_.caller.send(b"4567")
        assert (await all_.caller.read()).status == 201


async def test_a_bug_of_ours_in_the_middle_breaks_the_answer_off_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept: Any = None

    class Broken:
        """The body of an answer that fails in a way nobody thought of."""

        def __aiter__(self) -> Broken:
            return self

        async def __anext__(self) -> bytes:
            raise ZeroDivisionError

        async def aclose(self) -> None:
            await kept.aclose()

        def taken(self) -> None:
            return None

        def trailers(self) -> tuple[()]:
            return ()

    async with proxied(reply(CHUNKED % (b"text/plain", b"") + chunk(b"abc") + b"0\r\n\r\n")) as all_:
        transport = all_.fl.connections["shop"].transport
        usual = transport.exchange

        async def failing(asked: object, *, timeout_s: float) -> object:
            nonlocal kept
            answer = await usual(asked, timeout_s=timeout_s)  # type: ignore[arg-type]
            kept = answer.stream  # type: ignore[union-attr]
            return answer.__class__(status=200, headers=answer.headers, stream=Broken())  # type: ignore[union-attr, call-arg]

        transport.exchange = failing  # type: ignore[method-assign, assignment]
        with heard(caplog) as records:
            await all_.caller.send(request("GET /proxy/shop/"))
            read = await all_.caller.reader.read(-1)
            assert not read.endswith(b"0\r\n\r\n")
            assert await is_free(all_.fl)
    assert len(records) == 1
