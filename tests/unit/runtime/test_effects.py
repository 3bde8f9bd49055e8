"""A request that acts is repeated only where that is harmless, and what it did is never guessed."""

import pytest

from fairlead import errors
from fairlead.model.exchange import Broken
from fairlead.model.outcome import Effect, Failure, Outcome, Phase
from fairlead.observe.events import AttemptFinished
from scripted import REFUSED, RESET, TIMEOUT, Slow, answer, build_world, plain, report

NOTHING_SENT = [
    REFUSED,
    Broken(Failure.DNS, Phase.RESOLVING),
    Broken(Failure.RESET, Phase.CONNECTING),
    Broken(Failure.TIMEOUT, Phase.CONNECTING),
    answer(421),
    answer(425),
    answer(429),
]
IN_DOUBT = [
    RESET,
    TIMEOUT,
    Broken(Failure.TRUNCATED, Phase.RECEIVING),
    Broken(Failure.TOO_LARGE, Phase.RECEIVING),
    Broken(Failure.PROTOCOL, Phase.RECEIVING),
    answer(302),
    answer(408),
    answer(500),
    answer(502),
    answer(503),
    answer(503, retry_after="1"),
    answer(504),
]
REFUSALS = [answer(400), answer(401), answer(402), answer(403), answer(404), answer(409), answer(422), answer(501)]


def name_of(line):
    return f"{line.failure}-{line.phase.name}" if isinstance(line, Broken) else str(line.status)


@pytest.mark.parametrize("line", IN_DOUBT, ids=name_of)
async def test_a_post_whose_outcome_is_unknown_is_never_sent_again(line):
    world = build_world(plain(), {"shop": [line]})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges", json={"amount": 1})
    error = caught.value
    assert error.outcome is Outcome.UNKNOWN
    assert [each.outcome for each in error.attempts] == [Outcome.UNKNOWN]
    assert isinstance(error.__cause__, errors.FairleadError)
    assert error.__cause__.message.rstrip(".") in error.message
    assert (error.connection, error.operation, error.call_id) == ("shop", "http.post", "call-1")
    assert "not known" in str(error)
    assert not world.clock.slept
    world.assert_at_rest()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_that_may_act_is_sent_once(method):
    world = build_world(plain(), {"shop": [TIMEOUT]})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").request(method, "/things/1")


async def test_a_post_that_outlives_the_deadline_is_unknown_and_not_late():
    world = build_world(plain(), {"shop": [Slow(60, answer())]})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").post("/charges", deadline_s=2)
    assert world.clock.monotonic() == pytest.approx(1002)


@pytest.mark.parametrize("line", NOTHING_SENT, ids=name_of)
async def test_a_post_that_was_certainly_not_done_is_sent_again(line):
    world = build_world(plain(), {"shop": [line, answer(201)]})
    response = await world.fl.http("shop").post("/charges")
    assert response.status == 201
    assert [each.outcome for each in report(response).attempts] == [Outcome.NOT_DONE, Outcome.DONE]
    world.assert_at_rest()


@pytest.mark.parametrize("line", NOTHING_SENT, ids=name_of)
async def test_a_post_that_is_never_done_says_so(line):
    world = build_world(plain(), {"shop": line})
    with pytest.raises((errors.TransportError, errors.ProviderError)) as caught:
        await world.fl.http("shop").post("/charges")
    assert caught.value.outcome is Outcome.NOT_DONE
    assert len(world.sent("shop")) == 3


async def test_doubt_after_a_certain_failure_ends_the_repeats():
    world = build_world(plain(), {"shop": [REFUSED, RESET]})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges")
    assert [each.outcome for each in caught.value.attempts] == [Outcome.NOT_DONE, Outcome.UNKNOWN]


@pytest.mark.parametrize("line", REFUSALS, ids=name_of)
async def test_a_refused_post_was_not_done(line):
    world = build_world(plain(), {"shop": [line]})
    with pytest.raises(errors.ProviderError) as caught:
        await world.fl.http("shop").post("/charges")
    assert caught.value.outcome is Outcome.NOT_DONE


async def test_a_key_travels_in_the_vendors_header_and_makes_repeats_harmless():
    world = build_world(plain(), {"shop": [TIMEOUT, answer(500), answer(201)]})
    response = await world.fl.http("shop").post("/charges", json={"amount": 1}, idempotency_key="order-7")
    assert response.status == 201
    sent = world.sent("shop")
    assert [dict(each.headers)["idempotency-key"] for each in sent] == ["order-7"] * 3
    assert len(set(sent)) == 1  # not one byte differs
    assert sent[0].effect is Effect.IDEMPOTENT
    assert [each.outcome for each in report(response).attempts] == [Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.DONE]


async def test_a_keyed_post_that_stays_unknown_says_so():
    world = build_world(plain(), {"shop": TIMEOUT})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges", idempotency_key="order-7")
    assert len(world.sent("shop")) == 3
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("last", [REFUSED, answer(429), answer(401), answer(422), answer(402)], ids=name_of)
async def test_a_later_certain_failure_does_not_undo_the_doubt_of_an_earlier_attempt(last):
    world = build_world(plain(), {"shop": [TIMEOUT, last, last]})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges", idempotency_key="order-7")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.attempts[0].outcome is Outcome.UNKNOWN
    world.assert_at_rest()


async def test_our_own_refusal_to_repeat_does_not_undo_the_doubt():
    breaker = "breaker = { min_attempts = 1, open_s = 60.0 }"
    world = build_world(plain(settings=breaker), {"shop": [TIMEOUT]})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges", idempotency_key="order-7")
    assert [each.was_tried for each in caught.value.attempts] == [True, False]
    assert isinstance(caught.value.__cause__, errors.CircuitOpenError)
    world.assert_at_rest()


async def test_a_conflict_without_a_key_is_a_refusal():
    world = build_world(plain(), {"shop": [answer(409)]})
    with pytest.raises(errors.ConflictError) as caught:
        await world.fl.http("shop").post("/charges")
    assert caught.value.outcome is Outcome.NOT_DONE


async def test_a_conflict_with_a_key_means_that_the_first_request_still_runs():
    world = build_world(plain(), {"shop": [TIMEOUT, answer(409, retry_after="2"), answer(201)]})
    response = await world.fl.http("shop").post("/charges", idempotency_key="order-7")
    assert response.status == 201
    assert world.transports["shop"].times_s[2] - world.transports["shop"].times_s[1] == pytest.approx(2)


async def test_a_conflict_with_a_key_that_stays_is_unknown():
    world = build_world(plain(), {"shop": answer(409)})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").post("/charges", idempotency_key="order-7")
    assert len(world.sent("shop")) == 3


async def test_the_caller_may_know_the_effect_better():
    world = build_world(plain(), {"shop": [TIMEOUT, answer()]})
    assert (await world.fl.http("shop").post("/search", effect=Effect.READ)).status == 200

    world = build_world(plain(), {"shop": [TIMEOUT]})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").request("GET", "/unsubscribe", effect=Effect.ONCE)

    world = build_world(plain(), {"shop": [TIMEOUT, answer()]})
    assert (await world.fl.http("shop").request("PUT", "/things/1", effect=Effect.IDEMPOTENT)).status == 200


async def test_a_key_does_not_overrule_an_effect_that_is_given():
    world = build_world(plain(), {"shop": [TIMEOUT]})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.fl.http("shop").post("/charges", effect=Effect.ONCE, idempotency_key="order-7")
    assert dict(world.sent("shop")[0].headers)["idempotency-key"] == "order-7"


async def test_a_key_that_would_start_another_header_is_refused():
    world = build_world(plain(), {"shop": []})
    with pytest.raises(errors.InvalidArgumentError):
        await world.fl.http("shop").post("/charges", idempotency_key="a\r\nx-admin: 1")


async def test_each_attempt_is_told_with_its_outcome():
    world = build_world(plain(), {"shop": [REFUSED, TIMEOUT]})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.fl.http("shop").post("/charges")
    told = world.told(AttemptFinished)
    assert tuple(each.attempt for each in told) == caught.value.attempts
    assert [each.attempt.error for each in told] == ["connect", "attempt_timeout"]
    assert {(each.call_id, each.operation) for each in told} == {("call-1", "http.post")}
