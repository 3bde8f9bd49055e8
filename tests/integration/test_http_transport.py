"""The transport over real sockets: bounded, cancellable, and doing nothing of its own accord."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Phase
from fairlead.spec.retry_after import parse_retry_after
from fairlead.transport.http import HttpTransport, _load_tls
from raw_server import EMPTY, Peer, Script, ignore, let_the_client_read, reply, serve
from stages import (
    LIMIT,
    PATIENCE_S,
    SHORT_S,
    Authority,
    answer,
    body,
    bomb,
    claim_two_gigabytes,
    drop_a_bomb,
    exchange,
    http,
    options,
    plain,
    request_for,
    stall_in_body,
    stream_on_and_on,
)

# --- Retry-After --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "fields",
    [
        ("Retry-After: 30",),
        ("Date: Sun, 06 Nov 1994 08:49:07 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"),
    ],
    ids=["seconds", "date"],
)
async def test_a_vendor_says_when_to_come_back(number: int, fields: tuple[str, ...], authority: Authority) -> None:
    async with answer(number, *fields)(authority) as wanted:
        result = await exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert parse_retry_after(result.headers, now=0.0) == 30.0


# --- Bounded in size and time -------------------------------------------------------------------------------------


@contextmanager
def at_most(megabytes: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 1_000_000


@pytest.mark.parametrize("script", [claim_two_gigabytes, stream_on_and_on, drop_a_bomb])
async def test_an_answer_past_the_limit_takes_no_memory(script: Script, authority: Authority) -> None:
    bomb()  # made before the memory is counted
    async with plain(script)(authority) as wanted:
        with at_most(megabytes=6):
            result = await exchange(wanted, request_for(Effect.READ))
    assert result == Broken(Failure.TOO_LARGE, Phase.RECEIVING, wanted.base_url)


async def test_an_answer_at_the_limit_is_read(authority: Authority) -> None:
    async with body(b" " * LIMIT)(authority) as wanted:
        result = await exchange(wanted, request_for(Effect.READ))
    assert isinstance(result, Response)
    assert len(result.body) == LIMIT


async def test_the_length_of_a_body_that_does_not_come_means_nothing(authority: Authority) -> None:
    head = Request(method="HEAD", path="/things", effect=Effect.READ)
    async with plain(claim_two_gigabytes)(authority) as wanted:
        result = await exchange(wanted, head)
    assert isinstance(result, Response)
    assert result.headers["content-length"] == "2000000000"


@pytest.mark.parametrize(
    ("script", "scheme", "phase"), [(ignore, "https", Phase.CONNECTING), (ignore, "http", Phase.WAITING)]
)
async def test_the_attempt_as_a_whole_is_bounded(
    script: Script, scheme: str, phase: Phase, authority: Authority
) -> None:
    async with plain(script, scheme=scheme)(authority) as wanted:
        result = await exchange(wanted, request_for(Effect.ONCE), timeout_s=0.5)  # reading certificates takes a part
    assert result == Broken(Failure.TIMEOUT, phase, wanted.base_url)


async def test_what_waits_for_a_socket_was_not_sent() -> None:
    async with serve(ignore) as server:
        transport = HttpTransport(options(server.url(), pool=1))
        first = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await let_the_client_read()
        second = await transport.exchange(request_for(Effect.ONCE), timeout_s=SHORT_S)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await transport.close()
    assert second == Broken(Failure.TIMEOUT, Phase.QUEUED, server.url())
    assert server.connections == 1


# --- What the library would do of its own accord ------------------------------------------------------------------


def answer_then_die(requests_answered: int) -> Script:
    """Keep the connection open for some requests, and close it, unanswered, upon the next."""

    async def script(peer: Peer) -> None:
        for _ in range(requests_answered):
            await peer.read_request()
            await peer.send(EMPTY)
        await peer.read_request()

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_request_on_a_kept_connection_that_dies_is_sent_once(method: str) -> None:
    request = Request(method=method, path="/things", effect=Effect.READ)
    async with serve(answer_then_die(1)) as server:
        transport = HttpTransport(options(server.url()))
        first = await transport.exchange(request, timeout_s=PATIENCE_S)
        second = await transport.exchange(request, timeout_s=PATIENCE_S)
        await transport.close()
    assert isinstance(first, Response)
    assert second == Broken(Failure.RESET, Phase.WAITING, server.url())
    assert (len(server.requests), server.connections) == (2, 1)


async def test_the_library_would_have_sent_it_again() -> None:
    async with serve(answer_then_die(1)) as server:
        transport = HttpTransport(options(server.url()))
        await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
        assert transport._session is not None
        transport._session._retry_connection = True  # what the transport switches off
        await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
        await transport.close()
    assert len(server.requests) == 3


async def test_redirects_are_not_followed() -> None:
    async with serve(reply(http(302, b"", "Location: /elsewhere"))) as server:
        result = await exchange(options(server.url()), request_for(Effect.READ))
    assert isinstance(result, Response)
    assert (result.status, result.headers["location"]) == (302, "/elsewhere")
    assert len(server.requests) == 1


async def test_cookies_are_not_kept() -> None:
    async with serve(reply(http(200, b"{}", "Set-Cookie: session=1; Path=/"))) as server:
        transport = HttpTransport(options(server.url(host="localhost")))
        for _ in range(2):
            result = await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S)
            assert isinstance(result, Response)
            assert result.headers["set-cookie"].startswith("session=1")
        await transport.close()
    assert len(server.requests) == 2
    assert b"cookie" not in b"".join(server.requests).lower()


async def test_proxies_and_passwords_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serve(reply(EMPTY)) as server, serve(reply(EMPTY)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        await exchange(options(server.url()), request_for(Effect.READ))
    assert (server.connections, proxy.connections) == (1, 0)
    assert b"authorization" not in server.requests[0].lower()


# --- What is sent -------------------------------------------------------------------------------------------------


async def test_a_request_is_sent_as_it_is() -> None:
    request = Request.post("/v1/a%2Fb", json={"a": "ü"}, query={"q": "a b&c"}, headers={"X-Trace": "1"})
    async with serve(reply(EMPTY)) as server:
        await exchange(options(server.url()), request)
    head, _, content = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/a%2Fb?q=a+b%26c HTTP/1.1"
    assert {b"x-trace: 1", b"content-type: application/json", b"user-agent: fairlead"} <= {
        line.lower() for line in lines
    }
    assert content == '{"a":"ü"}'.encode()


async def test_headers_come_back_as_they_were_sent() -> None:
    async with serve(reply(http(200, b"{}", "X-A: 1", "x-a: 2"))) as server:
        result = await exchange(options(server.url()), request_for(Effect.READ))
    assert isinstance(result, Response)
    assert isinstance(result.headers, Headers)
    assert result.headers.all("X-A") == ("1", "2")


# --- Cancelling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [ignore, stall_in_body])
async def test_cancelling_closes_the_socket(script: Script) -> None:
    async with asyncio.timeout(PATIENCE_S), serve(script) as server:
        transport = HttpTransport(options(server.url()))
        task = asyncio.create_task(transport.exchange(request_for(Effect.ONCE), timeout_s=PATIENCE_S))
        await server.has_begun.wait()
        await let_the_client_read()
        assert not server.has_ended.is_set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.has_ended.wait()  # before the transport is closed
        await transport.close()


# --- TLS ----------------------------------------------------------------------------------------------------------


def test_tls_is_at_least_1_2_and_verified(authority: Authority) -> None:
    for chosen in (_load_tls(None), _load_tls(authority.file)):
        assert chosen.minimum_version is ssl.TLSVersion.TLSv1_2
        assert (chosen.verify_mode, chosen.check_hostname) == (ssl.CERT_REQUIRED, True)


@contextmanager
def made_old(context: ssl.SSLContext) -> Iterator[ssl.SSLContext]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
    except ssl.SSLError:
        pytest.skip("This OpenSSL has no TLS 1.1.")
    yield context


async def test_tls_1_1_is_refused(authority: Authority) -> None:
    client = ssl.create_default_context(cafile=authority.file)
    with made_old(authority.server("127.0.0.1")) as old, made_old(client) as tolerant:
        async with serve(reply(EMPTY), tls=old) as server:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tolerant)
            except (ssl.SSLError, ConnectionError):
                pytest.skip("This OpenSSL refuses TLS 1.1 itself.")
            writer.close()
            await writer.wait_closed()
            result = await exchange(options(server.url("https"), ca_file=authority.file), request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert result.failure in {Failure.TLS, Failure.RESET}  # as the server says why, or hangs up
    assert not result.phase.was_sent
    assert not server.requests
