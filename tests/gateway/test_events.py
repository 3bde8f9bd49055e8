"""`/v1/webhooks`: what came and what became of it, behind the gateway's key, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acme_shop import CONFIG as SHOP
from acme_shop import ENVIRONMENT, deliver, installed
from fairlead.model.message import Response, build_request
from fairlead.testing.clock import NOON
from fairlead.transport.http import HttpOptions, HttpTransport
from gateway.served import KEY, PATIENCE_S, Served, problem, served
from timers import HeldClock

CONFIG = SHOP.replace("{{", "{{{{").replace("}}", "}}}}")
EVENTS = "/v1/webhooks/events"


@pytest.fixture(autouse=True)
def _vendor() -> Iterator[None]:
    with installed():
        yield


@asynccontextmanager
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(
        config=CONFIG.format(path=tmp_path / "jobs.db"), environment=ENVIRONMENT, clock=HeldClock()
    ) as world:
        yield world


async def bring(world: Served, *numbers: int, kind: str = "order.paid") -> None:
    events = [{"id": f"e{number}", "type": kind, "subject": f"o{number}"} for number in numbers]
    assert (await deliver(world.fl, *events, at=world.clock.wall())).status == 200


async def post(world: Served, path: str, body: bytes = b"") -> Response:
    transport = HttpTransport(HttpOptions(base_url=world.url, allow_private=True))
    try:
        request = build_request("POST", path, body=body, headers={"fairlead-key": KEY})
        answer = await transport.exchange(request, timeout_s=PATIENCE_S)
    finally:
        await transport.close()
    assert isinstance(answer, Response), answer
    return answer


async def items(world: Served, path: str = EVENTS, **query: str) -> list[Any]:
    answer = await world.client.ask(path, query)
    assert answer.status == 200, answer.text
    found: list[Any] = answer.json()["items"]
    return found


async def test_events_are_listed_newest_first_a_page_at_a_time(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        await bring(world, *range(5))
        answer = await world.client.ask(EVENTS, {"limit": "2", "connection": "shop"})
        seen = [each["key"] for each in answer.json()["items"]]
        while "link" in answer.headers:
            answer = await world.client.follow(answer.headers["link"])
            seen += [each["key"] for each in answer.json()["items"]]
        assert seen == ["e4", "e3", "e2", "e1", "e0"]
        assert len(await items(world, limit="5")) == 5


async def test_events_can_be_narrowed_down(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        await bring(world, 1)
        await bring(world, 2, kind="stock.low")
        for query, keys in (
            ({"type": "stock.low"}, ["e2"]),
            ({"subject": "o1"}, ["e1"]),
            ({"state": "waiting", "type": "order.paid"}, ["e1"]),
            ({"state": "dead"}, []),
            ({"connection": "other"}, []),
            ({"until": "2001-01-01"}, []),
            ({"since": "1w", "until": "2999-01-01T00:00:00Z", "subject": "o2"}, ["e2"]),
        ):
            assert [each["key"] for each in await items(world, **query)] == keys, query


async def test_one_event_is_shown_as_it_came_and_with_what_it_means(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        await bring(world, 1)
        (listed,) = await items(world)
        assert "body" not in listed
        answer = await world.client.ask(f"{EVENTS}/{listed['id']}")
        shown = answer.json()
        assert json.loads(shown["body"]) == {"id": "e1", "type": "order.paid", "subject": "o1"}
        assert shown["neutral"]["type"] == "payment.succeeded"
        assert ["content-type", "application/json"] in shown["headers"]
        assert listed.items() <= shown.items()
        problem(await world.client.ask(f"{EVENTS}/{listed['id'] + 1}"), 404, "unknown_event")


async def test_what_is_over_is_replayed_one_or_many(tmp_path: Path) -> None:
    seen: list[str] = []
    async with gateway(tmp_path) as world:
        await bring(world, 1, 2)
        (first, _) = await items(world)
        answer = await post(world, f"{EVENTS}/{first['id']}/replay")
        assert (answer.status, answer.json()) == (202, {"replayed": 0})  # nobody has handled it yet
        store = world.fl.store
        assert store is not None
        for each in await items(world):
            await store.cancel(each["id"])
        answer = await post(world, f"{EVENTS}/{first['id']}/replay")
        assert (answer.status, answer.json()) == (202, {"replayed": 1})
        answer = await post(world, "/v1/webhooks/replay", b'{"connection": "shop", "state": "cancelled"}')
        assert (answer.status, answer.json()) == (202, {"replayed": 1})
        assert {each["state"] for each in await items(world)} == {"waiting"}
        problem(await post(world, f"{EVENTS}/999/replay"), 404, "unknown_event")
    assert seen == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no filter"),
        (b"[]", "no filter"),
        (b"{}", "which events"),
        (b'{"stat": "dead"}', "'stat' is no word for events. Did you mean 'state'?"),
        (b'{"state": "odd"}', "'odd' is no state"),
        (b'{"since": "soon"}', "since: 'soon' is no time"),
        (b'{"before": "7"}', "'before' is no word"),
        (b" " * 20_000, "too long"),
    ],
)
async def test_a_replay_that_names_nothing_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    async with gateway(tmp_path) as world:
        assert said in problem(await post(world, "/v1/webhooks/replay", body), 400, "invalid_argument")["detail"]


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        (EVENTS, {"limit": "0"}, "limit: '0'"),
        (EVENTS, {"limit": "1001"}, "limit: '1001'"),
        (EVENTS, {"before": "x"}, "before: 'x'"),
        (EVENTS, {"state": "odd"}, "'odd' is no state"),
        (EVENTS, {"until": "99999999999999h"}, "until: "),
        (f"{EVENTS}/x", {}, "id: 'x'"),
        (f"{EVENTS}/99999999999999999999", {}, "id: "),
        ("/v1/webhooks/rejects", {"hours": "-1"}, "hours: '-1'"),
        ("/v1/webhooks/rejects", {"hour": "1"}, "'hour' is no word here"),
        ("/v1/webhooks/tallies", {"connection": "shop"}, "'connection' is no word here"),
    ],
)
async def test_a_wrong_word_is_named(tmp_path: Path, path: str, query: dict[str, str], said: str) -> None:
    async with gateway(tmp_path) as world:
        assert said in problem(await world.client.ask(path, query), 400, "invalid_argument")["detail"]


async def test_rejects_and_tallies_are_counted_by_hour(tmp_path: Path) -> None:
    async with gateway(tmp_path) as world:
        await bring(world, 1)
        await bring(world, 1)
        wrong = msgspec.json.encode([])
        await world.fl.webhooks.receive("shop", url="https://a.test/", headers={}, body=wrong)
        await world.fl.inbox.settle()
        (reject,) = await items(world, "/v1/webhooks/rejects", hours="2", connection="shop")
        assert (reject["reason"], reject["count"], reject["source"]) == ("unsigned", 1, "shop")
        assert await items(world, "/v1/webhooks/rejects", connection="other") == []
        tallies = await items(world, "/v1/webhooks/tallies")
        assert {each["what"]: each["count"] for each in tallies} == {"added": 1, "repeated": 1}
        assert {each["hour"] for each in tallies} == {int(NOON // 3600)}


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/1", "/v1/webhooks/rejects", "/v1/webhooks/tallies"])
async def test_nobody_without_a_key_is_told_anything(tmp_path: Path, path: str) -> None:
    async with gateway(tmp_path) as world:
        problem(await world.client.ask(path, key=None), 401, "missing_key")
        problem(await world.client.ask("/v1/webhooks/replay", key="another", method="POST"), 401, "missing_key")


async def test_a_store_that_is_gone_is_told_so(tmp_path: Path) -> None:
    async with gateway(tmp_path / "missing" / "deep") as world:
        problem(await world.client.ask(EVENTS), 503, "storage")
