"""The vendor's own client, unchanged: pointed at our fake, and at the gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mailgun.client import Client

from clients.gateway import gateway
from fairlead.testing.fakes.mailgun import API_KEY, DOMAIN, MailgunFake

KEY = "canary-gateway-key"
SETTINGS = """
[connections.mail]
provider = "mailgun"
base_url = "{url}"
allow_private = true
credentials = {{ api_key = "env:MAIL_KEY", domain = "env:MAIL_DOMAIN" }}
"""


@asynccontextmanager
async def at_the_fake() -> AsyncIterator[tuple[Client, MailgunFake]]:
    async with MailgunFake() as fake:
        with Client(auth=("api", API_KEY), api_url=fake.url) as client:
            yield client, fake


@asynccontextmanager
async def at_the_gateway() -> AsyncIterator[tuple[Client, MailgunFake]]:
    async with MailgunFake() as fake:
        environment = {"MAIL_KEY": API_KEY, "MAIL_DOMAIN": DOMAIN}
        async with gateway(SETTINGS.format(url=fake.url), key=KEY, environment=environment) as url:
            with Client(auth=("api", KEY), api_url=f"{url}/mail") as client:
                yield client, fake


PLACES = pytest.mark.parametrize("place", [at_the_fake, at_the_gateway])
MAIL = {
    "from": "Shop <shop@sender.example>",
    "to": ["Ada <ada@example.com>", "bob@example.org"],
    "subject": "Hellö",
    "text": "Hi",
    "v:order": "7",
}


@PLACES
async def test_it_sends_files_and_asks_for_events(place: Any) -> None:
    files = [("attachment", ("a.bin", b"\x00\r\n--x", "application/octet-stream"))]
    async with place() as (client, fake):
        sent = await asyncio.to_thread(lambda: client.messages.create(data=MAIL, files=files, domain=DOMAIN))
        (letter,) = fake.sent
        assert sent.json()["id"] == f"<{letter.id}>"
        assert (letter.subject, letter.metadata) == ("Hellö", {"order": "7"})
        assert letter.recipients == ("ada@example.com", "bob@example.org")
        assert letter.enclosures[0].content == b"\x00\r\n--x"
        found = await asyncio.to_thread(lambda: client.events.get(domain=DOMAIN, filters={"event": "accepted"}))
    assert [each["recipient"] for each in found.json()["items"]] == ["ada@example.com", "bob@example.org"]


@PLACES
async def test_its_refusals_are_the_vendors(place: Any) -> None:
    files = [("attachment", ("a", b""))]
    async with place() as (client, fake):
        refused = await asyncio.to_thread(lambda: client.messages.create(data={"to": "x"}, files=files, domain=DOMAIN))
    assert (refused.status_code, refused.json()["message"]) == (400, "from parameter is missing")
    assert fake.sent == []
