"""Single reads made within a short while become one request, where the connection says so; each is answered alone."""

import asyncio
from typing import Any

import pytest

from fairlead import errors
from fairlead.capabilities.recipes import Recipe
from fairlead.model.call import CacheUse, Ref
from fairlead.observe.events import AttemptFinished, CallFinished
from scripted import (
    BULK,
    CANARY,
    RESET,
    Gate,
    Slow,
    World,
    answer,
    build_world,
    bulk_ids,
    gather_errors,
    kitchen,
    recipes,
    report,
    route,
    turns,
)

ONCE = "retry = { max_attempts = 1 }"
JOINED = recipes("one", f"{ONCE}\nbatch = {{ window_s = 0.005, max_size = 10 }}")
NO_CACHE = route("one", settings="cache = { ttl_s = 0, stale_if_error_s = 0 }")


async def fetch(world: World, *identifiers: int | str, **options) -> list[Any]:
    return await gather_errors([world.fl.recipes.fetch(f"one:{each}", **options) for each in identifiers])


async def test_calls_made_within_the_window_are_one_request_and_each_has_its_own_answer():
    world = build_world(JOINED, {"one": kitchen()})
    found = await fetch(world, 3, 1, 2)
    assert [each.title for each in found] == ["Soup 3", "Soup 1", "Soup 2"]
    assert [each.ref for each in found] == [Ref("one", "3"), Ref("one", "1"), Ref("one", "2")]
    assert bulk_ids(world) == ["3,1,2"]
    assert len(world.sent("one")) == 1
    assert world.clock.slept == [0.005]
    world.assert_at_rest()


async def test_nothing_is_joined_unless_it_is_declared():
    world = build_world(recipes("one"), {"one": kitchen()})
    await fetch(world, 1, 2)
    assert [each.path for each in world.sent("one")] == ["/recipes/1/information", "/recipes/2/information"]
    assert world.clock.slept == []


async def test_who_is_alone_asks_as_always():
    world = build_world(JOINED, {"one": kitchen()})
    [recipe] = await fetch(world, 1)
    assert [each.path for each in world.sent("one")] == ["/recipes/1/information"]
    assert (report(recipe).cache, report(recipe).batch_id) == (CacheUse.MISS, None)
    assert report(recipe).overhead_s == pytest.approx(0)  # the window is a wait
    assert len(world.told(CallFinished)) == 1


async def test_a_full_batch_leaves_at_once_and_the_rest_goes_with_the_next():
    world = build_world(JOINED, {"one": kitchen()})
    await fetch(world, *range(1, 26))
    assert [ids.count(",") + 1 for ids in bulk_ids(world)] == [10, 10, 5]


async def test_the_report_of_each_tells_its_own_call_and_the_batch():
    world = build_world(JOINED, {"one": kitchen()})
    one, two = await fetch(world, 1, 2)
    assert (report(one).call_id, report(two).call_id) == ("call-1", "call-2")
    assert (report(one).batch_id, report(two).batch_id) == ("call-3", "call-3")
    assert report(one).cache is report(two).cache is CacheUse.SHARED
    assert report(one).attempts == report(two).attempts
    assert (report(one).exchanges, report(one).served_by) == (1, "one")
    assert {each.call_id for each in world.told(AttemptFinished)} == {"call-3"}
    finished = {each.call_id: each for each in world.told(CallFinished)}
    assert finished["call-3"].operation == "recipes.fetch_many"
    assert (finished["call-3"].batch_id, finished["call-1"].batch_id) == (None, "call-3")
    assert finished["call-1"].operation == "recipes.fetch"


async def test_a_correlation_id_that_all_have_in_common_is_that_of_the_batch():
    world = build_world(JOINED, {"one": kitchen()})
    await fetch(world, 1, 2, correlation_id="order-7")
    await gather_errors(
        [world.fl.recipes.fetch("one:3", correlation_id="a"), world.fl.recipes.fetch("one:4", correlation_id="b")]
    )
    batches = [each for each in world.told(CallFinished) if each.operation == "recipes.fetch_many"]
    assert [each.correlation_id for each in batches] == ["order-7", batches[1].call_id]
    assert {each.correlation_id for each in world.told(CallFinished)} >= {"a", "b"}


async def test_one_that_does_not_exist_fails_alone():
    world = build_world(JOINED, {"one": kitchen("2")})
    one, two, wrong = await fetch(world, 1, 2, "soup,3")
    assert one.title == "Soup 1"
    assert isinstance(two, errors.NotFoundError)
    assert isinstance(wrong, errors.InvalidRequestError)
    assert str(two) == "one: recipes.fetch: The vendor has no such thing."
    assert (two.call_id, two.provider, two.outcome) == ("call-2", "spoonacular", "not_done")
    assert [each.status for each in two.attempts] == [200]
    assert bulk_ids(world) == ["1,2"]


async def test_the_failure_of_the_batch_reaches_each_with_an_error_of_its_own():
    world = build_world(JOINED, {"one": [answer(500, {"message": f"Out of order, {CANARY}."})]})
    caught = await fetch(world, 1, 2, 3)
    assert {type(each) for each in caught} == {errors.UnavailableError}
    assert len({id(each) for each in caught}) == 3
    assert [each.call_id for each in caught] == ["call-1", "call-2", "call-3"]
    assert {str(each) for each in caught} == {
        'one: recipes.fetch: The vendor cannot serve now (HTTP 500): "Out of order, ***.".'
    }
    assert {len(each.attempts) for each in caught} == {1}
    failed = [each for each in world.told(CallFinished) if each.call_id != "call-4"]
    assert {each.batch_id for each in failed} == {"call-4"}


@pytest.mark.parametrize(
    "refusal",
    [
        answer(400, {"message": "One of the ids is wrong."}),
        answer(403),
        answer(404),
        answer(414),
        answer(content={"recipes": "moved"}),
    ],
    ids=["400", "403", "404", "414", "another shape"],
)
async def test_a_batch_that_is_refused_as_such_is_asked_one_by_one(refusal):
    line = kitchen("2")
    world = build_world(JOINED, {"one": lambda request: refusal if request.path == BULK else line(request)})
    one, two, three = await fetch(world, 1, 2, 3)
    assert (one.title, three.title) == ("Soup 1", "Soup 3")
    assert isinstance(two, errors.NotFoundError)
    assert [each.path for each in world.sent("one")] == [BULK, *(f"/recipes/{at}/information" for at in (1, 2, 3))]
    assert (report(one).cache, report(one).batch_id) == (CacheUse.MISS, None)
    assert [each.status for each in report(one).attempts] == [refusal.status, 200]


async def test_a_batch_is_repeated_like_any_read():
    world = build_world(
        recipes("one", "batch = { }"), {"one": [RESET, answer(content=[{"id": at, "title": "Soup"} for at in (1, 2)])]}
    )
    one, _ = await fetch(world, 1, 2)
    assert [each.error for each in report(one).attempts] == ["connection_lost", None]
    assert bulk_ids(world) == ["1,2", "1,2"]


async def test_the_rate_limit_is_charged_once_with_the_price_of_the_batch():
    world = build_world(
        recipes("one", "batch = { }\nrate = { requests = 1, per_s = 60.0 }", is_limited=True), {"one": kitchen()}
    )
    found = await fetch(world, 1, 2, 3)
    assert all(isinstance(each, Recipe) for each in found)
    assert [each.cost for each in world.sent("one")] == [2.0]
    assert world.clock.slept == [0.005]


async def test_each_answer_is_kept_under_its_own_key():
    world = build_world(JOINED, {"one": kitchen()})
    await fetch(world, 1, 2)
    again = await fetch(world, 2)
    assert (again[0].title, report(again[0]).cache) == ("Soup 2", CacheUse.HIT)
    three, two = await fetch(world, 3, 2)
    assert (report(three).cache, report(two).cache) == (CacheUse.MISS, CacheUse.HIT)
    assert bulk_ids(world) == ["1,2"]


async def test_stale_answers_bridge_the_failure_of_a_batch():
    world = build_world(JOINED, {"one": [kitchen(), RESET]})
    await fetch(world, 1, 2)
    world.clock.advance(100)
    found = await fetch(world, 1, 2)
    assert [each.is_stale for each in found] == [True, True]


async def test_who_has_a_stale_answer_does_not_wait_for_a_vendor_that_cannot_serve():
    world = build_world(JOINED, {"one": [kitchen(), answer(429, retry_after="10")]})
    await fetch(world, 1, 2)
    world.clock.advance(100)
    await fetch(world, 1, 2)
    before = world.clock.monotonic()
    found = await fetch(world, 1, 2)
    assert [each.is_stale for each in found] == [True, True]
    assert world.clock.monotonic() - before < 1
    assert len(world.sent("one")) == 2


async def test_who_has_no_stale_answer_waits_for_the_vendor_all_the_same():
    world = build_world(JOINED, {"one": [kitchen(), answer(429, retry_after="10")]})
    await fetch(world, 1, 2)
    world.clock.advance(100)
    await fetch(world, 1, 2)
    world.transports["one"].otherwise = kitchen()
    one, two, three, four = await fetch(world, 1, 2, 3, 4)
    assert (one.is_stale, two.is_stale, three.is_stale, four.is_stale) == (True, True, False, False)
    assert bulk_ids(world)[-1] == "3,4"


async def test_the_same_asked_twice_is_asked_once():
    world = build_world(JOINED, {"one": kitchen()})
    found = await fetch(world, 1, 2, 1)
    assert [each.title for each in found] == ["Soup 1", "Soup 2", "Soup 1"]
    assert bulk_ids(world) == ["1,2"]
    assert {report(each).cache for each in found} == {CacheUse.SHARED}


async def test_tenants_and_connections_are_never_joined():
    text = JOINED + recipes("two", "batch = { }") + route("one", "two")
    world = build_world(text, {"one": kitchen(), "two": kitchen()})
    await gather_errors(
        [
            world.fl.recipes.fetch("one:1", tenant="a"),
            world.fl.recipes.fetch("one:2", tenant="b"),
            world.fl.recipes.fetch("one:3", tenant="a"),
            world.fl.recipes.fetch("two:4", tenant="a"),
            world.fl.recipes.fetch("two:5", tenant="a"),
        ]
    )
    assert bulk_ids(world) == ["1,3"]
    assert bulk_ids(world, "two") == ["4,5"]
    assert len(world.sent("one")) == 2


async def test_other_operations_are_not_joined():
    world = build_world(JOINED, {"one": lambda _: answer(content={"bad": []})})
    await gather_errors([world.fl.recipes.nutrition("one:1"), world.fl.recipes.nutrition("one:2")])
    assert len(world.sent("one")) == 2
    assert world.clock.slept == []


async def test_a_call_without_time_to_wait_for_others_goes_alone():
    world = build_world(JOINED, {"one": kitchen()})
    one, _, _ = await gather_errors(
        [world.fl.recipes.fetch("one:1", deadline_s=0.004), *(world.fl.recipes.fetch(f"one:{at}") for at in (2, 3))]
    )
    assert report(one).cache is CacheUse.MISS
    assert bulk_ids(world) == ["2,3"]


async def test_each_waits_no_longer_than_its_own_deadline_and_the_batch_as_long_as_the_most_patient():
    gate = Gate()
    world = build_world(JOINED + NO_CACHE, {"one": [gate]})
    hurried = asyncio.create_task(world.fl.recipes.fetch("one:1", deadline_s=0.02))
    patient = asyncio.create_task(world.fl.recipes.fetch("one:2", deadline_s=20))
    with pytest.raises(errors.DeadlineExceededError) as caught:
        await hurried
    assert (caught.value.call_id, caught.value.outcome) == ("call-1", "not_done")
    assert world.transports["one"].sent[0].timeout_s == pytest.approx(15)  # the attempt's own limit
    gate.open(answer(content=[{"id": 1, "title": "Soup 1"}, {"id": 2, "title": "Soup 2"}]))
    assert (await patient).title == "Soup 2"
    world.assert_at_rest()


@pytest.mark.parametrize(("patient_s", "state"), [(10.0, "closed"), (30.0, "open")])
async def test_what_hurried_callers_cut_short_says_nothing_about_the_vendor(patient_s, state):
    settings = f"{ONCE}\nbatch = {{ }}\nbreaker = {{ min_attempts = 1, window = 1 }}\ntimeouts = {{ attempt_s = 29.9 }}"
    world = build_world(recipes("one", settings), {"one": Slow(60, RESET)})
    await gather_errors([world.fl.recipes.fetch(f"one:{at}", deadline_s=s) for at, s in ((1, 10), (2, patient_s))])
    assert world.connection("one").breaker.state == state


async def test_a_caller_that_is_cancelled_harms_nobody_and_the_last_one_ends_the_request():
    gate = Gate()
    world = build_world(JOINED, {"one": [gate, gate]})
    calls = [asyncio.create_task(world.fl.recipes.fetch(f"one:{at}")) for at in (1, 2)]
    await gate.reached()
    calls[0].cancel()
    await turns()
    assert world.transports["one"].under_way == 1
    calls[1].cancel()
    await turns()
    assert world.transports["one"].under_way == 0
    assert all(each.cancelled() for each in calls)
    world.assert_at_rest()
