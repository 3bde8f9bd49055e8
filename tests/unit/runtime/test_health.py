"""Connections that fail, throttle or run out of quota are left alone, and found again by few probes."""

import asyncio

import pytest

from fairlead import errors
from fairlead.model.exchange import Broken
from fairlead.model.outcome import Failure, Phase
from fairlead.observe.events import BreakerChanged, ConnectionPaused
from fairlead.resilience.breaker import State
from fairlead.runtime.health import connection_health, is_ready
from scripted import (
    HTML,
    RESET,
    SOUP,
    TIMEOUT,
    Gate,
    World,
    answer,
    build_world,
    gather_errors,
    plain,
    recipes,
    report,
    route,
    turns,
)

ONCE = "retry = { max_attempts = 1 }"
QUICK = f"{ONCE}\nbreaker = {{ window = 4, min_attempts = 2, failure_share = 0.5, open_s = 5.0, max_open_s = 15.0 }}"
TWO = recipes("one", QUICK) + recipes("two", QUICK) + route("one", "two")
QUOTA = answer(402, {"message": "Your daily points limit of 50 has been reached."})


async def break_circuit(world: World, name: str = "one") -> None:
    world.transports[name].lines += [RESET, RESET]
    for at in range(2):
        await world.fl.recipes.search(f"break {at}")
    assert world.connection(name).breaker.state is State.OPEN


async def test_a_breaker_opens_and_calls_go_around_it():
    world = build_world(TWO, {"one": [], "two": SOUP})
    await break_circuit(world)
    page = await world.fl.recipes.search("soup")
    refused, served = report(page).attempts
    assert (refused.connection, refused.was_tried, refused.error) == ("one", False, "circuit_open")
    assert served.connection == "two"
    assert len(world.sent("one")) == 2
    changed = world.told(BreakerChanged)
    assert [(each.connection, each.before, each.after, each.cause) for each in changed] == [
        ("one", "closed", "open", "connection_lost")
    ]
    assert [(each.name, each.is_up, each.breaker) for each in connection_health(world.fl)] == [
        ("one", False, "open"),
        ("two", True, "closed"),
    ]
    assert is_ready(world.fl)


async def test_a_half_open_breaker_lets_one_of_fifty_through():
    world = build_world(TWO, {"one": [], "two": SOUP})
    await break_circuit(world)
    world.clock.advance(5)
    gate = Gate()
    world.transports["one"].otherwise = gate
    asked = len(world.sent("one"))
    calls = [asyncio.create_task(world.fl.recipes.search(f"soup {at}")) for at in range(50)]
    await gate.reached()
    await turns(200)
    assert len(world.sent("one")) == asked + 1
    assert sum(call.done() for call in calls) == 49
    assert all(call.result().served_by == "two" for call in calls if call.done())
    gate.open()
    await asyncio.gather(*calls)
    assert world.connection("one").breaker.state is State.CLOSED
    assert (await world.fl.recipes.search("again")).served_by == "one"
    world.assert_at_rest()


async def test_a_probe_that_fails_doubles_the_rest_up_to_a_limit():
    world = build_world(TWO, {"one": [], "two": SOUP})
    await break_circuit(world)
    for rest_s in (5, 10, 15, 15):
        assert world.connection("one").breaker.retry_after_s(world.clock.monotonic()) == pytest.approx(rest_s)
        world.clock.advance(rest_s)
        world.transports["one"].lines.append(RESET)
        await world.fl.recipes.search(f"after {rest_s} {world.clock.monotonic()}")
    assert len(world.sent("one")) == 2 + 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429])
async def test_a_refusal_says_nothing_about_health(status):
    world = build_world(plain(settings=QUICK), {"shop": answer(status, retry_after="0")})
    for _ in range(20):
        with pytest.raises(errors.FairleadError):
            await world.fl.http("shop").get("/x")
    assert world.connection("shop").breaker.state is State.CLOSED
    assert len(world.sent("shop")) == 20
    world.assert_at_rest()


@pytest.mark.parametrize(
    "failure",
    [RESET, TIMEOUT, answer(500), answer(503), answer(408), Broken(Failure.TLS, Phase.CONNECTING), HTML],
)
async def test_what_a_sick_vendor_does_opens_the_breaker(failure):
    world = build_world(recipes("one", QUICK), {"one": failure})
    for at in range(2):
        with pytest.raises(errors.FairleadError):
            await world.fl.recipes.search(f"soup {at}")
    assert world.connection("one").breaker.state is State.OPEN
    with pytest.raises(errors.CircuitOpenError) as caught:
        await world.fl.recipes.search("soup", deadline_s=1)
    assert caught.value.retry_after_s == pytest.approx(5)
    assert world.told(BreakerChanged)[0].cause == caught.value.message.split()[-1].rstrip(".")


async def test_cancelled_calls_never_count():
    gate = Gate()
    world = build_world(recipes("one", QUICK), {"one": gate})
    for at in range(10):
        call = asyncio.create_task(world.fl.recipes.search(f"soup {at}"))
        await gate.reached()
        await turns()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await turns()
    assert world.connection("one").breaker.state is State.CLOSED
    assert world.connection("one").breaker.failures == 0
    assert not world.events  # no attempt was made, so none is told
    world.assert_at_rest()


async def test_a_cancelled_probe_neither_closes_nor_opens():
    world = build_world(TWO, {"one": [], "two": SOUP})
    await break_circuit(world)
    world.clock.advance(5)
    gate = Gate()
    world.transports["one"].lines.append(gate)
    call = asyncio.create_task(world.fl.recipes.search("soup"))
    await gate.reached()
    call.cancel()
    await turns()
    assert world.connection("one").breaker.state is State.HALF_OPEN
    world.assert_at_rest()
    world.transports["one"].lines.append(SOUP)
    assert (await world.fl.recipes.search("more soup")).served_by == "one"
    assert world.connection("one").breaker.state is State.CLOSED


async def test_an_exhausted_quota_pauses_until_midnight_utc():
    world = build_world(TWO, {"one": [QUOTA], "two": SOUP})  # the clock begins at noon
    assert (await world.fl.recipes.search("soup 0")).served_by == "two"
    paused = world.told(ConnectionPaused)[0]
    assert (paused.connection, paused.seconds, paused.cause) == ("one", 12 * 3600, "quota_exhausted")
    world.clock.advance(12 * 3600 - 1)
    page = await world.fl.recipes.search("soup 1")
    assert [(each.connection, each.error) for each in report(page).attempts] == [("one", "paused"), ("two", None)]
    assert len(world.sent("one")) == 1
    health = connection_health(world.fl)[0]
    assert (health.is_up, health.paused_because, health.retry_after_s) == (False, "quota_exhausted", 1)
    world.clock.advance(1)
    world.transports["one"].otherwise = SOUP
    assert (await world.fl.recipes.search("soup 2")).served_by == "one"
    assert connection_health(world.fl)[0].is_up


async def test_an_exhausted_quota_pauses_as_long_as_the_settings_say():
    world = build_world(
        recipes("one", "quota_reset_s = 60.0") + recipes("two") + route("one", "two"), {"one": [QUOTA], "two": SOUP}
    )
    await world.fl.recipes.search("soup")
    assert world.told(ConnectionPaused)[0].seconds == 60
    assert world.connection("one").breaker.failures == 0


async def test_an_exhausted_quota_of_a_lone_connection_is_told_with_its_end():
    world = build_world(recipes("one"), {"one": [QUOTA]})
    with pytest.raises(errors.QuotaExhaustedError) as caught:
        await world.fl.recipes.search("soup")
    assert caught.value.retry_after_s == 12 * 3600
    with pytest.raises(errors.PausedError, match="quota_exhausted") as again:
        await world.fl.recipes.search("soup")
    assert again.value.retry_after_s == 12 * 3600
    assert not world.clock.slept


async def test_after_a_pause_one_of_fifty_goes_first():
    world = build_world(TWO, {"one": [QUOTA], "two": SOUP})
    await world.fl.recipes.search("soup")
    world.clock.advance(12 * 3600)
    gate = Gate()
    world.transports["one"].otherwise = gate
    calls = [asyncio.create_task(world.fl.recipes.search(f"soup {at}")) for at in range(50)]
    await gate.reached()
    await turns(200)
    assert len(world.sent("one")) == 2
    gate.open(QUOTA)  # still closed: the other 49 did not have to learn it themselves
    pages = await asyncio.gather(*calls)
    assert {page.served_by for page in pages} == {"two"}
    assert len(world.sent("one")) == 2
    world.assert_at_rest()


async def test_a_cancelled_probe_of_a_pause_leaves_it_to_the_next():
    world = build_world(TWO, {"one": [QUOTA], "two": SOUP})
    await world.fl.recipes.search("soup")
    world.clock.advance(12 * 3600)
    gate = Gate()
    world.transports["one"].lines.append(gate)
    call = asyncio.create_task(world.fl.recipes.search("more soup"))
    await gate.reached()
    call.cancel()
    await turns()
    world.assert_at_rest()
    world.transports["one"].lines.append(SOUP)
    assert (await world.fl.recipes.search("even more")).served_by == "one"


async def test_throttling_pauses_for_as_long_as_the_vendor_says():
    world = build_world(TWO, {"one": [answer(429, retry_after="30")], "two": SOUP})
    await world.fl.recipes.search("soup 0")
    world.clock.advance(29)
    await world.fl.recipes.search("soup 1")
    assert len(world.sent("one")) == 1
    world.clock.advance(1)
    world.transports["one"].lines.append(SOUP)
    assert (await world.fl.recipes.search("soup 2")).served_by == "one"


async def test_throttling_without_a_word_pauses_for_a_second():
    world = build_world(TWO, {"one": [answer(429)], "two": SOUP})
    await world.fl.recipes.search("soup 0")
    assert world.told(ConnectionPaused)[0].seconds == 1
    assert len(world.sent("one")) == 1


async def test_a_late_success_does_not_end_a_pause():
    gate = Gate()
    world = build_world(TWO, {"one": [gate, QUOTA], "two": SOUP})
    early = asyncio.create_task(world.fl.recipes.search("early"))
    await gate.reached()
    await world.fl.recipes.search("late")
    gate.open()
    assert (await early).served_by == "one"
    assert (await world.fl.recipes.search("later")).served_by == "two"
    assert not connection_health(world.fl)[0].is_up


async def test_calls_in_the_queue_learn_of_a_pause_and_do_not_run_into_it():
    narrow = f"{ONCE}\nconcurrency = {{ limit = 1 }}\nrate = {{ requests = 1000 }}"
    gate = Gate()
    world = build_world(
        recipes("one", narrow, is_limited=True) + recipes("two") + route("one", "two"), {"one": [gate], "two": SOUP}
    )
    calls = [asyncio.create_task(world.fl.recipes.search(f"soup {at}")) for at in range(20)]
    await gate.reached()
    await turns()
    gate.open(QUOTA)
    pages = await asyncio.gather(*calls)
    assert {page.served_by for page in pages} == {"two"}
    assert len(world.sent("one")) == 1
    world.assert_at_rest()


async def test_calls_in_the_queue_learn_of_an_open_circuit_and_do_not_run_into_it():
    narrow = f"{QUICK}\nconcurrency = {{ limit = 2 }}\nrate = {{ requests = 1000 }}"
    gate = Gate()
    world = build_world(
        recipes("one", narrow, is_limited=True) + recipes("two") + route("one", "two"), {"one": [gate] * 2, "two": SOUP}
    )
    calls = [asyncio.create_task(world.fl.recipes.search(f"soup {at}")) for at in range(20)]
    await gate.reached()
    await turns()
    gate.open(RESET)
    # one place is given back before the second failure opens the circuit
    world.transports["one"].lines.append(RESET)
    pages = await asyncio.gather(*calls)
    assert {page.served_by for page in pages} == {"two"}
    assert len(world.sent("one")) <= 3
    world.assert_at_rest()


async def test_when_both_refuse_the_soonest_is_waited_for():
    world = build_world(
        TWO, {"one": [answer(503, retry_after="20"), SOUP], "two": [answer(429, retry_after="8"), SOUP]}
    )
    with pytest.raises(errors.UnavailableError):
        await world.fl.recipes.search("soup", deadline_s=5)
    page = await world.fl.recipes.search("soup", deadline_s=15)
    assert page.served_by == "two"
    assert not page.is_stale
    assert sum(world.clock.slept) == pytest.approx(8, abs=0.2)
    assert [each.error for each in report(page).attempts] == ["paused", "paused", "paused", None]
    world.assert_at_rest()


async def test_when_both_refuse_for_longer_than_there_is_time_it_fails_at_once():
    world = build_world(TWO, {"one": [answer(503, retry_after="20")], "two": [answer(429, retry_after="8")]})
    for _ in range(2):
        with pytest.raises(errors.UnavailableError) as caught:
            await world.fl.recipes.search("soup", deadline_s=5)
        assert caught.value.retry_after_s == pytest.approx(8)
    assert not world.clock.slept
    assert len(world.sent("one")) == len(world.sent("two")) == 1


async def test_with_a_stale_answer_at_hand_nobody_waits():
    world = build_world(TWO, {"one": [SOUP, answer(503, retry_after="20")], "two": [answer(429, retry_after="8")]})
    await world.fl.recipes.search("soup")
    world.clock.advance(61)
    for _ in range(3):
        page = await world.fl.recipes.search("soup", deadline_s=25)
        assert page.is_stale
    assert not world.clock.slept


async def test_gathered_calls_after_a_pause_of_all_are_all_served():
    world = build_world(recipes("one"), {"one": [answer(429, retry_after="8")]})
    with pytest.raises(errors.ThrottledError):
        await world.fl.recipes.search("soup", deadline_s=5)
    world.transports["one"].otherwise = SOUP
    world.clock.advance(7)
    results = await gather_errors(world.fl.recipes.search(f"soup {at}", deadline_s=60) for at in range(20))
    assert {page.served_by for page in results} == {"one"}
    world.assert_at_rest()


@pytest.mark.parametrize("line", [answer(429), answer(429, retry_after="3"), answer(503, retry_after="3")])
async def test_a_connection_that_asks_for_a_moment_is_left_for_one_that_serves_at_once(line):
    world = build_world(recipes("one") + recipes("two") + route("one", "two"), {"one": [line], "two": SOUP})
    assert (await world.fl.recipes.search("soup")).served_by == "two"
    assert not world.clock.slept


async def test_a_connection_with_no_turn_free_is_not_waited_for_to_repeat():
    paced = "rate = { requests = 1, per_s = 0.5 }\nconcurrency = { limit = 50 }"
    world = build_world(
        recipes("one", paced, is_limited=True) + recipes("two") + route("one", "two"), {"one": [RESET], "two": SOUP}
    )
    assert (await world.fl.recipes.search("soup")).served_by == "two"
    assert not world.clock.slept


async def test_a_probe_that_is_answered_by_no_such_thing_closes_the_circuit():
    world = build_world(plain(), {"shop": answer(500)})
    for _ in range(2):
        with pytest.raises(errors.FairleadError):
            await world.fl.http("shop").get("/")
    assert world.connection("shop").breaker.state is State.OPEN
    world.clock.advance(100)
    world.transports["shop"].otherwise = answer(404)
    with pytest.raises(errors.NotFoundError):
        await world.fl.http("shop").get("/")
    assert world.connection("shop").breaker.state is State.CLOSED
    world.assert_at_rest()


async def test_large_answers_open_no_circuit():
    world = build_world(plain(), {"shop": Broken(Failure.TOO_LARGE, Phase.RECEIVING)})
    for _ in range(10):
        with pytest.raises(errors.AnswerTooLargeError):
            await world.fl.http("shop").get("/")
    assert world.connection("shop").breaker.state is State.CLOSED


async def test_a_plain_connection_keeps_to_its_own_quota_reset():
    world = build_world(plain("shop", "quota_reset_s = 60.0"), {"shop": [answer(402), answer()]})
    with pytest.raises(errors.QuotaExhaustedError) as caught:
        await world.fl.http("shop").get("/")
    assert caught.value.retry_after_s == 60
    with pytest.raises(errors.PausedError):
        await world.fl.http("shop").get("/", deadline_s=1)
    world.clock.advance(60)
    assert (await world.fl.http("shop").get("/")).status == 200


async def test_those_who_wait_for_the_probe_of_another_do_not_spin():
    world = build_world(plain(), {"shop": answer(500)})
    for _ in range(2):
        with pytest.raises(errors.FairleadError):
            await world.fl.http("shop").get("/")
    connection = world.connection("shop")
    world.clock.advance(connection.breaker.retry_after_s(world.clock.monotonic()) or 0)
    assert connection.breaker.admit(world.clock.monotonic())  # somebody's probe is out, and stays out
    with pytest.raises(errors.FairleadError) as caught:
        await world.fl.http("shop").get("/", deadline_s=30)
    assert len(caught.value.attempts) < 40
