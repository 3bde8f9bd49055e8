"""A drill: a call that treats a connection as failed, and nothing else in the world notices."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.model.attempt import Attempt
from fairlead.model.call import CacheUse
from fairlead.model.outcome import Outcome
from fairlead.observe.events import AttemptFinished, BreakerChanged, CallFinished, HealthChanged
from fairlead.runtime.health import connection_health
from scripted import SOUP, build_world, kitchen, plain, recipes, report, route

TWO = recipes("one") + recipes("two") + route("one", "two")
REFUSED = Attempt(connection="one", outcome=Outcome.NOT_DONE, was_tried=False, error="drill")


async def test_the_next_connection_serves_and_nothing_is_sent_to_the_first():
    world = build_world(TWO, {"one": [], "two": SOUP})
    page = await world.fl.recipes.search("soup", drill=("one",))
    assert page.served_by == "two"
    assert world.sent("one") == []
    assert report(page).attempts[0] == REFUSED
    assert report(page).drilled == ("one",)
    assert world.told(AttemptFinished)[0].attempt == REFUSED
    assert world.told(CallFinished)[0].drilled == ("one",)


async def test_a_drill_leaves_no_trace_in_breaker_and_health():
    world = build_world(TWO, {"one": SOUP, "two": SOUP})
    for _ in range(100):
        await world.fl.recipes.search("soup", drill=["one"])
    assert not world.told(BreakerChanged)
    assert not world.told(HealthChanged)
    assert [each.condition for each in connection_health(world.fl)] == ["up", "up"]
    assert (await world.fl.recipes.search("soup")).served_by == "one"
    world.assert_at_rest()


async def test_a_kept_answer_is_no_rehearsal():
    world = build_world(TWO, {"one": SOUP, "two": SOUP})
    await world.fl.recipes.search("soup")
    page = await world.fl.recipes.search("soup", drill=["one"])
    assert (page.served_by, report(page).cache) == ("two", CacheUse.OFF)
    page = await world.fl.recipes.search("soup")
    assert (page.served_by, report(page).cache) == ("one", CacheUse.HIT)


async def test_when_all_are_named_the_caller_sees_what_it_would_see():
    world = build_world(TWO, {"one": [], "two": []})
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.recipes.search("soup", drill=["one", "two"])
    assert [each.error for each in caught.value.attempts] == ["drill", "drill"]
    assert not world.clock.slept  # nobody waits for the end of a drill


async def test_a_plain_call_is_refused_as_such():
    world = build_world(plain(), {"shop": []})
    with pytest.raises(errors.DrillError) as caught:
        await world.fl.http("shop").post("/orders", drill=["shop"])
    assert caught.value.outcome in {None, Outcome.NOT_DONE}
    assert caught.value.code == "drill"
    assert isinstance(caught.value, errors.RejectedError)


async def test_what_is_drilled_is_not_joined_with_others():
    world = build_world(recipes("one", "batch = {}"), {"one": kitchen()})
    with pytest.raises(errors.DrillError):
        await world.fl.recipes.fetch("one:1", drill=["one"])
    found = await world.fl.recipes.fetch_many(["one:1", "one:2"], drill=["one"])
    assert [type(each) for each in found.values()] == [errors.DrillError] * 2


async def test_a_misspelt_name_is_refused():
    world = build_world(TWO, {"one": [], "two": []})
    with pytest.raises(errors.UnknownConnectionError, match=r"The drill names 'onne'.*There are: one, two"):
        await world.fl.recipes.search("soup", drill=["onne"])
    with pytest.raises(errors.InvalidArgumentError, match="drill is one text"):
        await world.fl.recipes.search("soup", drill="one")


async def test_drills_can_be_switched_off():
    world = build_world("drills = false\n" + TWO, {"one": SOUP, "two": []})
    with pytest.raises(errors.InvalidArgumentError, match="Drills are switched off"):
        await world.fl.recipes.search("soup", drill=["one"])
    assert (await world.fl.recipes.search("soup", drill=())).served_by == "one"
