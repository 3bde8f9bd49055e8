"""Nothing of its own accord: no repeat, no redirect, no cookie, no proxy; and what was asked is sent as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.transport.http import HttpTransport
from h2_server import H2Peer
from raw_server import EMPTY, Peer, ignore, let_the_client_read, reply, serve
from stages import HTTP1, PATIENCE_S, Authority, Client, options, request_for
from talks import FINE, HALF_AND_STALL, QUIET, Talk, saying


async def _die_at_second(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(EMPTY)
    await peer.read_request()


async def _die_at_second_2(peer: H2Peer) -> None:
    stream = await peer.read_request()
    await peer.send_head(stream, 200, is_all=True)
    await peer.read_request()


#: Keeps the connection open for one request, and closes it, unanswered, upon the next.
DIE_AT_SECOND = Talk(_die_at_second, _die_at_second_2)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"])
async def test_a_request_on_a_kept_connection_that_dies_is_sent_once(
    method: str, client: Client, authority: Authority
) -> None:
    request = Request(method=method, path="/things", effect=Effect.READ)
    async with client.serve(authority, DIE_AT_SECOND) as (server, wanted):
        transport = client.make(wanted)
        first = await transport.exchange(request, timeout_s=PATIENCE_S)
        second = await transport.exchange(request, timeout_s=PATIENCE_S)
        await transport.close()
    assert isinstance(first, Response)
    assert second == Broken(Failure.RESET, Phase.WAITING, wanted.base_url)
    assert (len(server.requests), server.connections) == (2, 1)


async def test_redirects_are_not_followed(client: Client, authority: Authority) -> None:
    async with client.serve(authority, saying(302, b"", "Location: /elsewhere")) as (server, wanted):
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert (result.status, result.headers["location"]) == (302, "/elsewhere")
    assert len(server.requests) == 1


async def test_cookies_are_not_kept(client: Client, authority: Authority) -> None:
    talk = saying(200, b"{}", "Set-Cookie: session=1; Path=/")
    async with client.serve(authority, talk, host="localhost") as (server, wanted):
        transport = client.make(wanted)
        for _ in range(2):
            result = await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
            assert isinstance(result, Response)
            assert result.headers["set-cookie"].startswith("session=1")
        await transport.close()
    assert len(server.requests) == 2
    assert b"cookie" not in b"".join(server.requests).lower()


async def test_proxies_and_passwords_of_the_environment_are_ignored(
    client: Client, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with client.serve(authority, FINE) as (server, wanted), serve(reply(EMPTY)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert (server.connections, proxy.connections) == (1, 0)
    assert b"authorization" not in server.requests[0].lower()


# --- What is sent -------------------------------------------------------------------------------------------------


async def test_a_request_is_sent_as_it_is(client: Client, authority: Authority) -> None:
    request = Request.post("/v1/a%2Fb", json={"a": "ü"}, query={"q": "a b&c"}, headers={"X-Trace": "1"})
    async with client.serve(authority, FINE) as (server, wanted):
        await client.exchange(wanted, request)
    sent = server.requests[0]
    assert b"/v1/a%2Fb?q=a%20b%26c" in sent
    assert '{"a":"ü"}'.encode() in sent if not client.is_h2 else repr('{"a":"ü"}'.encode()).encode() in sent
    fields = {b"x-trace: 1", b"content-type: application/json", b"user-agent: fairlead", b"content-length: 10"}
    if client.is_h2:
        fields = {repr(field.decode()).replace(": ", "': '").encode() for field in fields}
    assert all(field in sent.replace(b'"', b"'").lower() for field in fields)


async def test_headers_come_back_as_they_were_sent(client: Client, authority: Authority) -> None:
    async with client.serve(authority, saying(200, b"{}", "X-A: 1", "x-a: 2")) as (_, wanted):
        result = await client.exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert isinstance(result.headers, Headers)
    assert result.headers.all("X-A") == ("1", "2")


async def test_a_connection_serves_again(client: Client, authority: Authority) -> None:
    async with client.serve(authority, FINE) as (server, wanted):
        transport = client.make(wanted)
        for _ in range(3):
            assert isinstance(await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S), Response)
        await transport.close()
    assert (len(server.requests), server.connections) == (3, 1)


async def test_a_closed_transport_may_be_used_again(client: Client, authority: Authority) -> None:
    async with client.serve(authority, FINE) as (server, wanted):
        transport = client.make(wanted)
        for _ in range(2):
            assert isinstance(await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S), Response)
            await transport.close()
    assert server.connections == 2


# --- Cancelling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("talk", [QUIET, HALF_AND_STALL], ids=["waiting", "receiving"])
async def test_cancelling_closes_the_socket(talk: Talk, authority: Authority) -> None:
    """Over HTTP/2 the stream is reset in its place: see `test_http2.py`."""
    async with asyncio.timeout(PATIENCE_S), HTTP1.serve(authority, talk) as (server, wanted):
        transport = HttpTransport(wanted)
        task = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await server.has_begun.wait()
        await let_the_client_read()
        assert not server.has_ended.is_set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.has_ended.wait()  # before the transport is closed
        await transport.close()


async def test_cancelling_a_handshake_closes_the_socket(client: Client) -> None:
    async with asyncio.timeout(PATIENCE_S), serve(ignore) as server:
        transport = client.make(options(server.url("https"), connect_s=60.0))
        task = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await server.has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.has_ended.wait()
        await transport.close()
