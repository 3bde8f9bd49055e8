"""The bounds of a connection: so many at once, so many a second, and a queue that ends."""

import asyncio

import pytest

from fairlead import errors
from fairlead.model.message import Response
from fairlead.observe.events import CallFinished
from fairlead.testing.clock import FakeClock
from scripted import SOUP, TIMEOUT, Gate, Slow, answer, build_world, gather_errors, plain, recipes, report, route, turns

NARROW = "concurrency = { limit = 2, queue = 3 }"
SLOW_PACE = "rate = { requests = 2, per_s = 10.0 }"


async def test_no_more_than_the_limit_are_under_way():
    gate = Gate()
    world = build_world(plain(settings=NARROW), {"shop": gate})
    calls = [asyncio.create_task(world.fl.http("shop").get(f"/{at}")) for at in range(5)]
    await gate.reached()
    await turns()
    assert world.transports["shop"].under_way == 2
    gate.open()
    await asyncio.gather(*calls)
    assert world.transports["shop"].most_under_way == 2
    assert [each.path for each in world.sent("shop")] == [f"/{at}" for at in range(5)]  # first come, first served
    world.assert_at_rest()


async def test_beyond_the_queue_calls_are_refused_at_once():
    gate = Gate()
    world = build_world(plain(settings=NARROW), {"shop": gate})
    calls = [asyncio.create_task(world.fl.http("shop").get(f"/{at}")) for at in range(8)]
    await gate.reached()
    await turns()
    refused = [call for call in calls if call.done()]
    assert len(refused) == 3
    for call in refused:
        error = call.exception()
        assert isinstance(error, errors.BulkheadFullError)
        assert [(each.was_tried, each.error) for each in error.attempts] == [(False, "bulkhead_full")]
        assert error.connection == "shop"
    gate.open()
    assert len([each for each in await gather_errors(calls) if not isinstance(each, errors.FairleadError)]) == 5
    world.assert_at_rest()


async def test_beyond_the_queue_calls_are_served_by_another_connection():
    gate = Gate()
    world = build_world(
        recipes("one", NARROW + "\nrate = { requests = 1000 }", is_limited=True) + recipes("two") + route("one", "two"),
        {"one": gate, "two": SOUP},
    )
    calls = [asyncio.create_task(world.fl.recipes.search(f"soup {at}")) for at in range(8)]
    await gate.reached()
    await turns()
    assert [call.result().served_by for call in calls if call.done()] == ["two"] * 3
    gate.open()
    await asyncio.gather(*calls)
    world.assert_at_rest()


async def test_cancelled_waiters_leave_the_queue_and_lose_no_place():
    gate = Gate()
    world = build_world(plain(settings=NARROW), {"shop": gate})
    calls = [asyncio.create_task(world.fl.http("shop").get(f"/{at}")) for at in range(5)]
    await gate.reached()
    await turns()
    for call in calls[1:4]:  # one under way, and two in the queue
        call.cancel()
    await turns()
    assert [each.path for each in world.sent("shop")] == ["/0", "/1", "/4"]
    gate.open()
    results = await gather_errors(calls)
    assert [isinstance(each, asyncio.CancelledError) for each in results] == [False, True, True, True, False]
    world.assert_at_rest()


async def test_a_rate_limit_lets_a_lone_connection_wait_its_turn():
    world = build_world(plain(settings=SLOW_PACE), {"shop": lambda _request: answer()})
    for at in range(6):
        await world.fl.http("shop").get(f"/{at}", deadline_s=60)
    assert world.transports["shop"].times_s == pytest.approx([1000, 1000, 1010, 1010, 1020, 1020])
    assert sum(each.overhead_s for each in world.told(CallFinished)) == 0  # waiting is not overhead


async def test_retries_are_paced_as_well():
    world = build_world(plain(settings=SLOW_PACE), {"shop": [TIMEOUT, TIMEOUT, answer()]})
    await world.fl.http("shop").get("/x", deadline_s=60)
    assert world.transports["shop"].times_s[2] >= 1010


async def test_a_turn_beyond_the_deadline_is_refused_at_once():
    world = build_world(plain(settings=SLOW_PACE), {"shop": lambda _request: answer()})
    for at in range(2):
        await world.fl.http("shop").get(f"/{at}")
    with pytest.raises(errors.RateLimitedError) as caught:
        await world.fl.http("shop").get("/2", deadline_s=5)
    assert caught.value.retry_after_s == pytest.approx(10)
    assert not world.clock.slept
    assert len(world.sent("shop")) == 2
    world.clock.advance(10)
    assert (await world.fl.http("shop").get("/3", deadline_s=5)).status == 200  # the refused call took no turn
    world.assert_at_rest()


async def test_a_turn_far_off_is_left_to_another_connection():
    world = build_world(
        recipes("one", SLOW_PACE + "\nconcurrency = { limit = 50 }", is_limited=True)
        + recipes("two")
        + route("one", "two"),
        {"one": SOUP, "two": SOUP},
    )
    pages = [await world.fl.recipes.search(f"soup {at}") for at in range(4)]
    assert [page.served_by for page in pages] == ["one", "one", "two", "two"]
    assert report(pages[2]).attempts[0].error == "rate_limited"
    assert not report(pages[2]).attempts[0].was_tried
    assert not world.clock.slept


async def test_when_no_other_can_serve_the_turn_is_waited_for_after_all():
    world = build_world(
        recipes("one", SLOW_PACE + "\nconcurrency = { limit = 50 }", is_limited=True)
        + recipes("two")
        + route("one", "two"),
        {"one": SOUP, "two": answer(401)},
    )
    pages = [await world.fl.recipes.search(f"soup {at}") for at in range(3)]
    assert [page.served_by for page in pages] == ["one"] * 3
    assert sum(world.clock.slept) == pytest.approx(10, abs=0.2)


async def test_the_plan_of_a_provider_is_its_limit():
    world = build_world(recipes("one", is_limited=True), {"one": SOUP})  # free: one a second, two at once
    connection = world.connection("one")
    assert connection.concurrency.limit == 2
    for at in range(3):
        await world.fl.recipes.search(f"soup {at}")
    assert world.transports["one"].times_s == pytest.approx([1000, 1001, 1002])


async def test_the_queue_and_the_turn_share_one_deadline():
    """Waiting in the queue shortens what may be waited for the turn."""
    gate = Gate()
    world = build_world(
        plain(settings="concurrency = { limit = 1 }\nrate = { requests = 1, per_s = 8.0 }"), {"shop": gate}
    )
    calls = [asyncio.create_task(world.fl.http("shop").get(f"/{at}", deadline_s=10)) for at in range(2)]
    await gate.reached()
    await turns()
    world.clock.advance(7)  # the second has three seconds left, and its turn comes in one
    gate.open()
    await asyncio.gather(*calls)
    assert world.transports["shop"].times_s == pytest.approx([1000, 1008])

    late = asyncio.create_task(world.fl.http("shop").get("/late", deadline_s=7))  # the next turn comes in eight
    with pytest.raises(errors.RateLimitedError):
        await late
    world.assert_at_rest()


async def test_what_is_left_after_the_queue_bounds_the_wait_for_a_turn():
    gate = Gate()
    world = build_world(
        plain(settings="concurrency = { limit = 1 }\nrate = { requests = 1, per_s = 8.0 }"), {"shop": gate}
    )
    first = asyncio.create_task(world.fl.http("shop").get("/0", deadline_s=30))
    await gate.reached()
    second = asyncio.create_task(world.fl.http("shop").get("/1", deadline_s=7.5))
    await turns()
    world.clock.advance(5)
    gate.open()
    await first
    with pytest.raises(errors.RateLimitedError):  # 2.5 s are left, and the turn comes in 3
        await second
    assert len(world.sent("shop")) == 1
    assert not world.clock.slept
    world.assert_at_rest()


async def test_nothing_is_sent_when_the_wait_used_up_the_time():
    gate = Gate()
    world = build_world(plain(settings="concurrency = { limit = 1 }"), {"shop": [gate]})
    first = asyncio.create_task(world.fl.http("shop").get("/0"))
    await gate.reached()
    second = asyncio.create_task(world.fl.http("shop").post("/1", deadline_s=3))
    await turns()
    world.clock.advance(4)
    gate.open()
    await first
    with pytest.raises(errors.DeadlineExceededError):
        await second
    assert len(world.sent("shop")) == 1
    world.assert_at_rest()


async def test_a_call_cancelled_while_it_waits_its_turn_gives_back_its_place():
    class Stuck:
        """A clock whose waits last until the test ends."""

        def __init__(self, clock: FakeClock) -> None:
            self._clock = clock
            self.monotonic, self.wall = clock.monotonic, clock.wall

        async def sleep(self, _seconds: float) -> None:
            await asyncio.Event().wait()

    world = build_world(plain(settings="rate = { requests = 1, per_s = 8.0 }"), {"shop": lambda _request: answer()})
    await world.fl.http("shop").get("/0")
    world.connection("shop")._clock = Stuck(world.clock)
    call = asyncio.create_task(world.fl.http("shop").get("/1"))
    await turns()
    assert world.connection("shop").concurrency.free == world.connection("shop").concurrency.limit - 1
    call.cancel()
    await turns()
    world.assert_at_rest()
    assert world.told(CallFinished)[-1].error is None  # a cancelled call is no failure
    rate = world.connection("shop").rate
    assert rate is not None
    assert rate.retry_after_s(world.clock.monotonic()) == 8  # and its turn is the next one's


async def test_a_call_cancelled_in_its_backoff_holds_nothing():
    world = build_world(plain(), {"shop": TIMEOUT})
    call = asyncio.create_task(world.fl.http("shop").get("/0"))
    await turns(1)
    assert world.clock.slept
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    world.assert_at_rest()


async def test_a_slow_attempt_holds_its_place_only_as_long_as_it_may():
    world = build_world(plain(settings=f"{NARROW}\ntimeouts = {{ attempt_s = 2.0 }}"), {"shop": Slow(60, answer())})
    with pytest.raises(errors.AttemptTimeoutError):
        await world.fl.http("shop").get("/x")
    world.assert_at_rest()


async def test_a_transport_that_breaks_gives_everything_back():
    async def explode() -> Response:
        raise ZeroDivisionError

    world = build_world(plain(), {"shop": [lambda _request: explode()]})
    with pytest.raises(ZeroDivisionError):
        await world.fl.http("shop").get("/x")
    world.assert_at_rest()
