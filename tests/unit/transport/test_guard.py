from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.transport.guard import AddressBlocked, Reach, anywhere, is_private_name, is_public, socket_factory

BLOCKED = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fc00::1": "unique local",
    "fd12:3456::1": "unique local",
    "fec0::1": "site-local",
    "169.254.169.254": "link-local, where clouds keep credentials",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local, with its zone",
    "::ffff:127.0.0.1": "loopback, mapped",
    "::ffff:169.254.169.254": "link-local, mapped",
    "::ffff:7f00:1": "loopback, mapped",
    "::127.0.0.1": "loopback, IPv4-compatible",
    "::8.8.8.8": "IPv4-compatible, which nobody routes",
    "64:ff9b::7f00:1": "loopback behind NAT64",
    "64:ff9b::10.0.0.1": "private behind NAT64",
    "64:ff9b:1::1": "NAT64 of one's own network",
    "2002:7f00:1::": "loopback behind 6to4",
    "2002:a00:1::1": "private behind 6to4",
    "2001:0:4136:e378:8000:63bf:80ff:fffe": "127.0.0.1 behind Teredo",
    "0.0.0.0": "this host",  # noqa: S104
    "0.1.2.3": "this network",
    "::": "unspecified",
    "100.64.0.1": "shared by carriers",
    "100.127.255.255": "shared by carriers",
    "192.0.0.1": "protocol assignments",
    "192.0.2.1": "documentation",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "2001:db8::1": "documentation",
    "100::1": "discard only",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "ff02::1": "multicast",
    "ff0e::1": "multicast, global",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "4000::1": "not given out",
}
PUBLIC = {
    "8.8.8.8": "",
    "1.1.1.1": "",
    "100.63.255.255": "just before the carriers' own",
    "100.128.0.1": "just after",
    "172.32.0.1": "just after the private ones",
    "169.253.255.255": "just before link-local",
    "2606:4700:4700::1111": "",
    "2a00:1450:4001:81b::200e": "",
    "::ffff:8.8.8.8": "mapped",
    "64:ff9b::808:808": "behind NAT64",
    "2002:808:808::1": "behind 6to4",
}


@pytest.mark.parametrize("address", BLOCKED, ids=lambda address: f"{address} {BLOCKED[address]}")
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC, ids=lambda address: f"{address} {PUBLIC[address]}")
def test_public(address: str) -> None:
    assert is_public(address)


WRAPPINGS: dict[str, Callable[[int], int]] = {
    "mapped": lambda inner: 0xFFFF << 32 | inner,
    "NAT64": lambda inner: 0x64FF9B << 96 | inner,
    "6to4": lambda inner: 0x2002 << 112 | inner << 80,
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@given(address=st.ip_addresses(v=4))
def test_a_wrapped_address_is_as_public_as_the_one_within(wrapping: str, address: IPv4Address) -> None:
    wrapped = IPv6Address(WRAPPINGS[wrapping](int(address)))
    assert is_public(str(wrapped)) is is_public(str(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_blocked_address_gets_no_socket(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressBlocked, match="not a public address"):
        socket_factory(is_public)((family, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize(("address", "may_reach"), [("127.0.0.1", anywhere), ("8.8.8.8", is_public)])
def test_others_do(address: str, may_reach: Reach) -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80))
    with socket_factory(may_reach)(info) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


# --- Names that somebody else resolves ----------------------------------------------------------------------------


@pytest.mark.parametrize("address", BLOCKED, ids=lambda address: f"{address} {BLOCKED[address]}")
def test_a_private_address_as_text_is_private(address: str) -> None:
    assert is_private_name(address)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.0.0.1.",
        "127.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0",
        "10.1",
    ],
)
def test_so_is_an_odd_spelling_of_one(host: str) -> None:
    assert is_private_name(host)


@pytest.mark.parametrize(
    "host",
    [*PUBLIC, "example.com", "localhost.example.com", "notlocalhost", "10.example", "\u00e9.example", "a..b", ""],
)
def test_what_only_a_resolver_knows_is_not(host: str) -> None:
    assert not is_private_name(host)
