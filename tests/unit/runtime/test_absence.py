"""That a vendor has not got a thing is an answer as well: it can be kept, and it ends what was kept before."""

from typing import Any

import pytest

from fairlead import errors
from fairlead.model.call import CacheUse
from fairlead.observe.events import CallFinished
from scripted import RESET, World, answer, build_world, recipes, report, route

ONE = recipes("one", "retry = { max_attempts = 1 }")
KEPT = route("one", settings="cache = { ttl_s = 60, stale_if_error_s = 3600, negative_ttl_s = 30 }")
RECIPE = answer(content={"id": 1, "title": "Soup"})
NONE = answer(404, {"message": "There is none."})


async def refused(
    world: World, kind: type[errors.FairleadError] = errors.NotFoundError, **options: Any
) -> errors.FairleadError:
    with pytest.raises(kind) as caught:
        await world.fl.recipes.fetch("one:1", **options)
    return caught.value


async def test_a_thing_that_is_not_there_is_not_asked_for_again():
    world = build_world(ONE + KEPT, {"one": [NONE, RECIPE]})
    first = await refused(world)
    world.clock.advance(29.9)
    again = await refused(world)
    assert str(again) == str(first)
    assert (again.provider, again.connection, again.operation) == (first.provider, "one", "recipes.fetch")
    assert (again.status, again.outcome, again.attempts, again.call_id) == (404, first.outcome, (), "call-2")
    assert [(each.cache, each.error) for each in world.told(CallFinished)] == [
        ("off", "not_found"),
        ("negative", "not_found"),
    ]
    world.clock.advance(0.1)
    assert (await world.fl.recipes.fetch("one:1")).title == "Soup"


async def test_unless_it_is_set_the_vendor_is_asked_every_time():
    world = build_world(ONE, {"one": [NONE, RECIPE]})
    await refused(world)
    assert report(await world.fl.recipes.fetch("one:1")).cache is CacheUse.MISS


async def test_a_thing_that_was_deleted_is_not_served_in_need():
    world = build_world(ONE, {"one": [RECIPE, NONE, RESET]})
    await world.fl.recipes.fetch("one:1")
    world.clock.advance(100)
    await refused(world)
    await refused(world, errors.ConnectionLostError)


async def test_other_refusals_are_not_kept():
    world = build_world(ONE + KEPT, {"one": [answer(422), answer(403), RESET, RECIPE]})
    for kind in (errors.InvalidRequestError, errors.ForbiddenError, errors.ConnectionLostError):
        await refused(world, kind)
    assert (await world.fl.recipes.fetch("one:1")).title == "Soup"


async def test_what_the_vendor_has_not_got_is_no_answer_when_it_fails():
    world = build_world(ONE + KEPT, {"one": [NONE, RESET]})
    await refused(world)
    world.clock.advance(31)
    await refused(world, errors.ConnectionLostError)


async def test_nothing_is_kept_where_the_vendors_terms_forbid_it():
    world = build_world(recipes("one", may_keep=False) + KEPT, {"one": [NONE, RECIPE]})
    await refused(world)
    assert (await world.fl.recipes.fetch("one:1")).title == "Soup"


async def test_tenants_do_not_share_it():
    world = build_world(ONE + KEPT, {"one": [NONE, RECIPE]})
    await refused(world, tenant="a")
    assert (await world.fl.recipes.fetch("one:1", tenant="b")).title == "Soup"


async def test_each_has_an_error_of_its_own():
    world = build_world(ONE + KEPT, {"one": [NONE]})
    assert len({id(await refused(world)) for _ in range(3)}) in {2, 3}
    one, other = await refused(world), await refused(world)
    assert one is not other
