"""The host guard: which addresses a connection may reach, checked on the resolved address when it connects.

A name that resolves to a private address (by mistake, or by somebody who would like to see what answers there:
server-side request forgery) is refused at the socket, after the last resolution, so that nothing can change between.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

import msgspec

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
#: Turns a host name and a port into addresses; raises `OSError` where there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Reach = Callable[[str], bool]

# RFC 6052: the well-known prefix behind which NAT64 hides an IPv4 address.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that IANA gives out for global unicast (2026); what is outside is reserved, site-local, or wraps something.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class AddressBlocked(OSError):  # noqa: N818  # it is our refusal, seen through the connector's OSError
    """The address may not be reached."""

    def __init__(self) -> None:
        super().__init__("not a public address")


def is_public(host: str) -> bool:
    """Whether a resolved address belongs to the public internet, also when it wraps an IPv4 one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return is_public(str(inner))
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast


def is_private_name(host: str) -> bool:
    """Whether a host says by itself, unresolved, that it is not public: a private address as text, or this machine.

    All that can be known of a host which somebody else resolves, as a proxy does. The old spellings that `inet_aton`
    takes (`127.1`, `0x7f.0.0.1`, `2130706433`) count as the addresses that they are.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    try:
        return not is_public(name)
    except ValueError:
        pass
    try:
        return not is_public(socket.inet_ntoa(socket.inet_aton(name)))
    except (OSError, UnicodeError):
        return False


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How names become addresses, and which addresses may be connected without `allow_private`."""

    resolve: Resolve = resolve
    may_reach: Reach = is_public


SYSTEM = Network()


def anywhere(_: str) -> bool:
    """Let every address be reached."""
    return True


def socket_factory(may_reach: Reach) -> Callable[[AddressInfo], socket.socket]:
    """Return the maker of sockets that refuses addresses which may not be reached.

    It is given the very address that is connected next: there is no second resolution for anybody to change.
    """

    def make(info: AddressInfo) -> socket.socket:
        if not may_reach(str(info[4][0])):
            raise AddressBlocked
        return socket.socket(family=info[0], type=info[1], proto=info[2])

    return make
