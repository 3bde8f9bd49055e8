"""Through a declared proxy: tunnels, what is refused on the way, and what the host guard can still see."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import msgspec
import pytest

from fairlead.errors import InvalidSettingError
from fairlead.model.exchange import Broken
from fairlead.model.message import Response
from fairlead.model.outcome import Effect, Failure, Outcome, Phase
from fairlead.model.secret import Secret
from fairlead.spec.outcomes import classify
from fairlead.transport.http import HttpOptions
from fairlead.transport.tls import TlsOptions
from raw_server import EMPTY, Peer, RawServer, Script, ignore, reply, reply_once, serve
from stages import CANARY, CLIENTS, HTTP1, HTTP2, PATIENCE_S, Authority, Client, options, request_for
from talks import FINE, QUIET

LOGIN = Secret(f"somebody:{CANARY}:ü")


async def tunnel(peer: Peer) -> None:
    """Do what a proxy does upon CONNECT."""
    request = await peer.read_request()
    host, _, port = request.split(b" ")[1].decode().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await peer.send(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")

    async def there() -> None:
        while data := await peer.read():
            writer.write(data)
        writer.close()

    async def back() -> None:
        while data := await reader.read(65536):
            await peer.send(data)
        peer.close()

    try:
        await asyncio.gather(there(), back())
    finally:
        writer.transport.abort()


def through(proxy: RawServer, wanted: HttpOptions, **changes: object) -> HttpOptions:
    merged: dict[str, object] = {"proxy": proxy.url(), "allow_private_proxy": True, **changes}
    return options(wanted.base_url, ca_file=wanted.ca_file, **merged)


async def test_https_goes_through_a_tunnel(client: Client, authority: Authority) -> None:
    tls = authority.server("127.0.0.1")
    async with client.serve(authority, FINE, tls=tls) as (server, wanted), serve(tunnel) as proxy:
        result = await client.exchange(through(proxy, wanted, proxy_login=LOGIN), request_for(Effect.ONCE))
    assert isinstance(result, Response)
    assert (len(server.requests), proxy.connections) == (1, 1)
    (asked,) = proxy.requests
    assert asked.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
    login = b64encode(LOGIN.reveal().encode())
    assert b"Proxy-Authorization: Basic " + login in asked
    assert CANARY.encode() not in asked  # neither the vendor's key nor the query is the proxy's to see
    assert b"proxy-authorization" not in server.requests[0].lower()


async def test_a_tunnel_serves_again(client: Client, authority: Authority) -> None:
    tls = authority.server("127.0.0.1")
    async with client.serve(authority, FINE, tls=tls) as (server, wanted), serve(tunnel) as proxy:
        transport = client.make(through(proxy, wanted))
        for _ in range(3):
            assert isinstance(await transport.exchange(request_for(Effect.READ), timeout_s=PATIENCE_S), Response)
        await transport.close()
    assert (len(server.requests), proxy.connections) == (3, 1)


async def test_the_vendors_certificate_is_checked_through_the_tunnel(client: Client, authority: Authority) -> None:
    pins = TlsOptions(pins=("sha256/" + "A" * 43 + "=", "sha256/" + "B" * 42 + "A="))
    for name, tls in (("other.example", TlsOptions()), ("127.0.0.1", pins)):
        vendor = client.serve(authority, FINE, tls=authority.server(name))
        async with vendor as (server, wanted), serve(tunnel) as proxy:
            result = await client.exchange(through(proxy, wanted, tls=tls), request_for(Effect.ONCE))
        assert isinstance(result, Broken)
        assert (result.failure, result.phase) == (Failure.TLS, Phase.CONNECTING)
        assert not server.requests


async def test_plain_http_is_handed_over_whole() -> None:
    async with serve(reply(EMPTY)) as proxy:
        wanted = options("http://shop.test:81/v1", proxy=proxy.url(), allow_private=False, allow_private_proxy=True)
        result = await HTTP1.exchange(msgspec.structs.replace(wanted, proxy_login=LOGIN), request_for(Effect.READ))
    assert isinstance(result, Response)
    (asked,) = proxy.requests
    assert asked.startswith(b"GET http://shop.test:81/v1/things?key=")
    assert b"\r\nHost: shop.test:81\r\n" in asked
    assert b64encode(LOGIN.reveal().encode()) in asked


# --- What goes wrong on the way: nothing has reached the vendor ---------------------------------------------------


def saying_no(status: int) -> Script:
    return reply_once(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\n{{}}".encode())


async def hang_up(peer: Peer) -> None:
    await peer.read_request()


async def go_on_and_on(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 100_000)
    await peer.wait_for_end()


async def reset(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


@pytest.mark.parametrize(
    ("script", "failure", "text"),
    [
        (saying_no(407), Failure.REFUSED, "the proxy answered 407"),
        (saying_no(403), Failure.REFUSED, "the proxy answered 403"),
        (saying_no(502), Failure.REFUSED, "the proxy answered 502"),
        (saying_no(504), Failure.REFUSED, "the proxy answered 504"),
        (hang_up, Failure.RESET, ""),
        (reset, Failure.RESET, ""),
        (reply_once(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Failure.RESET, ""),
        (go_on_and_on, Failure.RESET, ""),
        (ignore, Failure.TIMEOUT, ""),
    ],
    ids=["407", "403", "502", "504", "closed", "reset", "not http", "endless", "silent"],
)
async def test_a_proxy_that_fails_is_no_doubt_about_the_vendor(
    script: Script, failure: Failure, text: str, client: Client, authority: Authority
) -> None:
    tls = authority.server("127.0.0.1")
    async with client.serve(authority, FINE, tls=tls) as (server, wanted), serve(script) as proxy:
        by_proxy = through(proxy, wanted, proxy_login=LOGIN, connect_s=0.3)
        result = await client.exchange(by_proxy, request_for(Effect.ONCE), timeout_s=1.0)
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (failure, Phase.CONNECTING)
    assert text in result.detail
    assert CANARY not in result.detail
    assert classify(result.failure, phase=result.phase, effect=Effect.ONCE).outcome is Outcome.NOT_DONE
    assert server.connections == 0


async def test_nobody_speaks_in_the_vendors_place_before_the_handshake(authority: Authority) -> None:
    async def slip_in(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nsurplus")
        await peer.wait_for_end()

    async with HTTP2.serve(authority, FINE) as (server, wanted), serve(slip_in) as proxy:
        result = await HTTP2.exchange(through(proxy, wanted), request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.RESET, Phase.CONNECTING)
    assert server.connections == 0


async def test_a_proxy_that_is_not_there_is_no_doubt_either(client: Client, authority: Authority) -> None:
    async with client.serve(authority, FINE, tls=authority.server("127.0.0.1")) as (server, wanted):
        async with serve(ignore) as proxy:
            by_proxy = through(proxy, wanted)
        result = await client.exchange(by_proxy, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.REFUSED, Phase.CONNECTING)
    assert server.connections == 0


async def test_nor_one_that_wants_a_password_for_plain_http() -> None:
    async with serve(saying_no(407)) as proxy:
        wanted = options("http://shop.test", proxy=proxy.url(), allow_private_proxy=True)
        result = await HTTP1.exchange(wanted, request_for(Effect.ONCE))
    assert result == Broken(Failure.REFUSED, Phase.CONNECTING, "http://shop.test (the proxy answered 407)")


async def test_what_a_proxy_says_in_plain_http_may_be_the_vendors_word() -> None:
    """It cannot be told apart, so it is taken for the vendor's: in doubt."""
    async with serve(saying_no(502)) as proxy:
        wanted = options("http://shop.test", proxy=proxy.url(), allow_private_proxy=True)
        result = await HTTP1.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Response)
    assert classify(result.status, phase=Phase.ANSWERED, effect=Effect.ONCE).outcome is Outcome.UNKNOWN


async def test_once_the_tunnel_stands_the_vendor_may_have_seen_it(client: Client, authority: Authority) -> None:
    tls = authority.server("127.0.0.1")
    async with client.serve(authority, QUIET, tls=tls) as (_, wanted), serve(tunnel) as proxy:
        result = await client.exchange(through(proxy, wanted), request_for(Effect.ONCE), timeout_s=1.0)
    assert result == Broken(Failure.TIMEOUT, Phase.WAITING, wanted.base_url)


# --- The host guard -----------------------------------------------------------------------------------------------


async def test_a_private_proxy_must_be_allowed(client: Client) -> None:
    async with serve(tunnel) as proxy:
        wanted = options("https://shop.test", proxy=proxy.url())  # where only the vendor may be private
        result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.BLOCKED, Phase.CONNECTING)
    assert proxy.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "localhost", "127.1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_private_vendor_is_refused_by_its_name_before_the_proxy_hears_of_it(
    scheme: str, host: str, client: Client
) -> None:
    async with serve(tunnel) as proxy:
        wanted = options(f"{scheme}://{host}", proxy=proxy.url(), allow_private=False, allow_private_proxy=True)
        result = await client.exchange(wanted, request_for(Effect.ONCE))
    assert isinstance(result, Broken)
    assert (result.failure, result.phase) == (Failure.BLOCKED, Phase.QUEUED)
    assert proxy.connections == 0


# --- Settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy.test:3128",
        "socks5://proxy.test:1080",
        "proxy.test:3128",
        "http://proxy.test",
        "http://:3128",
        "http://somebody:canary-8731@proxy.test:3128",
        "http://proxy.test:3128/way",
        "http://proxy.test:3128?a=b",
        "http://proxy.test:99999",
        "http://pro xy.test:3128",
        "",
    ],
)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_proxy_that_cannot_be_is_refused(url: str, client: Client) -> None:
    with pytest.raises(InvalidSettingError, match=r"^proxy is not a usable URL") as caught:
        client.make(options("https://shop.test", proxy=url))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("login", [CANARY, f":{CANARY}", ""])
def test_so_is_a_login_that_is_none(login: str, client: Client) -> None:
    with pytest.raises(InvalidSettingError, match=r"^proxy_login is not user:password") as caught:
        client.make(options("https://shop.test", proxy="http://proxy.test:3128", proxy_login=Secret(login)))
    assert CANARY not in str(caught.value)
    with pytest.raises(InvalidSettingError, match=r"^proxy_login is set without a proxy"):
        client.make(options("https://shop.test", proxy_login=LOGIN))
