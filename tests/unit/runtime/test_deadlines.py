"""A call whose time runs out tells so, and does not speak ill of the vendor."""

import asyncio

import pytest

from fairlead import errors
from fairlead.resilience.breaker import State
from fairlead.testing.clock import FakeClock
from scripted import SOUP, Slow, answer, build_world, kitchen, plain, recipes, route

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


@pytest.mark.parametrize("now", [11.528])
async def test_no_rounding_makes_a_usual_call_a_hurried_one(now: float) -> None:
    text = recipes("one") + recipes("two") + route("one", "two", settings="deadline_s = 10")
    world = build_world(text, {"one": Slow(1000, SOUP), "two": SOUP}, clock=FakeClock(monotonic=now))
    await world.fl.recipes.search("soup")
    assert world.connection("one").health.cause == "attempt_timeout"


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


# --- A deadline around calls ----------------------------------------------------------------------------------------


async def test_what_a_handler_has_left_bounds_its_calls() -> None:
    world = build_world(plain(), {"shop": Slow(1.5, answer())})
    with world.fl.deadline(2.0):
        await world.fl.http("shop").get("/a")
        with pytest.raises(errors.DeadlineExceededError):
            await world.fl.http("shop").get("/b")
        asked = len(world.sent("shop"))
        with pytest.raises(errors.DeadlineExceededError):
            await world.fl.http("shop").get("/c")
        assert len(world.sent("shop")) == asked  # the time is over: nothing is sent
    await world.fl.http("shop").get("/d")
    assert world.transports["shop"].sent[1].timeout_s == pytest.approx(0.5)


async def test_a_call_of_its_own_may_have_less_and_never_more() -> None:
    world = build_world(plain(), {"shop": answer()})
    with world.fl.deadline(2.0):
        await world.fl.http("shop").get("/a", deadline_s=1.0)
        await world.fl.http("shop").get("/b", deadline_s=60.0)
        with world.fl.deadline(10.0), world.fl.deadline(0.5) as inner:
            assert inner.remaining(world.clock.monotonic()) == 0.5
            await world.fl.http("shop").get("/c")
        with world.fl.deadline(10.0):
            await world.fl.http("shop").get("/d")
    assert [each.timeout_s for each in world.transports["shop"].sent] == pytest.approx([1.0, 2.0, 0.5, 2.0])


async def test_tasks_that_are_started_inside_are_bound_too() -> None:
    world = build_world(plain(), {"shop": answer()})
    with world.fl.deadline(2.0):
        task = asyncio.create_task(world.fl.http("shop").get("/a"))
    await task
    assert world.transports["shop"].sent[0].timeout_s == pytest.approx(2.0)


async def test_what_a_bound_cuts_short_does_not_speak_ill_of_the_vendor() -> None:
    world = build_world(plain(settings="breaker = { min_attempts = 1 }"), {"shop": Slow(3, answer())})
    with world.fl.deadline(1.0), pytest.raises(errors.DeadlineExceededError):
        await world.fl.http("shop").get("/a")
    assert world.connection("shop").breaker.state is State.CLOSED


async def test_whoever_joins_a_batch_is_not_bound_by_the_one_who_began_it() -> None:
    world = build_world(recipes("one", "batch = {}"), {"one": kitchen()})

    async def hurried() -> None:
        with world.fl.deadline(1.0):
            await world.fl.recipes.fetch("one:1")

    await asyncio.gather(hurried(), world.fl.recipes.fetch("one:2", deadline_s=9.0))
    assert [each.timeout_s for each in world.transports["one"].sent] == pytest.approx([9.0], abs=0.01)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_deadline_must_lie_ahead(seconds: float) -> None:
    world = build_world(plain(), {"shop": []})
    with pytest.raises(errors.InvalidArgumentError, match="The deadline is"), world.fl.deadline(seconds):
        pass


async def test_a_gateway_like_ours_is_told_what_is_left_and_nobody_else() -> None:
    text = plain("near", "passes_deadline = true") + plain("far")
    world = build_world(text, {"near": answer(), "far": answer()})
    for name in ("near", "far"):
        await world.fl.http(name).get("/a", deadline_s=2.5)
    await world.fl.http("near").get("/a", deadline_s=2.5, headers={"Fairlead-Deadline-MS": "9"})
    assert [key for key, _ in world.sent("near")[1].headers].count("fairlead-deadline-ms") == 1
    assert dict(world.sent("near")[0].headers)["fairlead-deadline-ms"] == "2500"
    assert "fairlead-deadline-ms" not in dict(world.sent("far")[0].headers)
