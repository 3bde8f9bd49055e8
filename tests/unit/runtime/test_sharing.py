"""Calls that ask the same at the same time share one request, and nothing else."""

import asyncio
from typing import Any

import pytest

from fairlead import errors
from fairlead.capabilities.recipes import Recipe
from fairlead.model.call import CacheUse
from fairlead.model.page import Page
from fairlead.observe.events import CallFinished
from scripted import (
    RESET,
    SOUP,
    TIMEOUT,
    Gate,
    World,
    answer,
    build_world,
    found,
    gather_errors,
    plain,
    recipes,
    report,
    route,
    turns,
)

ONE = recipes("one", "retry = { max_attempts = 1 }")
NO_CACHE = route("one", settings="cache = { ttl_s = 0, stale_if_error_s = 0 }")


async def start(world: World, number: int, **options: Any) -> list[asyncio.Task[Page[Recipe]]]:
    """Begin so many equal searches, and wait until the first has reached the vendor."""
    calls = [asyncio.create_task(world.fl.recipes.search("soup", **options)) for _ in range(number)]
    await turns()
    return calls


async def test_a_hundred_equal_searches_are_one_request():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    calls = await start(world, 100)
    gate.open()
    pages = await asyncio.gather(*calls)
    assert len(world.sent("one")) == 1
    uses = [report(page).cache for page in pages]
    assert uses.count(CacheUse.MISS) == 1
    assert uses.count(CacheUse.SHARED) == 99
    assert len({report(page).call_id for page in pages}) == 100
    assert {page.served_by for page in pages} == {"one"}
    assert {len(report(page).attempts) for page in pages if report(page).cache is CacheUse.SHARED} == {0}
    assert len(world.told(CallFinished)) == 100
    world.assert_at_rest()


async def test_sharing_needs_no_cache():
    gate = Gate()
    world = build_world(ONE + NO_CACHE, {"one": [gate, SOUP]})
    calls = await start(world, 10)
    gate.open()
    await asyncio.gather(*calls)
    assert len(world.sent("one")) == 1
    await world.fl.recipes.search("soup")
    assert len(world.sent("one")) == 2


async def test_other_questions_and_other_tenants_are_not_shared():
    gate = Gate()
    world = build_world(ONE, {"one": gate})
    calls = [
        asyncio.create_task(call)
        for call in (
            world.fl.recipes.search("soup"),
            world.fl.recipes.search("soup", tenant="a"),
            world.fl.recipes.search("soup", tenant="b"),
            world.fl.recipes.search("stew"),
            world.fl.recipes.search("soup", diets=["vegan"]),
            world.fl.recipes.search("soup", max_total_time_s=600),
            world.fl.recipes.fetch("one:1"),
            world.fl.recipes.nutrition("one:1"),
        )
    ]
    await turns()
    assert len(world.sent("one")) == 8
    gate.open()
    await gather_errors(calls)


async def test_plain_calls_are_never_shared():
    gate = Gate()
    world = build_world(plain(), {"shop": gate})
    calls = [asyncio.create_task(world.fl.http("shop").get("/x")) for _ in range(5)]
    await turns()
    assert len(world.sent("shop")) == 5
    gate.open()
    await asyncio.gather(*calls)


async def test_a_leader_that_is_cancelled_takes_nobody_along():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    leader, *followers = await start(world, 10)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    gate.open()
    pages = await asyncio.gather(*followers)
    assert {page.served_by for page in pages} == {"one"}
    assert len(world.sent("one")) == 1
    world.assert_at_rest()


async def test_a_follower_that_is_cancelled_disturbs_nobody():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    leader, follower, last = await start(world, 3)
    follower.cancel()
    await turns()
    assert follower.cancelled()
    gate.open()
    assert (await leader).served_by == (await last).served_by == "one"


async def test_when_everybody_is_cancelled_so_is_the_request():
    gate = Gate()
    world = build_world(ONE, {"one": [gate, SOUP]})
    calls = await start(world, 10)
    for call in calls:
        call.cancel()
    await turns()
    assert world.transports["one"].under_way == 0
    world.assert_at_rest()
    assert report(await world.fl.recipes.search("soup")).cache is CacheUse.MISS


async def test_each_caller_has_an_error_of_its_own():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    calls = await start(world, 20)
    gate.open(answer(500, {"message": "Out of order."}))
    caught = await gather_errors(calls)
    assert {type(each) for each in caught} == {errors.UnavailableError}
    assert len({id(each) for each in caught}) == 20
    assert {str(each) for each in caught} == {
        'one: recipes.search: The vendor cannot serve now (HTTP 500): "Out of order.".'
    }
    assert {each.status for each in caught} == {500}
    assert {len(each.attempts) for each in caught} == {1}


async def test_a_shared_error_names_the_call_that_it_reaches():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    calls = await start(world, 3)
    gate.open(RESET)
    caught = await gather_errors(calls)
    assert [each.call_id for each in caught] == ["call-1", "call-2", "call-3"]
    assert sorted(each.call_id for each in world.told(CallFinished)) == ["call-1", "call-2", "call-3"]


async def test_a_copied_error_keeps_what_its_class_adds():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    calls = await start(world, 2)
    gate.open(answer(content={"results": [{"id": "one", "title": "Soup"}]}))
    caught = await gather_errors(calls)
    assert [each.path for each in caught] == ["$.results[0].id"] * 2


async def test_a_follower_waits_no_longer_than_its_own_deadline():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    (leader,) = await start(world, 1)
    with pytest.raises(errors.DeadlineExceededError) as caught:
        await world.fl.recipes.search("soup", deadline_s=0.001)
    assert "The deadline passed while another call asked for the same." in str(caught.value)
    assert caught.value.operation == "recipes.search"
    assert caught.value.call_id == "call-2"
    gate.open()
    assert (await leader).served_by == "one"
    assert len(world.sent("one")) == 1


async def test_a_follower_without_time_is_served_stale_where_it_can_be():
    gate = Gate()
    world = build_world(ONE, {"one": [SOUP, gate]})
    await world.fl.recipes.search("soup")
    world.clock.advance(100)
    (leader,) = await start(world, 1)
    page = await world.fl.recipes.search("soup", deadline_s=0.001)
    assert page.is_stale
    gate.open()
    assert not (await leader).is_stale


@pytest.mark.parametrize("text", [ONE, ONE + recipes("two", "retry = { max_attempts = 1 }")])
async def test_the_deadline_of_the_leader_is_not_that_of_the_followers(text):
    gate = Gate()
    names = [name for name in ("one", "two") if f"connections.{name}]" in text]
    world = build_world(text, {name: [gate] for name in names})
    leader = asyncio.create_task(world.fl.recipes.search("soup", deadline_s=2))
    await gate.reached()
    followers = await start(world, 20, deadline_s=60)
    for name in names:
        world.transports[name].otherwise = SOUP
    world.clock.advance(3)
    gate.open(TIMEOUT)  # the leader's time is over, and theirs is not
    with pytest.raises(errors.FairleadError):
        await leader
    pages = await asyncio.gather(*followers)
    assert {page.served_by for page in pages} <= set(names)
    assert len(world.sent("one")) <= 2  # one of them asked for all
    world.assert_at_rest()


async def test_a_wait_that_is_too_long_for_the_leader_may_suit_the_followers():
    gate = Gate()
    world = build_world(recipes("one"), {"one": [gate, SOUP]})
    leader = asyncio.create_task(world.fl.recipes.search("soup", deadline_s=2))
    await gate.reached()
    followers = await start(world, 20, deadline_s=60)
    gate.open(answer(429, retry_after="5"))
    with pytest.raises(errors.ThrottledError):
        await leader
    pages = await asyncio.gather(*followers)
    assert {page.served_by for page in pages} == {"one"}
    assert len(world.sent("one")) == 2
    world.assert_at_rest()


async def test_a_failure_that_has_nothing_to_do_with_time_is_shared_by_all():
    gate = Gate()
    world = build_world(ONE, {"one": [gate]})
    leader = asyncio.create_task(world.fl.recipes.search("soup", deadline_s=2))
    await gate.reached()
    followers = await start(world, 20, deadline_s=60)
    gate.open(RESET)
    caught = await gather_errors([leader, *followers])
    assert {type(each) for each in caught} == {errors.ConnectionLostError}
    assert len(world.sent("one")) == 1


async def test_pages_after_the_first_are_shared_too():
    gate = Gate()
    titles = [f"Soup {at}" for at in range(20)]
    world = build_world(ONE, {"one": [found(*titles, total=45), gate]})
    page = await world.fl.recipes.search("soup")
    assert page.next is not None
    calls = [asyncio.create_task(world.fl.recipes.next_page(page.next)) for _ in range(5)]
    await turns()
    gate.open(found("Last", offset=20, total=21))
    assert {(await call).items[0].title for call in calls} == {"Last"}
    assert len(world.sent("one")) == 2
