"""Drift through the pipeline: told once, by the connection that met it, whatever drives the operation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead import ResponseMapping, errors
from fairlead.observe.events import CallFinished, DriftFound
from fairlead.spec.drift import DriftKind
from fairlead.spec.watch import current_watch
from scripted import HTML, World, answer, build_world, found, plain, recipes, route


class Order(msgspec.Struct):
    id: int
    title: str
    note: str | None = None


ORDER = ResponseMapping(model=Order, version="2026-11-24")
PAGED = 'pagination = { style = "page", items_at = "data.items", has_more_at = "more" }'


def shop(*contents: Any, settings: str = "") -> World:
    return build_world(plain(settings=settings), {"shop": [answer(content=each) for each in contents]})


def told(world: World) -> list[tuple[str, str, bool]]:
    return [(each.kind.value, each.path, each.is_tolerated) for each in world.told(DriftFound)]


async def test_the_event_says_what_to_whom_and_since_which_version() -> None:
    world = shop({"id": "x", "title": "a"})
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        await world.fl.http("shop").get("/orders/1", model=ORDER)
    assert (caught.value.path, caught.value.connection) == ("$.id", "shop")
    assert world.told(DriftFound) == [
        DriftFound(
            call_id="call-1", connection="shop", operation="http.get", mapping="Order", version="2026-11-24",
            kind=DriftKind.RETYPED, path="$.id", expected="int", found="str", is_tolerated=False,
        )
    ]  # fmt: skip
    assert world.told(CallFinished)[0].error == "unexpected_answer"


async def test_a_mapping_without_a_version_has_that_of_the_api() -> None:
    world = shop({"id": "1", "title": "a"}, settings='api_version = { header = "x-version", value = "2026-01" }')
    await world.fl.http("shop").get("/orders/1", model=Order)
    assert world.told(DriftFound)[0].version == "2026-01"


async def test_over_many_calls_it_is_told_once() -> None:
    world = shop(*[{"id": str(number), "title": "a", "new": 1} for number in range(20)])
    for number in range(20):
        assert (await world.fl.http("shop").get("/orders/1", model=ORDER)).id == number
    assert told(world) == [("added", "$.new", True), ("retyped", "$.id", True)]


async def test_each_connection_tells_its_own() -> None:
    line = answer(content={"id": "1", "title": "a"})
    world = build_world(plain() + plain("two"), {"shop": line, "two": line})
    for name in ("shop", "two", "shop"):
        await world.fl.http(name).get("/orders/1", model=ORDER)
    assert [each.connection for each in world.told(DriftFound)] == ["shop", "two"]


async def test_a_post_is_read_so_too() -> None:
    world = shop({"ID": 1, "title": "a"})
    assert await world.fl.http("shop").post("/orders", json={}, model=ORDER) == Order(1, "a")
    assert told(world) == [("renamed", "$.id", True)]


async def test_of_a_list_each_item_is_compared() -> None:
    pages = [
        {"data": {"items": [{"id": 1, "title": "a"}, {"id": "2", "title": "b"}]}, "more": "true"},
        {"data": {"items": [{"id": "3", "title": "c"}]}, "more": 0},
    ]
    world = shop(*pages, settings=PAGED)
    found = [each.id async for page in world.fl.http("shop").paginate("/orders", model=ORDER) for each in page]
    assert found == [1, 2, 3]
    assert told(world) == [("retyped", "$.data.items[].id", True), ("retyped", "$.more", True)]


async def test_answers_that_are_no_json_or_no_success_tell_nothing() -> None:
    world = build_world(plain(settings="retry = { max_attempts = 1 }"), {"shop": [HTML, answer(404, {"id": "1"})]})
    for _ in range(2):
        with pytest.raises(errors.FairleadError):
            await world.fl.http("shop").get("/orders/1", model=ORDER)
    assert told(world) == []


async def test_after_a_call_nobody_watches() -> None:
    world = shop({"id": 1, "title": "a"}, {"id": [], "title": "a"})
    await world.fl.http("shop").get("/orders/1", model=ORDER)
    with pytest.raises(errors.UnexpectedAnswerError):
        await world.fl.http("shop").get("/orders/1", model=ORDER)
    assert current_watch() is None


# --- Providers' own shapes ----------------------------------------------------------------------------------------


def kitchen(*lines: Any, second: Any = None) -> World:
    text = recipes("one") + recipes("two") + route("one", "two")
    return build_world(text, {"one": list(lines), "two": second or found("Stew")})


async def test_a_vendor_that_writes_a_number_as_text_is_read_and_told_of() -> None:
    results = [{"id": "1", "title": "Soup", "readyInMinutes": "45", "new": 1}]
    world = kitchen(answer(content={"results": results, "totalResults": 1}))
    page = await world.fl.recipes.search("soup")
    assert (page.served_by, page.items[0].title, page.items[0].total_time_s) == ("one", "Soup", 2700)
    events = world.told(DriftFound)
    assert [(each.kind.value, each.path, each.found) for each in events] == [
        ("missing", "$.offset", "nothing"),
        ("retyped", "$.results[].id", "str"),
        ("retyped", "$.results[].readyInMinutes", "str"),
    ]
    provider = world.connection("one").provider
    assert {(each.connection, each.operation, each.version) for each in events} == {
        ("one", "recipes.search", provider.api_version)
    }


async def test_a_vendor_that_renames_a_field_is_read_and_told_of() -> None:
    world = kitchen(answer(content={"results": [{"ID": 7, "title": "Soup"}], "offset": 0}))
    page = await world.fl.recipes.search("soup")
    assert (page.served_by, page.items[0].ref.id) == ("one", "7")
    assert told(world) == [("renamed", "$.results[].id", True)]


async def test_a_vendor_that_cannot_be_read_any_more_is_left_for_the_next_and_told_of() -> None:
    world = kitchen(answer(content={"recipes": [], "offset": 0}))
    page = await world.fl.recipes.search("soup")
    assert page.served_by == "two"
    assert told(world) == [("missing", "$.results", False)]
    world.assert_at_rest()
