"""The proxy: what passes as it is, what is taken out, and who may use it."""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64encode

import pytest

from fairlead.observe.events import AttemptFinished
from gateway.proxied import BEARER, KEY, VENDOR_KEY, Answer, proxied, request
from raw_server import Peer, ignore, reply, reply_once
from stages import http

pytestmark = pytest.mark.uvloop  # as `fairlead serve` runs

OK = http(200, b'{"fine": true}')


def sent(data: bytes) -> tuple[str, dict[str, str], bytes]:
    """Take a request apart as the vendor saw it."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    return line, dict(field.lower().split(": ", 1) for field in fields), body


def problem(answer: Answer, status: int, code: str) -> dict[str, object]:
    assert (answer.status, answer.headers["fairlead-error"]) == (status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"
    document = json.loads(answer.body)
    assert document["code"] == code
    return dict(document)


# --- What passes --------------------------------------------------------------------------------------------------


async def test_a_request_passes_as_it_is_but_for_the_key() -> None:
    async with proxied(reply(OK)) as all_:
        answer = await all_.caller.ask(
            "POST /proxy/shop/things/a%2Fb%20c?q=a+b&q=%20&flag&z=%E2%9C%93",
            "Content-Type: application/json",
            "X-Odd: \u00e9",
            "User-Agent: some-sdk/1.0",
            body=b'{"a": 1}',
        )
    line, fields, body = sent(all_.vendor.requests[0])
    assert line == "POST /v1/things/a%2Fb%20c?q=a+b&q=%20&flag&z=%E2%9C%93 HTTP/1.1"
    assert body == b'{"a": 1}'
    assert fields == {
        "host": f"127.0.0.1:{all_.vendor.port}",
        "content-type": "application/json",
        "x-odd": "\u00e3\u00a9",  # UTF-8, as it came, and read as something else in small letters
        "user-agent": "some-sdk/1.0",
        "authorization": f"bearer {VENDOR_KEY}".lower(),
        "content-length": "8",
    }
    assert (answer.status, answer.body) == (200, b'{"fine": true}')
    assert answer.headers["fairlead-served-by"] == "shop"
    assert answer.headers["fairlead-attempts"] == "1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_passes(method: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with proxied(reply(head)) as all_:
        answer = await all_.caller.ask(f"{method} /proxy/shop/things")
        again = await all_.caller.ask(f"{method} /proxy/shop/things")
    assert (answer.status, again.status) == (200, 200)
    assert sent(all_.vendor.requests[0])[0] == f"{method} /v1/things HTTP/1.1"
    assert all_.vendor.connections == 1


async def test_what_is_between_neighbours_stays_there() -> None:
    answered = http(200, b"{}", "Connection: keep-alive, X-Hop", "X-Hop: vendor", "Keep-Alive: timeout=5", "X-End: v")
    async with proxied(reply(answered)) as all_:
        answer = await all_.caller.ask(
            "GET /proxy/shop/", "Connection: keep-alive, X-Mine", "X-Mine: 1", "TE: trailers", "Keep-Alive: 9",
            "Proxy-Authorization: Basic eA==", "Upgrade: websocket", "X-End: c",
        )  # fmt: skip
    _, fields, _ = sent(all_.vendor.requests[0])
    assert set(fields) == {"host", "authorization", "x-end"}
    assert answer.headers["x-end"] == "v"
    assert not {"x-hop", "keep-alive", "connection"} & set(answer.headers)


async def test_a_packed_answer_stays_packed() -> None:
    packed = gzip.compress(b'{"fine": true}' * 100)
    async with proxied(reply(http(200, packed, "Content-Encoding: gzip"))) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/", "Accept-Encoding: gzip, br")
    assert sent(all_.vendor.requests[0])[1]["accept-encoding"] == "gzip, br"
    assert (answer.headers["content-encoding"], answer.body) == ("gzip", packed)


async def test_nothing_is_asked_for_in_the_callers_place() -> None:
    async with proxied(reply(OK)) as all_:
        await all_.caller.ask("GET /proxy/shop/")
    assert set(sent(all_.vendor.requests[0])[1]) == {"host", "authorization"}


async def test_a_range_passes() -> None:
    part = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/10\r\nContent-Length: 2\r\n\r\n23"
    async with proxied(reply(part)) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/file", "Range: bytes=2-3")
    assert sent(all_.vendor.requests[0])[1]["range"] == "bytes=2-3"
    assert (answer.status, answer.headers["content-range"], answer.body) == (206, "bytes 2-3/10", b"23")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_has_none(status: int) -> None:
    head = f'HTTP/1.1 {status} Nothing\r\nETag: "a"\r\nContent-Length: 10\r\n\r\n'.encode()
    async with proxied(reply(head)) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/", 'If-None-Match: "a"')
        again = await all_.caller.ask("GET /proxy/shop/")
    assert (answer.status, answer.headers["etag"], answer.body, again.status) == (status, '"a"', b"", status)


async def test_the_length_of_a_head_is_told() -> None:
    async with proxied(reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")) as all_:
        await all_.caller.send(request("HEAD /proxy/shop/"))
        head = await all_.caller.reader.readuntil(b"\r\n\r\n")
    assert b"content-length: 1000" in head


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/v1/elsewhere?a=b", "/proxy/shop/elsewhere?a=b"),
        ("{vendor}/v1/elsewhere", "/proxy/shop/elsewhere"),
        ("/v2/elsewhere", "/v2/elsewhere"),
        ("/v10/elsewhere", "/v10/elsewhere"),
        ("//other.test/v1", "//other.test/v1"),
        ("https://other.test/v1/x", "https://other.test/v1/x"),
        ("relative", "relative"),
    ],
)
async def test_a_redirect_leads_through_the_proxy_where_it_can(location: str, seen: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        there = location.replace("{vendor}", peer._server.url())
        await peer.send(http(302, b"", f"Location: {there}"))
        await peer.wait_for_end()

    async with proxied(script) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/things")
    assert (answer.status, answer.headers["location"]) == (302, seen)


async def test_cookies_pass_only_where_that_is_declared() -> None:
    answered = http(200, b"{}", "Set-Cookie: session=1")
    for settings, passes in ((BEARER, False), (f"{BEARER}\ncookies = true", True)):
        async with proxied(reply(answered), settings) as all_:
            answer = await all_.caller.ask("GET /proxy/shop/", "Cookie: mine=1")
        assert ("cookie" in sent(all_.vendor.requests[0])[1], "set-cookie" in answer.headers) == (passes, passes)


# --- Errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 503])
async def test_the_vendors_errors_pass_as_they_are(status: int) -> None:
    answered = http(status, b'{"error": "whatever"}', "X-Vendor: 1", "Retry-After: 7")
    async with proxied(reply(answered), tries=1) as all_:
        answer = await all_.caller.ask("POST /proxy/shop/things", body=b"{}")
    assert (answer.status, answer.body) == (status, b'{"error": "whatever"}')
    assert (answer.headers["x-vendor"], answer.headers["retry-after"]) == ("1", "7")
    assert "fairlead-error" not in answer.headers
    assert answer.headers["fairlead-attempts"] == "1"


async def test_a_packed_error_is_unpacked() -> None:
    packed = gzip.compress(b'{"error": "whatever"}')
    async with proxied(reply(http(404, packed, "Content-Encoding: gzip"))) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/things", "Accept-Encoding: gzip")
    assert (answer.status, answer.body) == (404, b'{"error": "whatever"}')
    assert "content-encoding" not in answer.headers


async def test_a_read_is_tried_again_and_the_last_answer_passes() -> None:
    async with proxied(reply(http(500, b"broken"))) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/things")
    assert (answer.status, answer.body, answer.headers["fairlead-attempts"]) == (500, b"broken", "3")
    assert len(all_.vendor.requests) == 3


async def test_a_short_body_is_kept_and_sent_again_where_that_harms_nothing() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.read_request())
            await peer.send(http(429 if len(seen) == 1 else 200))

    async with proxied(script, f"{BEARER}\n") as all_:
        answer = await all_.caller.ask("POST /proxy/shop/things", body=b"once")
    assert (answer.status, [sent(each)[2] for each in seen]) == (200, [b"once", b"once"])


async def test_an_effect_in_doubt_is_not_repeated_but_with_the_vendors_key() -> None:
    for fields, attempts in (([], 1), (["Idempotency-Key: k"], 3)):
        async with proxied(reply(http(500, b"broken"))) as all_:
            answer = await all_.caller.ask("POST /proxy/shop/things", *fields, body=b"{}")
        assert (answer.status, len(all_.vendor.requests)) == (500, attempts)


async def test_our_own_errors_are_problem_documents() -> None:
    async with proxied(ignore, read_s=0.2) as all_:
        caller = all_.caller
        problem(await caller.ask("GET /proxy/nobody/things"), 404, "unknown_connection")
        problem(await caller.ask("GET /proxy/shop/../admin"), 400, "invalid_argument")
        problem(await caller.ask("GET /proxy/shop/a/%2e%2e/b"), 400, "invalid_argument")
        problem(await caller.ask("GET /proxy/shop//double"), 400, "invalid_argument")
        problem(await caller.ask("GET /proxy/shop/", "fairlead-deadline-ms: soon"), 400, "invalid_argument")
        told = problem(await caller.ask("POST /proxy/shop/", body=b"{}"), 502, "outcome_unknown")
        assert told["outcome"] == "unknown"
        late = await caller.ask("GET /proxy/shop/", "fairlead-deadline-ms: 20")
        # Loops count time in milliseconds: an attempt that the deadline cuts short may end just before it.
        problem(
            late, 504, "attempt_timeout" if late.headers["fairlead-error"] == "attempt_timeout" else "deadline_exceeded"
        )


async def test_a_vendor_that_speaks_no_http_is_told() -> None:
    async with proxied(reply_once(b"SSH-2.0\r\n")) as all_:
        problem(await all_.caller.ask("GET /proxy/shop/"), 502, "unexpected_answer")


# --- Keys ---------------------------------------------------------------------------------------------------------


KEYED = 'auth = {{ scheme = "key", {place} }}\ncredentials = {{ key = "env:VENDOR" }}'
IN_HEADER = KEYED.format(place='header = "X-Api-Key"')
IN_QUERY = KEYED.format(place='query = "api_key"')
BASIC = 'auth = { scheme = "basic" }\ncredentials = { user = "somebody", password = "env:VENDOR" }'


def basic(user: str, password: str) -> str:
    return f"Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("settings", "target", "field"),
    [
        (BEARER, "/", f"Authorization: Bearer {KEY}"),
        (BEARER, "/", f"authorization: bearer {KEY}"),
        (IN_HEADER, "/", f"x-api-key: {KEY}"),
        (IN_QUERY, f"/?a=b&api_key={KEY}&c=d", "X-A: 1"),
        (BASIC, "/", basic("anybody", KEY)),
        (BASIC, "/", basic(KEY, "")),
        (IN_QUERY, "/?a=b&c=d", f"Fairlead-Key: {KEY}"),
    ],
)
async def test_the_gateways_key_is_taken_where_the_vendors_would_be(settings: str, target: str, field: str) -> None:
    settings = settings.replace('user = "somebody"', 'user = "env:VENDOR"')
    async with proxied(reply(OK), settings) as all_:
        await all_.caller.send(request(f"GET /proxy/shop{target}", key=field))
        answer = await all_.caller.read()
    assert answer.status == 200
    assert KEY.encode() not in all_.vendor.requests[0]
    line, fields, _ = sent(all_.vendor.requests[0])
    assert sum("authorization" in name or name == "x-api-key" for name in fields) + line.count("api_key=") == 1
    if "?" in target:
        assert line == "GET /v1/?a=b&c=d&api_key=canary-vendor%2Bkey%2F1 HTTP/1.1"


@pytest.mark.parametrize(
    "field",
    ["X-A: 1", "fairlead-key: wrong", f"Authorization: Bearer {VENDOR_KEY}", f"x-api-key: {KEY}", basic("a", "b"),
     "Authorization: Basic !", f"Authorization: Bearer {KEY}x", "Authorization: Bearer "],
)  # fmt: skip
async def test_nobody_else_reaches_a_vendor_or_learns_which_there_are(field: str) -> None:
    async with proxied(reply(OK)) as all_:
        for path in ("/proxy/shop/", "/proxy/nobody/"):
            await all_.caller.send(request(f"GET {path}", key=field))
            answer = await all_.caller.read()
            assert "fairlead-key" in str(problem(answer, 401, "missing_key")["detail"])
            assert KEY not in answer.body.decode()
    assert not all_.vendor.requests


async def test_a_vendor_that_repeats_its_key_gives_nothing_away() -> None:
    async def script(peer: Peer) -> None:
        while True:
            line = (await peer.read_request()).split(b" ")[1]
            await peer.send(http(200, b'{"next": "http://x' + line + b'"}', f"Link: <{line.decode()}>; rel=next"))

    async with proxied(script, IN_QUERY) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/?page=1", "Accept-Encoding: gzip")
    assert answer.body == b'{"next": "http://x/v1/?page=1&api_key=' + b"*" * 23 + b'"}'
    assert answer.headers["link"] == f"</v1/?page=1&api_key={'*' * 23}>; rel=next"
    assert "accept-encoding" not in sent(all_.vendor.requests[0])[1]


async def test_nor_does_one_that_repeats_it_in_an_error() -> None:
    async with proxied(reply(http(403, f"{VENDOR_KEY} is no key".encode())), IN_QUERY) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/")
    assert (answer.status, answer.body) == (403, b"*" * len(VENDOR_KEY) + b" is no key")


async def test_what_is_done_is_told_with_the_callers_correlation() -> None:
    async with proxied(reply(OK)) as all_:
        answer = await all_.caller.ask("GET /proxy/shop/", "fairlead-correlation-id: mine-1")
    assert "fairlead-correlation-id" not in sent(all_.vendor.requests[0])[1]
    finished = all_.events[-1]
    assert finished.correlation_id == "mine-1"  # type: ignore[union-attr]
    assert finished.call_id == answer.headers["fairlead-call-id"]  # type: ignore[union-attr]
    assert any(isinstance(event, AttemptFinished) for event in all_.events)


async def test_many_at_once_get_their_own_answers() -> None:
    async def script(peer: Peer) -> None:
        while True:
            line = (await peer.read_request()).split(b" ")[1]
            await peer.send(http(200, line))

    async with proxied(script, f"{BEARER}\nconcurrency = {{ limit = 5 }}") as all_:

        async def one(number: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", all_.port)
            writer.write(request(f"GET /proxy/shop/{number}", "connection: close"))
            answer = await reader.read()
            writer.close()
            assert answer.endswith(f"/v1/{number}".encode())

        await asyncio.gather(*(one(number) for number in range(50)))
    assert all_.vendor.connections <= 5


async def test_trouble_made_on_purpose_says_so() -> None:
    chaos = '[chaos]\nis_on = true\nrules = [{ error = "connect", operation = "http.get" }, { delay_s = 0.001 }]'
    async with proxied(reply(OK), f"{BEARER}\n{chaos}", tries=1) as all_:
        told = await all_.caller.ask("GET /proxy/shop/")
        late = await all_.caller.ask("POST /proxy/shop/", body=b"{}")
    assert (told.status, told.headers["fairlead-chaos"]) == (502, "fail")
    assert (late.status, late.headers["fairlead-chaos"]) == (200, "delay")
