"""Redirects where they are declared: within the origin, for what a repeat cannot harm, and never further than said."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fairlead.model.exchange import Broken, Transport
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.transport.connect import connect
from fairlead.transport.http import HttpOptions
from h2_server import H2Peer
from raw_server import Peer, RawServer
from stages import CANARY, HTTP2, PATIENCE_S, Authority, Client
from talks import Talk, http


def route(**answers: tuple[int, str]) -> Talk:
    """Answer by path: status and Location, and 200 for a path that is not named; PLACE is the server itself."""

    def find(target: str, place: str) -> tuple[int, str]:
        path = target.partition("?")[0].strip("/").replace("/", "_")
        status, location = answers.get(path, (200, ""))
        return status, location.replace("PLACE", place)

    async def http1(peer: Peer) -> None:
        while True:
            request = await peer.read_request()
            status, location = find(request.split(b" ")[1].decode(), place_in(request))
            await peer.send(http(status, b"{}", *([f"Location: {location}"] if location else [])))

    async def http2(peer: H2Peer) -> None:
        while True:
            stream = await peer.read_request()
            status, location = find(stream.fields[":path"], stream.fields[":authority"])
            await peer.send_head(stream, status, [("location", location)] if location else [])
            await peer.send_body(stream, b"{}")

    return Talk(http1, http2)


def place_in(request: bytes) -> str:
    found = re.search(rb"\r\nHost: (.*)\r\n", request)
    assert found
    return found[1].decode()


@asynccontextmanager
async def follower(
    client: Client, authority: Authority, talk: Talk, *, follow: int = 3, base: str = ""
) -> AsyncIterator[tuple[RawServer, Transport]]:
    async with client.serve(authority, talk) as (server, wanted):
        transport = connect(
            HttpOptions(
                base_url=wanted.base_url + base,
                allow_private=True,
                ca_file=wanted.ca_file,
                http2=client is HTTP2,
                follow_redirects=follow,
            )
        )
        yield server, transport
        await transport.close()


def targets(server: RawServer, client: Client) -> list[str]:
    """Return method and path of what has come."""
    if client.is_h2:
        told = [eval(request.decode())[0] for request in server.requests]  # noqa: S307  # our own repr
        return [f"{fields[':method']} {fields[':path']}" for fields in told]
    return [" ".join(request.decode().split(" ")[:2]) for request in server.requests]


def reading(path: str = "/a") -> Request:
    return Request.get(path, query={"key": CANARY}, headers={"x-api-key": CANARY})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_read_is_followed(status: int, client: Client, authority: Authority) -> None:
    async with follower(client, authority, route(a=(status, "/b?c=%20d"))) as (server, transport):
        result = await transport.exchange(reading(), timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == 200
    assert targets(server, client) == [f"GET /a?key={CANARY}", "GET /b?c=%20d"]
    assert CANARY.encode() in server.requests[1]  # the header, as it is the same origin


@pytest.mark.parametrize("effect", [Effect.ONCE, Effect.IDEMPOTENT])
@pytest.mark.parametrize("status", [301, 302, 303])
async def test_what_may_have_been_done_is_not_followed(
    status: int, effect: Effect, client: Client, authority: Authority
) -> None:
    async with follower(client, authority, route(a=(status, "/b"))) as (server, transport):
        result = await transport.exchange(Request.post("/a", json={}, effect=effect), timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == status
    assert targets(server, client) == ["POST /a"]


@pytest.mark.parametrize("effect", list(Effect))
@pytest.mark.parametrize("status", [307, 308])
async def test_what_was_not_done_is_sent_on_as_it_is(
    status: int, effect: Effect, client: Client, authority: Authority
) -> None:
    async with follower(client, authority, route(a=(status, "/b"))) as (server, transport):
        result = await transport.exchange(Request.post("/a", json={"n": 1}, effect=effect), timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == 200
    assert targets(server, client) == ["POST /a", "POST /b"]
    assert all(b'{"n":1}' in request for request in server.requests)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_post_that_reads_becomes_a_get(status: int, client: Client, authority: Authority) -> None:
    request = Request.post("/a", json={"n": 1}, effect=Effect.READ)
    async with follower(client, authority, route(a=(status, "/b"))) as (server, transport):
        result = await transport.exchange(request, timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert targets(server, client) == ["POST /a", "GET /b"]
    assert b"content-type" not in server.requests[1].lower()
    assert b'{"n":1}' not in server.requests[1]


async def test_a_head_stays_a_head(client: Client, authority: Authority) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 303 See\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def http2(peer: H2Peer) -> None:
        await peer.send_head(await peer.read_request(), 303, [("location", "/b")], is_all=True)
        await peer.send_head(await peer.read_request(), 200, is_all=True)
        await peer.wait_for_end()

    head = Request(method="HEAD", path="/a", effect=Effect.READ)
    async with follower(client, authority, Talk(http1, http2)) as (server, transport):
        assert isinstance(await transport.exchange(head, timeout_s=PATIENCE_S), Response)
    assert targets(server, client) == ["HEAD /a", "HEAD /b"]


@pytest.mark.parametrize(
    "location",
    [
        "https://other.example/b",
        "//other.example/b",
        "http://127.0.0.1:1/b",
        "ftp://127.0.0.1/b",
        "file:///etc/passwd",
        "http://[::1/b",
        "http://127.0.0.1:x/b",
        "/b/%2e%2e/c",
        "",
    ],
)
async def test_it_leads_nowhere_else(location: str, client: Client, authority: Authority) -> None:
    async with follower(client, authority, route(a=(307, location))) as (server, transport):
        result = await transport.exchange(reading(), timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == 307
    assert len(server.requests) == 1


async def test_nor_to_somebody_elses_login_at_the_same_place(client: Client, authority: Authority) -> None:
    scheme = "https" if client.is_h2 else "http"
    talk = route(a=(307, f"{scheme}://PLACE/b"), b=(307, f"{scheme}://somebody@PLACE/c"))
    async with follower(client, authority, talk) as (server, transport):
        result = await transport.exchange(reading(), timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == 307
    assert [target.partition("?")[0] for target in targets(server, client)] == ["GET /a", "GET /b"]


@pytest.mark.parametrize(
    ("location", "reached"),
    [
        ("b", "/v1/b"),
        ("/b", "/b"),
        ("?x=1", "/v1/a?x=1"),
        ("../b", "/b"),
        ("./b#part", "/v1/b"),
        ("b?x=1&x=2", "/v1/b?x=1&x=2"),
    ],
)
async def test_a_relative_one_is_relative_to_what_was_asked(
    location: str, reached: str, client: Client, authority: Authority
) -> None:
    talk = route(v1_a=(302, location))
    async with follower(client, authority, talk, base="/v1", follow=1) as (server, transport):
        await transport.exchange(Request.get("/a"), timeout_s=PATIENCE_S)
    assert targets(server, client) == ["GET /v1/a", f"GET {reached}"]


async def test_the_last_answer_is_handed_on_when_there_were_enough(client: Client, authority: Authority) -> None:
    async with follower(client, authority, route(a=(302, "/a")), follow=2) as (server, transport):
        result = await transport.exchange(Request.get("/a"), timeout_s=PATIENCE_S)
    assert isinstance(result, Response)
    assert result.status == 302
    assert len(server.requests) == 3


async def test_all_of_it_is_one_attempt_in_time(client: Client, authority: Authority) -> None:
    async with follower(client, authority, route(a=(307, "/a")), follow=1_000_000) as (server, transport):
        result = await transport.exchange(Request.post("/a"), timeout_s=1.0)
    assert isinstance(result, Broken)
    assert result.failure is Failure.TIMEOUT
    assert len(server.requests) > 1


async def test_what_breaks_after_a_redirect_is_judged_as_the_request_it_was(
    client: Client, authority: Authority
) -> None:
    async def http1(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(http(308, b"", "Location: /b"))
        await peer.read_request()

    async def http2(peer: H2Peer) -> None:
        await peer.send_head(await peer.read_request(), 308, [("location", "/b")], is_all=True)
        await peer.read_request()

    async with follower(client, authority, Talk(http1, http2)) as (_, transport):
        result = await transport.exchange(Request.post("/a"), timeout_s=PATIENCE_S)
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.RESET, Phase.WAITING)
