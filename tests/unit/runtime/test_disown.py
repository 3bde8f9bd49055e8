"""The child of a fork: it knows what was learnt, and nothing of what is under way in the parent."""

import asyncio

import pytest

from fairlead import errors
from fairlead.resilience.breaker import State
from scripted import RESET, SOUP, Gate, Line, answer, build_world, gather_errors, recipes, turns

ONE = recipes(
    "one",
    """
    retry = { max_attempts = 1 }
    breaker = { window = 2, min_attempts = 2, open_s = 5.0 }
    """,
)
THROTTLED = answer(429, retry_after="5")


async def test_what_is_under_way_is_the_parents():
    world = build_world(ONE, {"one": [Gate(), SOUP]})
    calls = [asyncio.create_task(world.fl.recipes.search("soup")) for _ in range(3)]
    await turns()
    world.fl.disown()
    assert world.transports["one"].is_disowned
    world.assert_at_rest()
    assert (await world.fl.recipes.search("soup")).items  # it waits for none of them
    for call in calls:
        call.cancel()
    await gather_errors(calls)


@pytest.mark.parametrize("before", [(RESET, RESET), (THROTTLED,)], ids=["an open circuit", "a pause"])
async def test_a_probe_that_is_out_is_not_waited_for(before: tuple[Line, ...]):
    world = build_world(ONE, {"one": [*before, Gate(), SOUP]})
    for number, _ in enumerate(before):
        with pytest.raises(errors.FairleadError):
            await world.fl.recipes.search(f"soup {number}", deadline_s=1.0)
    world.clock.advance(6.0)
    probe = asyncio.create_task(world.fl.recipes.search("pie"))
    await turns()
    with pytest.raises(errors.RejectedError):
        await world.fl.recipes.search("bread", deadline_s=0.001)
    world.fl.disown()
    assert (await world.fl.recipes.search("bread")).items
    probe.cancel()
    await gather_errors([probe])


async def test_what_was_learnt_stays():
    world = build_world(ONE, {"one": [RESET, RESET]})
    for word in ("soup", "pie"):
        with pytest.raises(errors.TransportError):
            await world.fl.recipes.search(word)
    world.fl.disown()
    assert world.connection("one").breaker.state is State.OPEN
