"""`/v1/email`, over the wire, with two vendors."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlead.cli.serve import listen
from fairlead.config.read import parse_settings
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.model.message import Response
from fairlead.model.secret import Secret
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.testing.fakes.postmark import PostmarkFake
from fairlead.testing.fakes.sendgrid import API_KEY, SendgridFake
from fairlead.testing.faults import Faults
from gateway.served import KEY, Client, problem
from two_mail_vendors import two_mail_vendors

PATIENCE_S = 20.0
SEND, LIST = "/v1/email/send", "/v1/email/suppressions"
MAIL = {"sender": "Ada <ada@a.example>", "to": "bob@b.example", "subject": "Hello", "text": "Hi"}


class Post(NamedTuple):
    client: Client
    first: SendgridFake
    second: PostmarkFake

    @property
    def letters(self) -> int:
        return len(self.first.sent) + len(self.second.sent)

    async def send(self, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Response:
        return await self.post(SEND, MAIL | fields, headers=headers)

    async def post(self, path: str, content: Any, *, headers: Mapping[str, str] | None = None) -> Response:
        return await self.client.ask(path, method="POST", body=json.dumps(content).encode(), headers=headers)


@asynccontextmanager
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with asyncio.timeout(PATIENCE_S), SendgridFake() as first, PostmarkFake() as second:
        environment = {"FIRST": API_KEY, "SECOND": second.CREDENTIALS["server_token"]}
        config = two_mail_vendors(first.url, second.url, tmp_path / "jobs.db")
        fl = Fairlead(parse_settings(config), environment=environment)
        listener = listen("127.0.0.1", 0)
        server = build_server(build_app(fl, Metrics(), keys=[Secret(KEY)]), handles_signals=False)
        serving = asyncio.create_task(server.serve([listener]))
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            yield Post(client, first, second)
        finally:
            await client.close()
            server.should_exit = True
            await serving


async def test_a_message_is_sent_and_the_receipt_comes_back(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        picture = {"name": "logo.png", "content": b64encode(b"\x89PNG").decode(), "type": "image/png"}
        message = MAIL | {
            "to": ["Bob <bob@b.example>", "eve@b.example"],
            "html": '<img src="cid:logo">',
            "attachments": [picture | {"content_id": "logo"}],
            "headers": {"X-Order": "7"},
            "tags": ["welcome"],
        }
        answer = await world.post(SEND, message)
        assert answer.status == 200
        assert answer.headers["fairlead-served-by"] == "first"
        receipt = json.loads(answer.body)
        (letter,) = world.first.sent
        assert receipt["ref"] == {"connection": "first", "id": letter.id}
        assert [each["email"] for each in receipt["recipients"]] == ["bob@b.example", "eve@b.example"]
        assert [(each.content, each.content_id) for each in letter.enclosures] == [(b"\x89PNG", "logo")]
        assert (letter.headers["X-Order"], letter.tags) == ("7", ["welcome"])


async def test_another_vendor_carries_it_and_can_be_asked_for_its_status(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.first.go_down()
        receipt = json.loads((await world.send()).body)
        ref = receipt["ref"]
        assert ref["connection"] == "second"
        answer = await world.client.ask(f"/v1/email/second/{ref['id']}")
        assert answer.status == 200
        assert json.loads(answer.body)["ref"] == ref
        problem(await world.client.ask("/v1/email/nobody/1"), 404, "unknown_connection")


async def test_in_the_background_one_key_is_one_message(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        wishes = {"prefer": "respond-async", "idempotency-key": "welcome-bob"}
        first, second = await world.send(headers=wishes), await world.send(headers=wishes)
        assert (first.status, second.status) == (202, 202)
        assert first.headers["location"] == second.headers["location"]
        made = await world.client.ask(f"{first.headers['location']}/answer")
        assert json.loads(made.body)["ref"]["id"] == world.first.sent[0].id
        problem(await world.send(headers={"idempotency-key": "welcome-bob"}, subject="Bye"), 422, "key_reused")
        assert world.letters == 1


async def test_while_nobody_knows_the_answer_says_so(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        world.first.visible_after_s = 3600.0
        world.first.faults = Faults(lost_share=1)
        held = problem(await world.send(headers={"fairlead-deadline-ms": "1000"}), 502, "outcome_unknown")
        assert held["outcome"] == "unknown"
        assert held["call_id"]
        assert world.letters == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"to": "bob@b.example"}',
        json.dumps(MAIL | {"form": "ada@a.example"}).encode(),
        json.dumps(MAIL | {"to": "nobody"}).encode(),
        json.dumps(MAIL | {"to": []}).encode(),
        json.dumps(MAIL | {"subject": "a\nBcc: c@d.example"}).encode(),
        json.dumps(MAIL | {"on_unknown": "guess"}).encode(),
        json.dumps(MAIL | {"attachments": [{"name": "a", "content": "no base64!"}]}).encode(),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_sent(content: bytes, tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        problem(await world.client.ask(SEND, method="POST", body=content), 400, "invalid_argument")
        assert world.letters == 0


async def test_the_list_is_written_read_by_pages_and_obeyed(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        for name in ("bob", "eve", "joe"):
            answer = await world.post(LIST, {"email": f"{name}@b.example", "reason": "complained"})
            assert (answer.status, json.loads(answer.body)) == (201, {"added": True})
        assert (await world.post(LIST, {"email": "BOB@b.example"})).status == 200
        seen = []
        page = await world.client.ask(LIST, {"limit": "2"})
        while True:
            seen += [(each["email"], each["reason"]) for each in json.loads(page.body)["items"]]
            if "link" not in page.headers:
                break
            page = await world.client.follow(page.headers["link"])
        assert seen == [(f"{name}@b.example", "complained") for name in ("joe", "eve", "bob")]
        problem(await world.send(), 422, "suppressed")
        taken_off = [await world.client.ask(f"{LIST}/bob@b.example", method="DELETE") for _ in range(2)]
        assert [json.loads(each.body) for each in taken_off] == [{"removed": True}, {"removed": False}]
        assert (await world.send()).status == 200


async def test_a_tenant_has_a_list_of_its_own(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.post(LIST, {"email": "bob@b.example", "tenant": "acme"})
        problem(await world.send(tenant="acme"), 422, "suppressed")
        assert (await world.send(tenant="other")).status == 200
        assert json.loads((await world.client.ask(LIST)).body) == {"items": []}
        assert len(json.loads((await world.client.ask(LIST, {"tenant": "acme"})).body)["items"]) == 1


async def test_it_needs_a_key_and_words_that_it_knows(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        problem(await world.client.ask(LIST, key=None), 401, "missing_key")
        problem(await world.client.ask(LIST, {"tenants": "acme"}), 400, "invalid_argument")
        problem(await world.post(LIST, {"email": "bob@b.example", "detail": "a" * 20_000}), 400, "invalid_argument")
        problem(await world.post(LIST, {"email": "bob@b.example", "reason": "whim"}), 400, "invalid_argument")
