"""`POST /webhooks/{connection}` over real sockets: what is taken, and what every bad delivery is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from acme_shop import ENVIRONMENT, installed
from gateway.served import Served, served
from timers import HeldClock
from vendors.acme import signed

PAID = {"id": "evt_1", "type": "order.paid", "subject": "o1", "sequence": 2}
CONFIG = """
[connections.shop]
provider = "acme"
credentials = {{{{ webhook_secret = "env:ACME" }}}}

[connections.plain]
base_url = "https://plain.test"

[storage]
url = "{path}"

[webhooks]
body_s = 0.3
"""


@pytest.fixture(autouse=True)
def _vendor() -> Iterator[None]:
    with installed():
        yield


@asynccontextmanager
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    config = CONFIG.format(path=tmp_path / "jobs.db")
    # A store that the settings name has a worker, whose waits are no time that passes.
    async with served(config=config, environment=ENVIRONMENT, clock=HeldClock()) as world:
        yield world


def headers(world: Served, body: bytes, **more: str) -> dict[str, str]:
    return {**signed(body, at=world.clock.wall()), **more}


async def say(world: Served, data: bytes, *, then: bytes = b"") -> tuple[int, dict[str, object]]:
    """Send bytes as they are; return the status and the JSON of the answer."""
    place = urlsplit(world.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(data)
        if then:
            writer.write(then)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        return status, json.loads(body) if body else {}
    finally:
        writer.close()


def request(
    name: str, body: bytes, fields: dict[str, str], *, method: str = "POST", length: int | None = None
) -> bytes:
    lines = [f"{method} /webhooks/{name} HTTP/1.1", "Host: app.test"]
    lines += [f"{key}: {value}" for key, value in fields.items()]
    lines += [f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


async def test_a_signed_delivery_needs_no_key_and_is_kept(tmp_path: Path) -> None:
    body = msgspec.json.encode([PAID, {"id": "evt_2", "type": "never.heard.of"}])
    async with gateway(tmp_path) as world:
        assert (await say(world, request("shop", body, headers(world, body))))[0] == 200
        kept = await world.fl.webhooks.list(connection="shop")
        assert {each.key for each in kept} == {"evt_1", "evt_2"}
        whole = await world.fl.webhooks.show(kept[0].id)
        assert whole is not None
        assert whole.body is not None
        assert json.loads(whole.body)["id"] == kept[0].key


def bomb() -> bytes:
    return b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("shop", b"[", 400, "malformed"),
        ("shop", b'[{"id": "\xff\xfe", "type": "x"}]', 400, "malformed"),
        ("shop", bomb(), 400, "malformed"),
        ("shop", b'[{"id": "' + b"x" * 600 + b'", "type": "x"}]', 400, "malformed"),
        ("nobody", b"[]", 404, "unknown_connection"),
        ("shop/deeper", b"[]", 404, "unknown_connection"),
        ("plain", b"[]", 404, "no_webhooks"),
        ("shop", b"x" * (1024 * 1024 + 1), 413, "too_large"),
    ],
)
async def test_what_cannot_be_taken_has_its_answer_and_is_counted(
    tmp_path: Path, name: str, body: bytes, status: int, code: str
) -> None:
    async with gateway(tmp_path) as world:
        said, problem = await say(world, request(name, body, headers(world, body)))
        assert (said, problem["code"]) == (status, code)
        assert not await world.fl.webhooks.list()
        await world.fl.inbox.settle()
        (reject,) = await world.fl.webhooks.rejects()
        assert reject.reason == code
        assert reject.source in {name, ""}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"acme-signature": "v1=" + "0" * 64}, "bad_signature"),
        ({"acme-signature": ""}, "unsigned"),
        ({"acme-time": "1"}, "bad_signature"),
    ],
)
async def test_who_cannot_sign_is_refused(tmp_path: Path, change: dict[str, str], code: str) -> None:
    body = msgspec.json.encode([PAID])
    async with gateway(tmp_path) as world:
        status, problem = await say(world, request("shop", body, headers(world, body, **change)))
        assert status in {400, 401}
        assert problem["code"] == code


async def test_a_replayed_id_is_acknowledged_and_not_kept_twice(tmp_path: Path) -> None:
    body = msgspec.json.encode([PAID])
    async with gateway(tmp_path) as world:
        for _ in range(3):
            assert (await say(world, request("shop", body, headers(world, body))))[0] == 200
        assert len(await world.fl.webhooks.list()) == 1


async def test_fifty_megabytes_are_refused_by_what_they_claim(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        status, problem = await say(world, request("shop", b"", headers(world, b""), length=50_000_000))
        assert (status, problem["code"]) == (413, "too_large")


async def test_a_body_without_a_length_is_read_no_further_than_may_be(tmp_path: Path) -> None:
    head = b"POST /webhooks/shop HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    async with gateway(tmp_path) as world:
        status, problem = await say(world, head, then=piece * 17)
        assert (status, problem["code"]) == (413, "too_large")


async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        status, problem = await say(world, request("shop", b"[", headers(world, b"["), length=100))
        assert (status, problem["code"]) == (408, "too_slow")


async def test_other_methods_are_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        status, problem = await say(world, request("shop", b"", {}, method="DELETE"))
        assert (status, problem["code"]) == (405, "wrong_method")


async def test_a_store_that_is_gone_is_answered_503_and_told_in_the_health(tmp_path: Path) -> None:
    body = msgspec.json.encode([PAID])
    async with gateway(tmp_path / "missing" / "deep") as world:
        status, problem = await say(world, request("shop", body, headers(world, body)))
        assert (status, problem["code"]) == (503, "storage")
        ready = await world.client.ask("/readyz")
        told = json.loads(ready.body)
        assert told["storage"]["is_well"] is False
        assert "missing" in told["storage"]["reason"]
