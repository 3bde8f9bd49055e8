"""The strategies in the pipeline: what is asked twice, what waits for whom, what is never spent, what goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from fairlead import errors
from fairlead.errors import InvalidSettingError
from fairlead.model.outcome import Effect
from fairlead.observe.events import AttemptFinished, ChaosApplied, Hedged, RetryDecided
from fairlead.resilience.breaker import State
from scripted import RESET, TIMEOUT, Gate, Line, Slow, answer, build_world, gather_errors, plain, report, turns

OK = answer(200, {"fine": True})


# --- The retry budget ---------------------------------------------------------------------------------------------


async def test_a_dying_vendor_sees_little_more_than_what_is_asked():
    settings = "breaker = { min_attempts = 100000, window = 100000 }\nconcurrency = { limit = 1 }"
    world = build_world(plain(settings=settings), {"shop": RESET})
    for _ in range(500):
        with pytest.raises(errors.ConnectionLostError):
            await world.fl.http("shop").get("/things")
    sent = len(world.sent("shop"))
    # The backoff lets time pass, for which the floor pays too; beyond that, a fifth.
    earned_by_time = world.clock.monotonic() - 1000.0
    assert sent <= 500 * 1.2 + 10 + earned_by_time
    decided = world.told(RetryDecided)
    assert {each.is_paid for each in decided} == {True, False}
    assert sum(each.is_paid for each in decided) == sent - 500


async def test_a_repeat_after_a_timeout_costs_twice():
    settings = "retry = { max_attempts = 2, budget = { share = 0, floor_per_s = 0, burst = 4 } }"
    world = build_world(plain(settings=settings), {"shop": TIMEOUT})
    for _ in range(4):
        with pytest.raises(errors.AttemptTimeoutError):
            await world.fl.http("shop").get("/things")
    assert [each.is_paid for each in world.told(RetryDecided)] == [True, True, False, False]
    assert {each.cause for each in world.told(RetryDecided)} == {"attempt_timeout"}


# --- The breaker --------------------------------------------------------------------------------------------------


async def test_good_answers_that_come_too_slowly_open_the_circuit():
    settings = "breaker = { window = 4, min_attempts = 4, slow_s = 2.0, slow_share = 0.5 }"
    lines: list[Line] = [OK, Slow(3.0, OK), OK, Slow(3.0, OK)]
    world = build_world(plain(settings=settings), {"shop": lines})
    for _ in range(4):
        await world.fl.http("shop").get("/things")
    assert world.connection("shop").breaker.state is State.OPEN
    assert world.connection("shop").breaker.cause == "slow"


async def test_the_error_that_opened_the_circuit_is_kept():
    world = build_world(
        plain(settings="retry = { max_attempts = 1 }\nbreaker = { window = 1, min_attempts = 1 }"),
        {"shop": [answer(500, {"message": "the disk is full"})]},
    )
    with pytest.raises(errors.UnavailableError):
        await world.fl.http("shop").get("/things")
    breaker = world.connection("shop").breaker
    assert (breaker.cause, "the disk is full" in (breaker.message or "")) == ("unavailable", True)


# --- Hedging ------------------------------------------------------------------------------------------------------

HEDGED = plain(settings="hedge = { min_s = 0.02 }\nconcurrency = { limit = 2 }")


async def test_a_read_that_takes_long_is_asked_a_second_time_and_the_slower_one_is_given_up():
    gate = Gate()
    world = build_world(HEDGED, {"shop": [*[Slow(0.01, OK)] * 50, gate, answer(200, {"second": True})]})
    for _ in range(50):
        await world.fl.http("shop").get("/things")
    response = await world.fl.http("shop").get("/things")
    assert response.json() == {"second": True}
    assert [(each.connection, each.has_won) for each in world.told(Hedged)] == [("shop", True)]
    assert [each.error for each in report(response).attempts] == ["hedged", None]
    assert len(world.sent("shop")) == 52
    assert world.transports["shop"].under_way == 0
    world.assert_at_rest()


async def test_nothing_that_acts_is_ever_asked_twice_by_a_hedge():
    gate = Gate()
    world = build_world(HEDGED, {"shop": [*[Slow(0.01, OK)] * 50, gate]})
    for _ in range(50):
        await world.fl.http("shop").get("/things")
    call = asyncio.create_task(world.fl.http("shop").post("/things", json={}))
    await turns()
    assert len(world.sent("shop")) == 51
    call.cancel()
    await gather_errors([call])
    world.assert_at_rest()


async def test_a_hedge_needs_a_free_place_and_the_budget():
    settings = "hedge = { min_s = 0.02 }\nconcurrency = { limit = 1 }"
    gate = Gate()
    world = build_world(plain(settings=settings), {"shop": [*[Slow(0.01, OK)] * 50, gate]})
    for _ in range(50):
        await world.fl.http("shop").get("/things")
    balance = world.connection("shop").budget.balance
    call = asyncio.create_task(world.fl.http("shop").get("/things"))
    await turns()
    assert len(world.sent("shop")) == 51
    assert world.connection("shop").budget.balance == balance
    call.cancel()
    await gather_errors([call])
    world.assert_at_rest()


async def test_a_hedge_that_is_cancelled_ends_both():
    one, two = Gate(), Gate()
    world = build_world(HEDGED, {"shop": [*[Slow(0.01, OK)] * 50, one, two]})
    for _ in range(50):
        await world.fl.http("shop").get("/things")
    call = asyncio.create_task(world.fl.http("shop").get("/things"))
    await turns()
    assert world.transports["shop"].under_way == 2
    call.cancel()
    await gather_errors([call])
    assert world.transports["shop"].under_way == 0
    world.assert_at_rest()


async def test_a_bad_answer_is_no_victory():
    gate = Gate()
    world = build_world(HEDGED, {"shop": [*[Slow(0.01, OK)] * 50, gate, answer(503)]})
    for _ in range(50):
        await world.fl.http("shop").get("/things")
    call = asyncio.create_task(world.fl.http("shop").get("/things"))
    await turns()
    gate.open(answer(200, {"first": True}))
    assert (await call).json() == {"first": True}
    assert [each.has_won for each in world.told(Hedged)] == [False]
    world.assert_at_rest()


# --- Lines and limits ---------------------------------------------------------------------------------------------


async def test_who_waits_for_an_answer_goes_before_what_nobody_watches():
    gate = Gate()
    world = build_world(plain(settings="concurrency = { limit = 1 }"), {"shop": [gate, OK, OK]})
    http = world.fl.http("shop")
    first = asyncio.create_task(http.get("/first"))
    await turns()
    late = asyncio.create_task(http.get("/background", priority="background"))
    await turns()
    soon = asyncio.create_task(http.get("/interactive"))
    await turns()
    gate.open(OK)
    await asyncio.gather(first, late, soon)
    assert [each.path for each in world.sent("shop")] == ["/first", "/interactive", "/background"]


async def test_several_windows_hold_at_once():
    rates = "rates = [{ requests = 2, per_s = 1 }, { requests = 3, per_s = 60 }]"
    world = build_world(plain(settings=rates), {"shop": OK})
    for _ in range(3):
        await world.fl.http("shop").get("/things")
    with pytest.raises(errors.RateLimitedError) as caught:
        await world.fl.http("shop").get("/things", deadline_s=10)
    assert caught.value.retry_after_s == pytest.approx(59, abs=1.1)
    assert world.transports["shop"].times_s == pytest.approx([1000, 1000, 1001])


async def test_background_calls_leave_the_reserve_to_the_others():
    rate = "rate = { requests = 4, per_s = 60, reserve = 0.5 }"
    world = build_world(plain(settings=rate), {"shop": OK})
    http = world.fl.http("shop")
    for _ in range(2):
        await http.get("/things", priority="background")
    with pytest.raises(errors.RateLimitedError):
        await http.get("/things", priority="background", deadline_s=5)
    for _ in range(2):
        await http.get("/things")


async def test_what_the_vendor_says_is_left_is_believed():
    told = answer(200, {}, x_ratelimit_limit="100", x_ratelimit_remaining="1", x_ratelimit_reset="30")
    world = build_world(plain(), {"shop": [told, OK, OK]})
    http = world.fl.http("shop")
    await http.get("/things")
    await http.get("/things")
    await http.get("/things", deadline_s=60)
    first, second, third = world.transports["shop"].times_s
    assert second == first
    assert third - first == pytest.approx(30, abs=1.5)


async def test_unless_it_shall_not_be():
    told = answer(200, {}, x_ratelimit_limit="100", x_ratelimit_remaining="0", x_ratelimit_reset="30")
    world = build_world(plain(settings="learn_limits = false"), {"shop": told})
    for _ in range(3):
        await world.fl.http("shop").get("/things")
    assert world.transports["shop"].times_s == [1000, 1000, 1000]


async def test_a_quota_is_never_overspent_by_calls_at_once():
    quota = 'quota = { points = 3, reset = "midnight_utc" }\nretry = { max_attempts = 1 }'
    gate = Gate()
    world = build_world(plain(settings=quota), {"shop": lambda _: gate})
    calls = [asyncio.create_task(world.fl.http("shop").get(f"/{at}", deadline_s=60)) for at in range(5)]
    await turns()
    assert len(world.sent("shop")) == 3
    gate.open(OK)
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in ended if isinstance(each, errors.RateLimitedError)]
    assert len(refused) == 2
    assert refused[0].retry_after_s == 12 * 3600  # it is noon
    assert "quota" in refused[0].message
    world.assert_at_rest()


async def test_what_was_not_done_for_want_of_a_turn_costs_no_points():
    quota = 'quota = { points = 2, reset = "midnight_utc" }\nretry = { max_attempts = 1 }'
    world = build_world(plain(settings=quota), {"shop": [answer(429, retry_after="1"), OK, OK]})
    with pytest.raises(errors.ThrottledError):
        await world.fl.http("shop").get("/things")
    world.clock.advance(2)
    await world.fl.http("shop").get("/things")
    await world.fl.http("shop").get("/things")
    with pytest.raises(errors.RateLimitedError):
        await world.fl.http("shop").get("/things", deadline_s=60)


async def test_a_limit_that_finds_itself_falls_when_the_vendor_has_enough():
    adaptive = (
        "concurrency = { limit = 10, adaptive = { max_limit = 20 } }\nretry = { max_attempts = 1 }\n"
        "breaker = { min_attempts = 100, window = 100 }"
    )
    world = build_world(plain(settings=adaptive), {"shop": TIMEOUT})
    for _ in range(3):
        world.clock.advance(60)
        with pytest.raises(errors.AttemptTimeoutError):
            await world.fl.http("shop").get("/things")
    assert world.connection("shop").concurrency.limit < 10
    world.assert_at_rest()


# --- Chaos --------------------------------------------------------------------------------------------------------


def troubled(rule: str, *, is_on: bool = True) -> str:
    return plain(settings="retry = { max_attempts = 1 }") + f"\n[chaos]\nis_on = {str(is_on).lower()}\nrules = [{rule}]"


async def test_trouble_is_off_unless_it_is_switched_on():
    world = build_world(troubled('{ error = "unavailable" }', is_on=False), {"shop": OK})
    await world.fl.http("shop").get("/things")
    assert world.fl.chaos is not None
    world.fl.chaos.is_on = True
    with pytest.raises(errors.UnavailableError):
        await world.fl.http("shop").get("/things")
    assert len(world.sent("shop")) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("connect", errors.ConnectError),
        ("attempt_timeout", errors.AttemptTimeoutError),
        ("throttled", errors.ThrottledError),
        ("quota_exhausted", errors.QuotaExhaustedError),
        ("authentication", errors.AuthenticationError),
    ],
)
async def test_an_error_made_on_purpose_is_like_the_real_one_and_says_what_it_is(code: str, error: type[Exception]):
    world = build_world(troubled(f'{{ error = "{code}", share = 1.0 }}'), {"shop": OK})
    with pytest.raises(error) as caught:
        await world.fl.http("shop").get("/things")
    assert isinstance(caught.value, errors.FairleadError)
    assert [each.chaos for each in caught.value.attempts] == ["fail"]
    assert [each.fault for each in world.told(ChaosApplied)] == ["Fail"]
    assert not world.sent("shop")
    world.assert_at_rest()


async def test_an_answer_that_is_lost_leaves_the_effect_in_doubt():
    world = build_world(troubled("{ lose_answer = true }"), {"shop": OK})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").post("/things", json={})
    assert [each.effect for each in world.sent("shop")] == [Effect.ONCE]
    world.assert_at_rest()


async def test_a_damaged_answer_and_a_late_one():
    world = build_world(troubled('{ corrupt = "html" }, { delay_s = 2.0, operation = "http.get" }'), {"shop": OK})
    response = await world.fl.http("shop").get("/things")
    assert response.body.startswith(b"<!doctype html>")
    assert world.transports["shop"].times_s == [1002.0]
    (attempt,) = [each.attempt for each in world.told(AttemptFinished)]
    assert (attempt.chaos, attempt.seconds) == ("corrupt", 2.0)


# --- What cannot work ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("timeouts = { connect_s = 20 }", r"shop\.timeouts\.connect_s \(20 s\) is longer than timeouts\.attempt_s"),
        ("timeouts = { read_s = 9, attempt_s = 5 }", r"shop\.timeouts\.read_s \(9 s\) is longer than timeouts"),
        ("retry = { base_s = 6 }", r"shop\.retry\.base_s \(6 s\) is longer than retry\.cap_s"),
        ("retry = { budget = { share = 1.5 } }", r"shop\.retry\.budget\.share"),
        ("rate = { requests = 1, per_s = 0 }", r"shop\.rate\.per_s"),
        ("rate = { requests = 1 }\nrates = [{ requests = 2 }]", r"shop has both rate and rates"),
        ("hedge = { min_s = 15 }", r"shop\.hedge\.min_s \(15 s\) is not below timeouts\.attempt_s"),
        ("breaker = { slow_s = 16 }", r"shop\.breaker\.slow_s \(16 s\) is longer than timeouts\.attempt_s"),
        ("breaker = { open_s = 61 }", r"shop\.breaker\.open_s \(61 s\) is longer than breaker\.max_open_s"),
        ("quota = { points = 5 }", r"shop\.quota needs either reset or rolling_s"),
        ('quota = { points = 5, reset = "midnight_utc", rolling_s = 5 }', r"shop\.quota needs either"),
        ("concurrency = { limit = 300, adaptive = {} }", r"shop\.concurrency: min_limit"),
        ('[chaos]\nrules = [{ error = "bad luck" }]', r"chaos\.rules\[0\]\.error is no error that can be made"),
        ('[chaos]\nrules = [{ error = "connect", delay_s = 1 }]', r"chaos\.rules\[0\] sets 2 of delay_s"),
        ("[chaos]\nrules = [{}]", r"chaos\.rules\[0\] sets 0 of delay_s"),
        ('[chaos]\nrules = [{ delay_s = 1, connection = "x" }]', r"chaos\.rules\[0\]\.connection names 'x'"),
        ("[chaos]\nrules = [{ delay_s = 1, begins_at = 2, ends_at = 1 }]", r"chaos\.rules\[0\]: chaos\.begins_at must"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_by_its_name(settings: str, problem: str):
    with pytest.raises(InvalidSettingError, match=problem):
        build_world(plain(settings=settings), {"shop": OK})
