"""Mail to a server that is not ours: aiosmtpd, with TLS and sign-in, as its documentation sets it up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from fairlead import errors
from fairlead.capabilities.email import Taken
from fairlead.capabilities.mailbox import Address
from fairlead.model.outcome import Outcome
from mailing import LOGO, MENU, Office, letter

FEW = "concurrency = { limit = 2 }"
ENVIRONMENT = {"USER": "ada", "PASSWORD": "söup & bread"}


class Box:
    """A handler that keeps what it is given, and refuses whom it does not know."""

    def __init__(self) -> None:
        self.mail: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802  # the name that the library calls
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # likewise
        self.mail.append(envelope)
        return "250 2.0.0 OK"


def knows(_server: Any, _session: Session, _envelope: Envelope, _way: str, shown: Any) -> AuthResult:
    assert isinstance(shown, LoginPassword)
    expected = (ENVIRONMENT["USER"].encode(), ENVIRONMENT["PASSWORD"].encode())
    return AuthResult(success=(shown.login, shown.password) == expected, handled=False)


@asynccontextmanager
async def serving(folder: Path, *, is_tls_first: bool = False, **options: Any) -> AsyncIterator[tuple[Box, str]]:
    """Serve, and yield the box and the settings of a connection."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    box = Box()
    usual: dict[str, Any] = {"hostname": "mail.test", "auth_required": True, "authenticator": knows}
    if not is_tls_first:
        usual |= {"tls_context": tls, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(box, loop=loop, **usual | options), "127.0.0.1", 0, ssl=tls if is_tls_first else None
    )
    scheme = "smtps" if is_tls_first else "smtp"
    async with server:
        yield (
            box,
            f"""
[connections.relay]
provider = "smtp"
base_url = "{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
allow_private = true
ca_file = "{folder / "ca.pem"}"
credentials = {{ user = "env:USER", password = "env:PASSWORD" }}
""",
        )


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # TLS that comes first is none to it
@pytest.mark.parametrize("is_tls_first", [False, True])
@pytest.mark.parametrize("excluded", [[], ["PLAIN"], ["LOGIN"]], ids=["any", "LOGIN", "PLAIN"])
async def test_a_message_arrives(is_tls_first: bool, excluded: list[str], tmp_path: Path) -> None:
    message = letter(
        html="<p>☃<img src='cid:logo'>",
        text="It is\n.\n..ready.",
        bcc=(Address("dan@table.test"),),
        attachments=(LOGO, MENU),
    )
    options: dict[str, Any] = {"auth_exclude_mechanism": excluded}
    if is_tls_first:
        options["auth_require_tls"] = False
    server = serving(tmp_path, is_tls_first=is_tls_first, **options)
    async with server as (box, settings), Office(settings, ENVIRONMENT) as office:
        receipt = await office.send(message, reference="call-1")
        await office.send(letter(), reference="call-2")
    first, second = box.mail
    assert receipt.ref.id == "call-1@kitchen.test"
    assert (first.mail_from, first.rcpt_tos) == ("ada@kitchen.test", ["bob@table.test", "dan@table.test"])
    assert isinstance(first.content, bytes)
    assert isinstance(second.content, bytes)
    parsed = message_from_bytes(first.content, policy=default)
    body = parsed.get_body(("plain",))
    assert body is not None
    assert (parsed["subject"], parsed["bcc"]) == ("Soup ☃", None)
    assert body.get_content().splitlines() == ["It is", ".", "..ready."]
    assert {part.get_filename() for part in parsed.iter_attachments()} == {"menü.pdf"}
    assert message_from_bytes(second.content)["message-id"] == "<call-2@kitchen.test>"


async def test_it_refuses_one_recipient_and_takes_the_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as (box, settings), Office(settings, ENVIRONMENT) as office:
        receipt = await office.send(letter(to=(Address("nobody@table.test"), Address("eve@table.test"))))
    assert [(each.taken, each.reason) for each in receipt.recipients] == [
        (Taken.REJECTED, "550 5.1.1 No such user here"),
        (Taken.ACCEPTED, None),
    ]
    assert box.mail[0].rcpt_tos == ["eve@table.test"]


async def test_a_wrong_password_is_an_error_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path) as (box, settings), Office(settings, {**ENVIRONMENT, "PASSWORD": "no"}) as office:
        with pytest.raises(errors.AuthenticationError) as caught:
            await office.send(letter())
    assert (caught.value.outcome, caught.value.status, box.mail) == (Outcome.NOT_DONE, 535, [])


async def test_a_message_that_is_too_long_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    server = serving(tmp_path, data_size_limit=10_000)
    async with server as (box, settings), Office(settings, ENVIRONMENT) as office:
        with pytest.raises(errors.InvalidRequestError) as caught:
            await office.send(letter(text="x" * 20_000))
    assert (caught.value.status, box.mail) == (552, [])


async def test_many_go_over_few_connections(tmp_path: Path) -> None:
    async with serving(tmp_path) as (box, settings), Office(f"{settings}{FEW}", ENVIRONMENT) as office:
        await asyncio.gather(*(office.send(letter(), reference=f"call-{n}") for n in range(12)))
    names = {
        message_from_bytes(each.content or b"")["message-id"] for each in box.mail if isinstance(each.content, bytes)
    }
    assert names == {f"<call-{n}@kitchen.test>" for n in range(12)}
    assert len(box.mail) == 12
