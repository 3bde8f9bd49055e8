"""The vendor's own client, unchanged: pointed at our fake, and at the gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import resend
from resend.exceptions import ResendError

from clients.gateway import gateway
from fairlead.testing.fakes.resend import API_KEY, ResendFake

KEY = "canary-gateway-key"
SETTINGS = """
[connections.mail]
provider = "resend"
base_url = "{url}"
allow_private = true
credentials = {{ api_key = "env:MAIL_KEY" }}
"""


@asynccontextmanager
async def at_the_fake(patch: pytest.MonkeyPatch) -> AsyncIterator[ResendFake]:
    async with ResendFake() as fake:
        patch.setattr(resend, "api_url", fake.url)
        patch.setattr(resend, "api_key", API_KEY)
        yield fake


@asynccontextmanager
async def at_the_gateway(patch: pytest.MonkeyPatch) -> AsyncIterator[ResendFake]:
    async with ResendFake() as fake:
        environment = {"MAIL_KEY": API_KEY}
        async with gateway(SETTINGS.format(url=fake.url), key=KEY, environment=environment) as url:
            patch.setattr(resend, "api_url", f"{url}/mail")
            patch.setattr(resend, "api_key", KEY)
            yield fake


PLACES = pytest.mark.parametrize("place", [at_the_fake, at_the_gateway])
MAIL: resend.Emails.SendParams = {
    "from": "Shop <shop@sender.example>",
    "to": ["ada@example.com"],
    "subject": "Hellö",
    "html": "<b>Hi</b>",
}


@PLACES
async def test_it_sends_once_by_its_key_and_looks_up(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place(monkeypatch) as fake:
        first = await asyncio.to_thread(resend.Emails.send, MAIL, {"idempotency_key": "order-7"})
        again = await asyncio.to_thread(resend.Emails.send, MAIL, {"idempotency_key": "order-7"})
        (letter,) = fake.sent
        assert first["id"] == again["id"] == letter.id
        assert letter.subject == "Hellö"
        found = await asyncio.to_thread(resend.Emails.get, letter.id)
    assert found["last_event"] == "sent"


@PLACES
async def test_it_sends_a_batch(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place(monkeypatch) as fake:
        sent = await asyncio.to_thread(resend.Batch.send, [MAIL, {**MAIL, "to": "bob@example.org"}])
    assert [each["id"] for each in sent["data"]] == [each.id for each in fake.sent]


@PLACES
async def test_its_refusals_are_the_vendors(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place(monkeypatch) as fake:
        fake.senders = ["other.example"]
        with pytest.raises(ResendError, match="not verified"):
            await asyncio.to_thread(resend.Emails.send, MAIL)
