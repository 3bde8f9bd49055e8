"""Mail: who is spoken to, who never is, and what is never said."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import msgspec
import pytest

from fairlead.errors import InvalidArgumentError, InvalidSettingError
from fairlead.model.exchange import Broken
from fairlead.model.mail import Mail, Reply
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Outcome
from fairlead.testing.fakes.smtp import SmtpFake
from fairlead.transport.connect import connect
from fairlead.transport.guard import Network
from fairlead.transport.http import HttpOptions
from fairlead.transport.mail import MailTransport, _require_loopback
from fairlead.transport.tls import TlsOptions, load_tls
from mail_stages import PLAIN, mail, options_for, outcome_of, post, send
from raw_server import Peer, serve
from stages import PATIENCE_S, SHORT_S, Authority


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.uvloop)], autouse=True)
def _in_either_event_loop() -> None:
    """Run each test in asyncio's own, and in that of the gateway."""


# --- TLS ----------------------------------------------------------------------------------------------------------


async def test_nothing_is_said_to_a_server_without_starttls() -> None:
    async with SmtpFake(is_plain=True) as fake:
        ending = await send(fake, mail())
    assert isinstance(ending, Broken)
    assert (ending.failure, outcome_of(ending)) == (Failure.TLS, Outcome.NOT_DONE)
    assert "offers no STARTTLS" in ending.detail
    assert fake.books.operations == {}


@pytest.mark.parametrize("is_tls_first", [False, True])
async def test_a_stranger_with_the_servers_address_is_told_nothing(is_tls_first: bool, authority: Authority) -> None:
    async with SmtpFake(is_tls_first=is_tls_first) as fake:
        strange = await send(fake, mail(), ca_file=authority.file)
        pinned = await send(fake, mail(), tls=TlsOptions(pins=(f"sha256/{'A' * 43}=", f"sha256/{'A' * 42}E=")))
    for ending in (strange, pinned):
        assert isinstance(ending, Broken)
        assert (ending.failure, outcome_of(ending)) == (Failure.TLS, Outcome.NOT_DONE)
    assert (fake.books.operations, fake.sent) == ({}, [])


async def test_the_name_in_the_certificate_counts(authority: Authority) -> None:
    async def elsewhere(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with SmtpFake() as fake:
        wanted = options_for(fake, base_url=fake.url.replace("127.0.0.1", "mail.elsewhere.test"))
        transport = MailTransport(wanted, network=Network(resolve=elsewhere))
        ending = await transport.exchange(mail(), timeout_s=PATIENCE_S)
        await transport.close()
    assert isinstance(ending, Broken)
    assert ending.failure is Failure.TLS


async def test_what_was_slipped_in_before_tls_counts_for_nothing(authority: Authority) -> None:
    """RFC 3207 §4.2, and CVE-2021-38371: a reply in the clear must not answer a command in secret."""
    heard: list[bytes] = []

    async def inject(peer: Peer) -> None:
        await peer.send(b"220 x\r\n")
        await peer.read_some()
        await peer.send(b"250-x\r\n250 STARTTLS\r\n")
        await peer.read_some()
        await peer.send(
            b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n235 in\r\n250 fine\r\n250 fine\r\n354 go\r\n250 taken\r\n"
        )
        await peer._writer.start_tls(authority.server("127.0.0.1"))
        while data := await peer.read():
            heard.append(data)

    async with serve(inject) as server:
        wanted = HttpOptions(
            base_url=server.url("smtp"), allow_private=True, ca_file=authority.file, read_s=4 * SHORT_S
        )
        transport = MailTransport(wanted)
        ending = await transport.exchange(mail(), timeout_s=PATIENCE_S)
        await transport.close()
    assert isinstance(ending, Broken)
    assert outcome_of(ending) is Outcome.NOT_DONE
    assert not any(b"AUTH" in each or b"MAIL" in each for each in heard)


async def test_plain_is_for_this_machine_and_on_wish() -> None:
    async with SmtpFake(is_plain=True) as fake:
        assert isinstance(await send(fake, mail(), tls=PLAIN), Response)
        assert [each.is_secret for each in fake.sent] == [False]


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"])
def test_no_other_machine_is_spoken_to_in_the_clear(address: str) -> None:
    with pytest.raises(ssl.SSLError, match="another machine"):
        _require_loopback(address)
    for own in ("127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"):
        _require_loopback(own)


# --- The guard, and what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_reached_unless_they_may_be(host: str) -> None:
    async with SmtpFake() as fake:
        wanted = options_for(fake, base_url=f"smtp://{host}:{fake.url.rpartition(':')[2]}", allow_private=False)
        transport = MailTransport(wanted)
        ending = await transport.exchange(mail(), timeout_s=PATIENCE_S)
        await transport.close()
        assert isinstance(ending, Broken)
        assert (ending.failure, fake.visits) == (Failure.BLOCKED, 0)


async def test_a_request_is_no_mail() -> None:
    async with SmtpFake() as fake, post(fake) as transport:
        with pytest.raises(InvalidArgumentError, match="carries mail"):
            await transport.exchange(Request.get("/"), timeout_s=PATIENCE_S)
        assert fake.visits == 0


@pytest.mark.parametrize(
    "address",
    ["", "ada", "a@b.test>", "<a@b.test", "a@b.test\r\nRCPT TO:<c@d.test", "a b@c.test", "ä@b.test", "a@b.test SIZE=1"],
)
def test_nothing_else_stands_on_an_envelope_than_an_address(address: str) -> None:
    with pytest.raises(InvalidArgumentError, match="envelope"):
        Mail.build(address, ("a@b.test",), b"")
    with pytest.raises(InvalidArgumentError, match="envelope"):
        Mail.build("a@b.test", ("a@b.test", address), b"")


@pytest.mark.parametrize(
    "changes", [{"proxy": "http://proxy.test:3128"}, {"http2": True}, {"follow_redirects": 1}], ids=str
)
def test_what_mail_has_no_use_for_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError, match="base_url leads to a mail server"):
        connect(HttpOptions(base_url="smtp://mail.test", **changes))


def test_plain_is_no_word_for_the_web() -> None:
    with pytest.raises(InvalidSettingError, match="plain_on_loopback"):
        connect(HttpOptions(base_url="https://shop.test", tls=PLAIN))


@pytest.mark.parametrize(
    ("text", "enhanced"), [("5.1.1 No", "5.1.1"), ("4.2.2", "4.2.2"), ("No 5.1.1", ""), ("3.1.1 x", ""), ("5.1 x", "")]
)
def test_the_code_that_says_more_is_read(text: str, enhanced: str) -> None:
    assert Reply(550, text).enhanced == enhanced


def test_another_event_loop_begins_anew() -> None:
    made: list[MailTransport] = []

    async def use() -> None:
        async with SmtpFake() as fake:
            transport = MailTransport(options_for(fake)) if not made else made[0]
            made.append(transport)
            transport._origin = msgspec.structs.replace(transport._origin, port=int(fake.url.rpartition(":")[2]))
            transport._tls = load_tls(fake.ca_file, TlsOptions())
            assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
            assert len(transport._lines) == 1
            for _ in range(2):  # whoever is forked has none of the sockets
                transport.disown()
                assert isinstance(await transport.exchange(mail(), timeout_s=PATIENCE_S), Response)
            assert fake.visits == 3

    asyncio.run(use())
    asyncio.run(use())
