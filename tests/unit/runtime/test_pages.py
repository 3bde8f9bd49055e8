"""Lists through the pipeline: each page is a call, asked only when it is wanted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import msgspec
import pytest

from fairlead import errors
from fairlead.model.message import Request, Response
from fairlead.model.page import ListPage
from fairlead.observe.events import CallFinished
from scripted import CANARY, HTML, RESET, Line, World, answer, build_world, plain, report

PAGED = 'pagination = { style = "page", items_at = "data.items", pages_at = "data.pages" }'
PATIENT = "breaker = { min_attempts = 100 }"


class Thing(msgspec.Struct):
    id: int


def page(number: int, pages: int = 3) -> Response:
    return answer(content={"data": {"items": [{"id": number * 10}, {"id": number * 10 + 1}], "pages": pages}})


def pages(request: Request) -> Response:
    return page(int(dict(request.query)["page"]))


def build(line: Line | list[Line] = pages, settings: str = PAGED) -> World:
    return build_world(plain(settings=f"{settings}\n{PATIENT}"), {"shop": line})


async def ids(found: AsyncIterator[ListPage[Any]]) -> list[int]:
    return [each["id"] async for each_page in found for each in each_page]


async def test_all_pages_come_in_order_from_one_connection() -> None:
    world = build()
    found = [each async for each in world.fl.http("shop").paginate("/things", query={"q": "x"}, headers={"x-a": "1"})]
    assert [[item["id"] for item in each] for each in found] == [[10, 11], [20, 21], [30, 31]]
    assert [each.is_last for each in found] == [False, False, True]
    assert [each.served_by for each in found] == ["shop"] * 3
    assert [each.query for each in world.sent("shop")] == [(("q", "x"), ("page", str(at))) for at in (1, 2, 3)]
    assert all(dict(each.headers)["x-a"] == "1" for each in world.sent("shop"))
    world.assert_at_rest()


async def test_the_pages_share_a_correlation_id() -> None:
    world = build()
    await ids(world.fl.http("shop").paginate("/things"))
    await ids(world.fl.http("shop").paginate("/things", correlation_id="order-7"))
    told = world.told(CallFinished)
    assert [each.correlation_id for each in told] == ["call-1"] * 3 + ["order-7"] * 3
    assert {each.operation for each in told} == {"http.paginate"}


async def test_items_may_be_of_a_model() -> None:
    world = build()
    found = [each async for each in world.fl.http("shop").paginate("/things", model=Thing)]
    assert found[0].items == (Thing(10), Thing(11))
    assert len(found[0]) == 2


async def test_the_place_of_the_items_may_be_said_by_the_call() -> None:
    world = build(answer(content={"a": {"b": []}}), 'pagination = { style = "page" }')
    assert await ids(world.fl.http("shop").paginate("/things", items_at="a.b")) == []
    with pytest.raises(errors.InvalidArgumentError, match="items_at is not a place"):
        world.fl.http("shop").paginate("/things", items_at="a..b")
    bare = build(answer(content=[]), 'pagination = { style = "page", items_at = "x" }')
    assert await ids(bare.fl.http("shop").paginate("/things", items_at="")) == []


async def test_no_page_is_asked_before_it_is_wanted() -> None:
    world = build()
    found = world.fl.http("shop").paginate("/things")
    assert world.sent("shop") == []
    async with aclosing(cast("Any", found)):
        async for _ in found:
            break
    assert len(world.sent("shop")) == 1
    world.assert_at_rest()


async def test_a_saved_position_gives_the_rest() -> None:
    world = build()
    positions = [json.dumps(each.position) async for each in world.fl.http("shop").paginate("/things")]
    rests = [await ids(world.fl.http("shop").paginate("/things", position=json.loads(each))) for each in positions]
    assert rests == [[20, 21, 30, 31], [30, 31], []]
    assert not any(CANARY in each for each in positions)


async def test_a_position_stays_with_its_connection_and_path() -> None:
    world = build_world(plain("one", PAGED) + plain("two", PAGED), {"one": pages, "two": pages})
    position, *_ = [each.position async for each in world.fl.http("one").paginate("/things")]
    for name, path in (("two", "/things"), ("one", "/others")):
        with pytest.raises(errors.InvalidArgumentError, match="The position is not one of"):
            world.fl.http(name).paginate(path, position=position)
    assert not world.sent("two")


async def test_each_page_is_retried_like_any_call_and_has_its_own_deadline() -> None:
    world = build([page(1), RESET, HTML, page(2), page(3)], f"{PAGED}\nrate = {{ requests = 1, per_s = 20 }}")
    found = [each async for each in world.fl.http("shop").paginate("/things", deadline_s=90)]
    assert [report(each).exchanges for each in found] == [1, 3, 1]
    assert [dict(each.query)["page"] for each in world.sent("shop")] == ["1", "2", "2", "2", "3"]
    assert world.transports["shop"].times_s[-1] >= 1080


async def test_a_page_that_fails_may_be_asked_for_again_from_the_last_position() -> None:
    world = build([page(1), answer(404), page(2), page(3)])
    position: Any = None

    async def follow() -> None:
        nonlocal position
        async for each in world.fl.http("shop").paginate("/things"):
            position = each.position

    with pytest.raises(errors.NotFoundError, match=r"shop: http\.paginate"):
        await follow()
    assert await ids(world.fl.http("shop").paginate("/things", position=position)) == [20, 21, 30, 31]


async def test_a_list_that_leads_elsewhere_is_told_with_whom() -> None:
    line = answer(content={"items": [], "next": f"https://else.test/?key={CANARY}"})
    world = build(line, 'pagination = { style = "next_url", items_at = "items" }')
    with pytest.raises(
        errors.HostBlockedError, match=r"shop: http\.paginate: The next page is at https://else\.test:443"
    ):
        await ids(world.fl.http("shop").paginate("/things"))
    assert len(world.sent("shop")) == 1
    world.assert_at_rest()


async def test_a_key_that_the_vendor_echoes_is_sent_once_and_kept_nowhere() -> None:
    text = """
[connections.shop]
base_url = "https://shop.test/v1"
auth = { scheme = "key", query = "api_key" }
credentials = { key = "env:KEY" }
pagination = { style = "next_url", items_at = "items" }
"""
    more = "/v1/things?api_key=whatever&from=2"
    lines: list[Line] = [answer(content={"items": [], "next": more}), answer(content={"items": [], "next": None})]
    world = build_world(text, {"shop": lines})
    found = [each async for each in world.fl.http("shop").paginate("/things")]
    assert world.sent("shop")[1].query == (("from", "2"), ("api_key", CANARY))
    assert found[0].position["next"] == "/things?from=2"


async def test_a_good_status_with_an_error_body_is_no_page() -> None:
    world = build([page(1), answer(content={"error": "cursor_expired"})], f'{PAGED}\nerror_code_at = "error"')
    with pytest.raises(errors.ProviderError, match="HTTP 200"):
        await ids(world.fl.http("shop").paginate("/things"))


async def test_without_pagination_it_is_told_what_to_add() -> None:
    world = build([], "")
    with pytest.raises(errors.UnsupportedFeatureError, match=r"Add \[connections.shop.pagination\]"):
        world.fl.http("shop").paginate("/things")


async def test_a_short_credential_is_not_looked_for_in_addresses() -> None:
    text = """
[connections.shop]
base_url = "https://shop.test"
auth = { scheme = "basic" }
credentials = { user = "env:USER", password = "env:PASSWORD" }
pagination = { style = "next_url", items_at = "items" }
"""
    more = f"/things?from=7&x={CANARY}"
    lines: list[Line] = [answer(content={"items": [], "next": more}), answer(content={"items": [], "next": None})]
    world = build_world(text, {"shop": lines}, environment={"USER": "7", "PASSWORD": CANARY})
    assert await ids(world.fl.http("shop").paginate("/things")) == []
    assert world.sent("shop")[1].query == (("from", "7"),)
