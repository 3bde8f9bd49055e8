"""The host guard: which addresses a connection may reach, checked on the resolved address when it connects.

A name that resolves to a private address (by mistake, or by somebody who would like to see what answers there:
server-side request forgery) is refused at the socket, after the last resolution, so that nothing can change between.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]

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


def socket_factory(*, allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """Return the maker of sockets that refuses addresses which may not be reached."""

    def make(info: AddressInfo) -> socket.socket:
        if not allow_private and not is_public(str(info[4][0])):
            raise AddressBlocked
        return socket.socket(family=info[0], type=info[1], proto=info[2])

    return make
