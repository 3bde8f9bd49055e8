"""Stale-while-revalidate: an earlier answer is served at once, and a fresh one fetched behind it, once."""

import asyncio

import pytest

from fairlead import errors
from fairlead.model.call import CacheUse
from fairlead.observe.events import CallFinished
from scripted import RESET, SOUP, Gate, Line, World, answer, build_world, found, recipes, report, route, turns

ONE = recipes("one", "retry = { max_attempts = 1 }")
REFRESHING = route("one", settings="cache = { ttl_s = 60, stale_while_revalidate_s = 300, stale_if_error_s = 3600 }")


async def aged(*lines: Line, age_s: float = 100.0) -> World:
    """Build a world with an answer of that age; the vendor answers on by these lines."""
    world = build_world(ONE + REFRESHING, {"one": [SOUP, *lines]})
    await world.fl.recipes.search("soup", correlation_id="first")
    world.clock.advance(age_s)
    return world


def uses(world: World) -> list[str]:
    return [each.cache for each in world.told(CallFinished)]


async def test_it_is_served_at_once_and_refreshed_behind():
    world = await aged(found("Stew"))
    page = await world.fl.recipes.search("soup", correlation_id="second")
    assert (page.items[0].title, report(page).cache, report(page).age_s) == ("Soup", CacheUse.REFRESHING, 100)
    assert page.is_stale
    assert report(page).attempts == ()
    await turns()
    page = await world.fl.recipes.search("soup")
    assert (page.items[0].title, report(page).cache, report(page).age_s) == ("Stew", CacheUse.HIT, 0)
    assert uses(world) == ["miss", "refreshing", "background", "hit"]
    background = world.told(CallFinished)[2]
    assert (background.correlation_id, background.attempts, background.served_by) == ("second", 1, "one")
    assert background.call_id not in {report(page).call_id, "second"}


async def test_only_one_refresh_is_under_way():
    gate = Gate()
    world = await aged(gate)
    pages = await asyncio.gather(*(world.fl.recipes.search("soup") for _ in range(50)))
    await turns()
    pages += [await world.fl.recipes.search("soup")]
    assert {report(page).cache for page in pages} == {CacheUse.REFRESHING}
    assert len(world.sent("one")) == 2
    gate.open()
    await turns()
    assert uses(world).count("background") == 1
    assert not world.fl._calls.caching._refreshing
    world.assert_at_rest()


async def test_whoever_needs_a_fresh_one_meanwhile_joins_the_refresh():
    gate = Gate()
    world = await aged(gate, age_s=299)
    await world.fl.recipes.search("soup")
    await turns()
    world.clock.advance(2)
    waiting = asyncio.create_task(world.fl.recipes.search("soup"))
    await turns()
    gate.open(found("Stew"))
    page = await waiting
    assert (page.items[0].title, report(page).cache) == ("Stew", CacheUse.SHARED)
    assert len(world.sent("one")) == 2


async def test_past_that_age_everybody_waits_for_a_fresh_one():
    world = await aged(found("Stew"), age_s=300)
    assert (await world.fl.recipes.search("soup")).items[0].title == "Stew"


async def test_a_refresh_that_fails_takes_nothing_away_and_gives_the_vendor_a_rest():
    world = await aged(RESET, found("Stew"))
    for _ in range(5):
        assert (await world.fl.recipes.search("soup")).items[0].title == "Soup"
        await turns()
    assert len(world.sent("one")) == 2
    failed = [each for each in world.told(CallFinished) if each.cache is CacheUse.BACKGROUND]
    assert [(each.error, each.served_by) for each in failed] == [("connection_lost", None)]
    world.clock.advance(1)
    await world.fl.recipes.search("soup")
    await turns()
    assert (await world.fl.recipes.search("soup")).items[0].title == "Stew"


async def test_the_vendor_says_how_long_it_wants_to_rest():
    world = await aged(answer(429, retry_after="20"), found("Stew"))
    for seconds in (0, 1, 10, 8.9):
        world.clock.advance(seconds)
        await world.fl.recipes.search("soup")
        await turns()
    assert len(world.sent("one")) == 2
    world.clock.advance(0.2)
    await world.fl.recipes.search("soup")
    await turns()
    assert len(world.sent("one")) == 3


async def test_closing_ends_what_is_under_way_and_begins_nothing_more():
    gate = Gate()
    world = await aged(gate)
    before = asyncio.all_tasks()
    await world.fl.recipes.search("soup")
    await gate.reached()
    await world.fl.close()
    assert asyncio.all_tasks() == before
    assert world.transports["one"].under_way == 0
    world.assert_at_rest()
    await world.fl.recipes.search("soup")
    await turns()
    assert asyncio.all_tasks() == before
    assert len(world.sent("one")) == 2


async def test_a_child_of_a_fork_refreshes_for_itself():
    gate = Gate()
    world = await aged(gate, found("Stew"))
    await world.fl.recipes.search("soup")
    await gate.reached()
    parents = tuple(world.fl._calls.caching._refreshing.values())
    world.fl.disown()
    assert (await world.fl.recipes.search("soup")).items[0].title == "Soup"  # what was kept goes along
    await turns()
    assert (await world.fl.recipes.search("soup")).items[0].title == "Stew"
    assert not any(each.done() for each in parents)
    gate.open()
    await asyncio.gather(*parents)


async def test_the_caller_may_leave_and_the_refresh_goes_on():
    gate = Gate()
    world = await aged(gate)
    caller = asyncio.create_task(world.fl.recipes.search("soup"))
    await gate.reached()
    caller.cancel()
    gate.open(found("Stew"))
    await turns()
    assert (await world.fl.recipes.search("soup")).items[0].title == "Stew"


async def test_the_vendors_terms_end_it_too():
    world = build_world(
        ONE + route("one", settings="cache = { ttl_s = 60, stale_while_revalidate_s = 9000, stale_if_error_s = 0 }"),
        {"one": [SOUP, found("Stew")]},
    )
    await world.fl.recipes.search("soup")
    world.clock.advance(3600)  # the terms allow an hour
    assert (await world.fl.recipes.search("soup")).items[0].title == "Stew"


@pytest.mark.parametrize("settings", ["ttl_s = 60\nstale_while_revalidate_s = 60", "stale_while_revalidate_s = 1"])
def test_an_age_that_would_never_apply_is_refused(settings):
    with pytest.raises(errors.InvalidSettingError, match=r"routes.recipes.cache.stale_while_revalidate_s is not more"):
        build_world(ONE + route("one") + f"[routes.recipes.cache]\n{settings}", {"one": []})
