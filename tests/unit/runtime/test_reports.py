"""Every call tells how it went: in its answer, and in the events."""

import pytest

from fairlead import errors
from fairlead.model.attempt import Attempt
from fairlead.model.call import CacheUse
from fairlead.model.message import Request
from fairlead.model.outcome import Outcome
from fairlead.observe.events import AttemptFinished, BreakerChanged, CallFinished, ConnectionPaused
from scripted import RESET, SOUP, Slow, answer, build_world, plain, recipes, report, route

ONCE = "retry = { max_attempts = 1 }"
TWO = recipes("one", ONCE) + recipes("two", ONCE) + route("one", "two")


async def test_the_report_of_a_call():
    world = build_world(TWO, {"one": [Slow(0.5, RESET)], "two": [Slow(0.25, SOUP)]})
    page = await world.fl.recipes.search("soup")
    told = report(page)
    assert told.call_id == "call-1"
    assert (told.served_by, page.served_by) == ("two", "two")
    assert told.cache is CacheUse.MISS
    assert told.age_s == 0
    assert told.exchanges == 2
    assert told.attempts == (
        Attempt(connection="one", outcome=Outcome.NOT_DONE, seconds=0.5, error="connection_lost"),
        Attempt(connection="two", outcome=Outcome.DONE, seconds=0.25, status=200),
    )
    assert told.total_s == pytest.approx(0.75)
    assert told.overhead_s == pytest.approx(0)


async def test_overhead_is_what_neither_vendors_nor_waits_took():
    world = build_world(
        plain(settings="rate = { requests = 1, per_s = 3.0 }"),
        {"shop": [Slow(1, answer(500)), Slow(2, answer(503, retry_after="7")), Slow(1, answer())]},
    )

    def begin(_connection):
        world.clock.advance(0.125)  # the provider's own work
        response = yield Request.get("/x")
        world.clock.advance(0.0625)
        return response

    response = await world.drive(begin)
    assert report(response).overhead_s == pytest.approx(0.1875)
    assert report(response).total_s == pytest.approx(world.clock.monotonic() - 1000)
    assert sum(each.seconds for each in report(response).attempts) == pytest.approx(4)


async def test_the_events_of_a_call():
    world = build_world(TWO, {"one": [answer(429, retry_after="60")], "two": [SOUP]})
    page = await world.fl.recipes.search("soup", correlation_id="order-7")
    assert [type(event) for event in world.events] == [ConnectionPaused, AttemptFinished, AttemptFinished, CallFinished]
    assert world.told(ConnectionPaused) == [ConnectionPaused(connection="one", seconds=60.0, cause="throttled")]
    assert [(each.call_id, each.operation) for each in world.told(AttemptFinished)] == [
        ("call-1", "recipes.search")
    ] * 2
    assert tuple(each.attempt for each in world.told(AttemptFinished)) == report(page).attempts
    assert world.told(CallFinished) == [
        CallFinished(
            call_id="call-1",
            correlation_id="order-7",
            operation="recipes.search",
            served_by="two",
            cache=CacheUse.MISS,
            error=None,
            attempts=2,
            total_s=0.0,
            overhead_s=0.0,
        )
    ]


async def test_a_call_without_a_correlation_id_is_its_own():
    world = build_world(plain(), {"shop": [answer()]})
    await world.fl.http("shop").get("/x")
    assert world.told(CallFinished)[0].correlation_id == "call-1"


async def test_our_refusals_are_told_as_attempts_that_were_not_tried():
    world = build_world(TWO, {"one": [], "two": SOUP})
    world.connection("one").pause.begin(60, "throttled", world.clock.monotonic())
    page = await world.fl.recipes.search("soup")
    refused = Attempt(connection="one", outcome=Outcome.NOT_DONE, was_tried=False, error="paused")
    assert report(page).attempts[0] == refused
    assert world.told(AttemptFinished)[0].attempt == refused
    assert report(page).exchanges == 1


async def test_a_call_that_fails_is_told_with_its_error():
    world = build_world(TWO, {"one": RESET, "two": RESET})
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.recipes.search("soup")
    finished = world.told(CallFinished)[0]
    assert (finished.error, finished.served_by, finished.attempts) == (caught.value.code, None, 2)


async def test_what_happens_to_a_breaker_is_told():
    world = build_world(
        plain(settings=f"{ONCE}\nbreaker = {{ min_attempts = 1, open_s = 5.0 }}"), {"shop": [RESET, answer()]}
    )
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.http("shop").get("/x")
    world.clock.advance(5)
    await world.fl.http("shop").get("/x")
    assert [(each.before, each.after) for each in world.told(BreakerChanged)] == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]


async def test_errors_of_a_call_know_where_they_belong():
    world = build_world(TWO, {"one": [answer(404)], "two": []})
    with pytest.raises(errors.NotFoundError) as caught:
        await world.fl.recipes.search("soup")
    error = caught.value
    assert (error.provider, error.connection, error.operation) == ("spoonacular", "one", "recipes.search")
    assert (error.call_id, error.status, error.outcome) == ("call-1", 404, Outcome.NOT_DONE)
    assert str(error).startswith("one: recipes.search: ")
    assert len(error.attempts) == 1


async def test_several_fairleads_live_side_by_side():
    first = build_world(plain(settings="breaker = { min_attempts = 1 }\n" + ONCE), {"shop": [RESET]})
    second = build_world(plain(), {"shop": [answer()]})
    with pytest.raises(errors.ConnectionLostError):
        await first.fl.http("shop").get("/x")
    assert (await second.fl.http("shop").get("/x")).status == 200


async def test_leaving_closes_every_transport():
    world = build_world(TWO, {"one": [], "two": []})
    async with world.fl as fl:
        assert fl is world.fl
    assert all(transport.is_closed for transport in world.transports.values())
