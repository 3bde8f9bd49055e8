"""A call whose time runs out tells so, and does not speak ill of the vendor."""

import pytest

from fairlead import errors
from fairlead.resilience.breaker import State
from scripted import SOUP, Slow, answer, build_world, plain, recipes, route

TWO = recipes("one") + recipes("two") + route("one", "two")


async def test_the_haste_of_one_caller_opens_no_circuit_for_the_others() -> None:
    world = build_world(TWO, {"one": Slow(0.05, SOUP), "two": Slow(0.05, SOUP)})
    for number in range(20):
        with pytest.raises(errors.DeadlineExceededError):
            await world.fl.recipes.search(f"soup {number}", deadline_s=0.02)
    assert world.connection("one").breaker.state is State.CLOSED
    page = await world.fl.recipes.search("lentil soup")
    assert page.served_by == "one"
    world.assert_at_rest()


async def test_what_is_too_slow_for_the_route_itself_opens_the_circuit() -> None:
    world = build_world(TWO, {"one": Slow(1000, SOUP), "two": SOUP})
    for number in range(5):
        page = await world.fl.recipes.search(f"soup {number}")
        assert page.served_by == "two"
    assert world.connection("one").breaker.state is State.OPEN


async def test_a_call_of_one_connection_that_runs_out_of_time_says_so() -> None:
    world = build_world(plain(), {"shop": Slow(3, answer())})
    with pytest.raises(errors.DeadlineExceededError, match="Before that, shop: The vendor was too slow") as caught:
        await world.fl.http("shop").get("/", deadline_s=1)
    assert [attempt.error for attempt in caught.value.attempts] == ["attempt_timeout"]


async def test_an_act_that_runs_out_of_time_is_in_doubt_and_not_merely_late() -> None:
    world = build_world(plain(), {"shop": Slow(3, answer())})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").post("/orders", deadline_s=1)


def test_the_query_must_be_text() -> None:
    world = build_world(plain(), {"shop": []})
    with pytest.raises(errors.InvalidArgumentError, match="no text"):
        world.fl.http("shop").get("/", query={"q": "\ud800"}).send(None)
