"""Open a socket, with TLS where that is wanted: name, address, guard, the proxy's tunnel, handshake.

Nothing of a request is sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

import aiohappyeyeballs
import msgspec

from fairlead.model.outcome import Phase
from fairlead.transport.guard import AddressInfo, Reach, Resolve, socket_factory
from fairlead.transport.proxy import Proxy, ProxyRefused

# How long an address family has before the other is tried beside it, in seconds (RFC 8305 §8).
_HEAD_START_S = 0.25
_LONGEST_PROXY_ANSWER = 16 * 1024


P = TypeVar("P", bound=asyncio.Protocol)


class NoAddress(Exception):  # noqa: N818  # a fact about the name
    """The name leads nowhere."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How to get to a vendor; without `tls` in plain HTTP, which a proxy is handed whole."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    resolve: Resolve
    may_reach: Reach
    proxy: Proxy | None = None


async def dial(
    way: Way, make: Callable[[socket.socket], P], note: Callable[[Phase], None]
) -> tuple[asyncio.Transport, P]:
    """Return a connection over which nothing has been said, held by the protocol that `make` returns for its socket.

    `note` is told how far it is. Raises `NoAddress`, `AddressBlocked`, `ProxyRefused`, `ssl.SSLError` and other
    `OSError`.
    """
    is_tunnelled = way.proxy is not None and way.tls is not None
    host, port = (way.proxy.host, way.proxy.port) if way.proxy else (way.host, way.port)
    note(Phase.RESOLVING)
    addresses = await _look_up(host, port, way.resolve)
    note(Phase.CONNECTING)
    made = await aiohappyeyeballs.start_connection(
        addresses, happy_eyeballs_delay=_HEAD_START_S, socket_factory=socket_factory(way.may_reach)
    )
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a silent stream may be alive, or not
        if is_tunnelled and way.proxy:
            await _ask_for_tunnel(made, way.host, way.port, way.proxy)
    except BaseException:
        made.close()
        raise
    name = way.host.rstrip(".") if way.tls else None
    try:
        return await asyncio.get_running_loop().create_connection(
            lambda: make(made), sock=made, ssl=way.tls, server_hostname=name
        )
    except ssl.CertificateError:  # a ValueError as well
        raise
    except ValueError as error:  # what no certificate can be for, as `.example`
        made.close()
        raise NoAddress from error


async def _look_up(host: str, port: int, resolve: Resolve) -> list[AddressInfo]:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            found = await resolve(host, port)
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a name, as `a..b`
            raise NoAddress from error
    else:
        found = [host]
    if not found:
        raise NoAddress
    return [_info(address, port) for address in found]


def _info(address: str, port: int) -> AddressInfo:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


async def _ask_for_tunnel(made: socket.socket, host: str, port: int, proxy: Proxy) -> None:
    """Follow CONNECT (RFC 9110 §9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"{name}: {value}" for name, value in proxy.authorization().items()]
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(made, "\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await loop.sock_recv(made, 4096)
        answer += piece
        if not piece or len(answer) > _LONGEST_PROXY_ANSWER:
            raise ConnectionResetError
    version, _, rest = answer.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ConnectionResetError
    if not rest.startswith(b"2"):
        raise ProxyRefused(int(rest[:3]))
    if not answer.endswith(b"\r\n\r\n"):  # the vendor speaks only after us: these bytes are not from there
        raise ConnectionResetError
