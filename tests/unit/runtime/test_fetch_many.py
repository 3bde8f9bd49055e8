"""Several things at once: each from where its ref points, a few requests for all, failures as data."""

import asyncio

import pytest

from fairlead import errors
from fairlead.capabilities.recipes import Recipe
from fairlead.model.call import CacheUse, Ref
from scripted import RESET, Gate, Slow, answer, build_world, bulk_ids, kitchen, recipes, report, turns

ONCE = "retry = { max_attempts = 1 }"


async def test_several_are_fetched_where_their_refs_point_and_failures_are_data():
    text = recipes("one", ONCE) + recipes("two", ONCE) + recipes("three", ONCE)
    world = build_world(text, {"one": kitchen("2"), "two": kitchen(), "three": RESET})
    found = await world.fl.recipes.fetch_many(
        ["one:1", Ref("two", "7"), "one:2", "three:1", "three:2", "four:1", "one:3", "one:1"]
    )
    assert list(map(str, found)) == ["one:1", "two:7", "one:2", "three:1", "three:2", "four:1", "one:3"]
    kinds = [type(each) for each in found.values()]
    lost = errors.ConnectionLostError
    unknown = errors.UnknownConnectionError
    assert kinds == [Recipe, Recipe, errors.NotFoundError, lost, lost, unknown, Recipe]
    assert (bulk_ids(world), bulk_ids(world, "three")) == (["1,2,3"], ["1,2"])
    assert [each.path for each in world.sent("two")] == ["/recipes/7/information"]
    assert all(each.__traceback__ is None for each in found.values() if isinstance(each, Exception))
    one = found[Ref("one", "1")]
    assert isinstance(one, Recipe)
    assert report(one).cache is CacheUse.SHARED


async def test_several_are_asked_for_in_batches_and_what_is_kept_is_not_asked_for():
    world = build_world(recipes("one"), {"one": kitchen()})
    await world.fl.recipes.fetch("one:3")
    found = await world.fl.recipes.fetch_many(f"one:{at}" for at in range(1, 121))
    assert [each.title for each in found.values() if isinstance(each, Recipe)] == [f"Soup {at}" for at in range(1, 121)]
    assert sorted(ids.count(",") + 1 for ids in bulk_ids(world)) == [20, 49, 50]
    assert sum(world.clock.slept) == 0
    assert report(await world.fl.recipes.fetch("one:77")).cache is CacheUse.HIT


async def test_a_vendor_that_has_no_operation_for_several_is_asked_one_by_one_within_its_limit():
    async def meal(request):
        await turns()
        identifier = dict(request.query)["i"]
        return answer(content={"meals": [{"idMeal": identifier, "strMeal": f"Soup {identifier}"}]})

    text = """
[connections.one]
provider = "themealdb"
base_url = "https://one.test"
credentials = { api_key = "env:KEY" }
concurrency = { limit = 3, queue = 1 }
rate = { requests = 1000 }
"""
    world = build_world(text, {"one": meal})
    found = await world.fl.recipes.fetch_many([f"one:{at}" for at in range(1, 21)])
    assert {type(each) for each in found.values()} == {Recipe}
    assert len(world.sent("one")) == 20
    assert world.transports["one"].most_under_way <= 3


async def test_none_are_none():
    world = build_world(recipes("one"), {"one": []})
    assert await world.fl.recipes.fetch_many([]) == {}


async def test_what_is_no_ref_or_no_deadline_is_refused():
    world = build_world(recipes("one"), {"one": []})
    with pytest.raises(errors.InvalidArgumentError):
        await world.fl.recipes.fetch_many(["one:1", "soup"])
    with pytest.raises(errors.InvalidArgumentError, match="deadline_s"):
        await world.fl.recipes.fetch_many(["one:1"], deadline_s=0)


async def test_one_deadline_bounds_them_all():
    gate = Gate()
    text = recipes(
        "one", "batch = { max_size = 2 }\nconcurrency = { limit = 1 }\nrate = { requests = 100 }", is_limited=True
    )
    world = build_world(text, {"one": [gate]})
    asking = asyncio.create_task(world.fl.recipes.fetch_many([f"one:{at}" for at in range(1, 7)], deadline_s=5))
    await gate.reached()
    world.clock.advance(3)
    world.transports["one"].otherwise = Slow(60, RESET)
    gate.open(answer(content=[{"id": 1, "title": "Soup"}, {"id": 2, "title": "Stew"}]))
    found = await asking
    kinds = [type(each) for each in found.values()]
    assert kinds == [Recipe] * 2 + [errors.DeadlineExceededError] * 4
    assert [each.timeout_s for each in world.transports["one"].sent] == [5, 2]
