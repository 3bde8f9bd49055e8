"""A published client of Postmark, unchanged: pointed at our fake, and at the gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from postmarker.core import PostmarkClient
from postmarker.exceptions import ClientError

from clients.gateway import gateway
from fairlead.testing.fakes.postmark import SERVER_TOKEN, PostmarkFake

KEY = "canary-gateway-key"
SETTINGS = """
[connections.mail]
provider = "postmark"
base_url = "{url}"
allow_private = true
credentials = {{ server_token = "env:MAIL_TOKEN" }}
"""


class Client(PostmarkClient):  # type: ignore[misc]  # it comes without types
    """Theirs, which joins paths to the root of its URL, and so would lose the gateway's path."""

    def _call(self, method: str, root: str, endpoint: str, *args: Any, **wanted: Any) -> Any:
        return super()._call(method, f"{root}/", endpoint.lstrip("/"), *args, **wanted)


@asynccontextmanager
async def at_the_fake() -> AsyncIterator[tuple[Client, PostmarkFake]]:
    async with PostmarkFake() as fake:
        yield Client(server_token=SERVER_TOKEN, root_api_url=fake.url), fake


@asynccontextmanager
async def at_the_gateway() -> AsyncIterator[tuple[Client, PostmarkFake]]:
    async with PostmarkFake() as fake:
        environment = {"MAIL_TOKEN": SERVER_TOKEN}
        async with gateway(SETTINGS.format(url=fake.url), key=KEY, environment=environment) as url:
            yield Client(server_token=KEY, root_api_url=f"{url}/mail"), fake


PLACES = pytest.mark.parametrize("place", [at_the_fake, at_the_gateway])
MAIL = {"From": "shop@sender.example", "To": "ada@example.com", "Subject": "Hellö", "TextBody": "Hi"}


@PLACES
async def test_it_sends_and_looks_up(place: Any) -> None:
    async with place() as (client, fake):
        sent = await asyncio.to_thread(lambda: client.emails.send(**MAIL, Metadata={"order": "7"}))
        (letter,) = fake.sent
        assert (sent["MessageID"], letter.subject, letter.metadata) == (letter.id, "Hellö", {"order": "7"})
        found = await asyncio.to_thread(lambda: client.messages.outbound.all(count=5))
        assert [each.MessageID for each in found] == [letter.id]


@PLACES
async def test_it_sends_a_batch(place: Any) -> None:
    async with place() as (client, fake):
        sent = await asyncio.to_thread(lambda: client.emails.send_batch(MAIL, {**MAIL, "To": "bob@example.org"}))
    assert [each["MessageID"] for each in sent] == [each.id for each in fake.sent]


@PLACES
async def test_its_refusals_are_the_vendors(place: Any) -> None:
    async with place() as (client, fake):
        fake.suppressed.add("ada@example.com")
        with pytest.raises(ClientError, match="marked as inactive"):
            await asyncio.to_thread(lambda: client.emails.send(**MAIL))
