"""The vendor's own client, unchanged: pointed at our fake, and at the gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from python_http_client.exceptions import ForbiddenError, UnauthorizedError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Attachment, CustomArg, FileContent, FileName, FileType, Mail, To

from clients.gateway import gateway
from fairlead.testing.fakes.sendgrid import API_KEY, SendgridFake

KEY = "canary-gateway-key"
SETTINGS = """
[connections.mail]
provider = "sendgrid"
base_url = "{url}"
allow_private = true
credentials = {{ api_key = "env:MAIL_KEY" }}
"""


@asynccontextmanager
async def at_the_fake() -> AsyncIterator[tuple[SendGridAPIClient, SendgridFake]]:
    async with SendgridFake() as fake:
        yield SendGridAPIClient(API_KEY, host=fake.url), fake


@asynccontextmanager
async def at_the_gateway() -> AsyncIterator[tuple[SendGridAPIClient, SendgridFake]]:
    async with SendgridFake() as fake:
        environment = {"MAIL_KEY": API_KEY}
        async with gateway(SETTINGS.format(url=fake.url), key=KEY, environment=environment) as url:
            yield SendGridAPIClient(KEY, host=f"{url}/mail"), fake


PLACES = pytest.mark.parametrize("place", [at_the_fake, at_the_gateway])


def mail() -> Mail:
    made = Mail(
        from_email=("shop@sender.example", "Shop"),
        to_emails=[To("ada@example.com", "Ada, L."), To("bob@example.org")],
        subject="Hellö",
        plain_text_content="Hi",
        html_content="<b>Hi</b>",
    )
    made.attachment = Attachment(FileContent("AAEC"), FileName("a.bin"), FileType("application/octet-stream"))
    made.custom_arg = CustomArg("order", "7")
    return made


@PLACES
async def test_it_sends(place: Any) -> None:
    async with place() as (client, fake):
        answer = await asyncio.to_thread(client.send, mail())
    assert answer.status_code == 202
    (letter,) = fake.sent
    assert answer.headers["X-Message-Id"] == letter.id
    assert letter.to == [("Ada, L.", "ada@example.com"), ("", "bob@example.org")]
    assert (letter.subject, letter.text, letter.html) == ("Hellö", "Hi", "<b>Hi</b>")
    assert letter.enclosures[0].content == b"\x00\x01\x02"


@PLACES
async def test_it_looks_up_its_scopes(place: Any) -> None:
    async with place() as (client, _):
        answer = await asyncio.to_thread(client.client.scopes.get)
    assert b"mail.send" in answer.body


@PLACES
async def test_its_refusals_are_the_vendors(place: Any) -> None:
    async with place() as (client, fake):
        fake.senders = ["other.example"]
        with pytest.raises(ForbiddenError) as refused:
            await asyncio.to_thread(client.send, mail())
    assert refused.value.to_dict["errors"][0]["field"] == "from"


async def test_a_wrong_key_is_refused() -> None:
    async with SendgridFake() as fake:
        with pytest.raises(UnauthorizedError):
            await asyncio.to_thread(SendGridAPIClient("SG.wrong", host=fake.url).send, mail())
    assert fake.sent == []
