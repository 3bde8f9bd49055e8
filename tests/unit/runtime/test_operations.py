"""An operation of several requests: what was done stays where it was done."""

import pytest

from fairlead import errors
from fairlead.model.answer import Answer
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.runtime.connection import Connection
from fairlead.runtime.pipeline import Begin
from fairlead.spec.answer import decode
from scripted import HTML, REFUSED, RESET, TIMEOUT, World, answer, build_world, plain, recipes, report

PATIENT = "breaker = { min_attempts = 20 }"
BOTH = plain("one", PATIENT) + plain("two", PATIENT)


class Receipt(Answer, frozen=True, kw_only=True):
    """What the operations here return."""

    id: str = ""


def steps(first: Effect, second: Effect) -> Begin:
    """Make an operation that begins something and then confirms it."""

    def begin(_connection: Connection) -> Operation[Receipt]:
        started = yield Request.post("/begin", effect=first)
        decode(started, dict)
        confirmed = yield Request.post("/confirm", effect=second)
        return Receipt(id=decode(confirmed, dict)["id"])

    return begin


DONE = answer(content={"id": "7"})


def paths(world: World, name: str) -> list[str]:
    return [each.path for each in world.sent(name)]


async def test_each_step_is_retried_for_itself():
    world = build_world(BOTH, {"one": [REFUSED, REFUSED, answer(), RESET, RESET, DONE], "two": []})
    receipt = await world.drive(steps(Effect.ONCE, Effect.READ))
    assert receipt.id == "7"
    assert paths(world, "one") == ["/begin"] * 3 + ["/confirm"] * 3
    world.assert_at_rest()


@pytest.mark.parametrize("first", [Effect.ONCE, Effect.IDEMPOTENT])
@pytest.mark.parametrize("failure", [REFUSED, RESET, answer(401), answer(404), answer(429, retry_after="3600"), HTML])
async def test_after_a_step_is_done_no_other_connection_is_asked(first, failure):
    world = build_world(BOTH, {"one": [answer(), *[failure] * 3], "two": []})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(steps(first, Effect.READ))
    assert "A part of it was done, and then: " in str(caught.value)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert isinstance(caught.value.__cause__, errors.FairleadError)
    assert paths(world, "one").count("/begin") == 1
    world.assert_at_rest()


async def test_after_a_step_is_done_an_open_circuit_does_not_lead_elsewhere():
    breaker = "breaker = { min_attempts = 2, open_s = 60.0, failure_share = 0.5 }"
    world = build_world(plain("one", breaker) + plain("two"), {"one": [answer(), answer(500)], "two": []})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(steps(Effect.ONCE, Effect.READ))
    assert isinstance(caught.value.__cause__, errors.CircuitOpenError)
    world.assert_at_rest()


async def test_after_a_step_is_done_a_pause_does_not_lead_elsewhere_nor_to_a_new_beginning():
    world = build_world(BOTH, {"one": [answer()], "two": []})

    def begin(connection):
        yield Request.post("/begin")
        connection.pause.begin(5.0, "throttled", world.clock.monotonic())  # another call was throttled meanwhile
        yield Request.get("/confirm")

    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(begin)
    assert isinstance(caught.value.__cause__, errors.PausedError)
    assert paths(world, "one") == ["/begin"]
    world.assert_at_rest()


async def test_a_feature_found_missing_after_a_step_is_done_does_not_lead_elsewhere():
    def begin(_connection):
        yield Request.post("/begin")
        raise errors.UnsupportedFeatureError("This kind cannot be confirmed.")

    world = build_world(BOTH, {"one": [answer()], "two": []})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(begin)
    assert [(each.outcome, each.was_tried) for each in caught.value.attempts] == [(Outcome.DONE, True)]
    world.assert_at_rest()


async def test_a_feature_found_missing_after_a_read_leads_elsewhere():
    def begin(connection):
        yield Request.get("/look")
        if connection.name == "one":
            raise errors.UnsupportedFeatureError("This kind cannot be confirmed.")
        return Receipt(id="7")

    world = build_world(BOTH, {"one": [answer()], "two": [answer()]})
    receipt = await world.drive(begin)
    assert receipt.served_by == "two"
    assert [(each.connection, each.error) for each in report(receipt).attempts] == [
        ("one", "unsupported_feature"),
        ("two", None),
    ]
    world.assert_at_rest()


async def test_an_unknown_step_is_told_as_unknown_not_as_part():
    world = build_world(BOTH, {"one": [answer(), TIMEOUT], "two": []})
    with pytest.raises(errors.OutcomeUnknownError, match="Whether it was done is not known"):
        await world.drive(steps(Effect.ONCE, Effect.ONCE))


async def test_reads_fail_over_at_any_step():
    world = build_world(BOTH, {"one": [answer(), *[RESET] * 3], "two": [answer(), DONE]})
    receipt = await world.drive(steps(Effect.READ, Effect.READ))
    assert receipt.served_by == "two"
    assert paths(world, "two") == ["/begin", "/confirm"]


async def test_a_first_step_that_was_not_done_fails_over():
    world = build_world(BOTH, {"one": REFUSED, "two": [answer(), DONE]})
    receipt = await world.drive(steps(Effect.ONCE, Effect.READ))
    assert receipt.served_by == "two"


async def test_a_keyed_step_in_doubt_does_not_fail_over_when_its_repeat_is_refused():
    """The other vendor does not know the key: it would do it a second time."""
    world = build_world(BOTH, {"one": [TIMEOUT, REFUSED, REFUSED], "two": []})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.drive(steps(Effect.IDEMPOTENT, Effect.READ))


async def test_a_keyed_step_in_doubt_is_certain_once_its_repeat_is_done():
    world = build_world(BOTH, {"one": [TIMEOUT, answer(), *[answer(404)]], "two": []})
    with pytest.raises(errors.OutcomeUnknownError, match="A part of it was done"):
        await world.drive(steps(Effect.IDEMPOTENT, Effect.READ))


async def test_reads_begin_again_when_an_answer_is_garbled():
    world = build_world(BOTH, {"one": [answer(), HTML, answer(), DONE], "two": []})
    receipt = await world.drive(steps(Effect.READ, Effect.READ))
    assert receipt.id == "7"
    assert paths(world, "one") == ["/begin", "/confirm"] * 2
    world.assert_at_rest()


async def test_beginning_again_is_bounded():
    world = build_world(plain("one"), {"one": lambda request: HTML if request.path == "/confirm" else answer()})
    with pytest.raises(errors.UnexpectedAnswerError):
        await world.drive(steps(Effect.READ, Effect.READ))
    assert paths(world, "one") == ["/begin", "/confirm"] * 3
    world.assert_at_rest()


async def test_a_garbled_answer_to_an_act_is_unknown():
    world = build_world(BOTH, {"one": [HTML], "two": []})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(steps(Effect.ONCE, Effect.READ))
    assert isinstance(caught.value.__cause__, errors.UnexpectedAnswerError)
    world.assert_at_rest()


async def test_a_changed_answer_to_an_act_is_unknown():
    world = build_world(BOTH, {"one": [answer(content=[])], "two": []})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(steps(Effect.ONCE, Effect.READ))
    assert isinstance(caught.value.__cause__, errors.UnexpectedAnswerError)
    assert caught.value.__cause__.path == "$"
    world.assert_at_rest()


async def test_an_answer_that_trips_the_provider_is_unexpected_and_costs_no_lease():
    """`decode(...)["id"]` of an answer without one: the vendor is not asked again, another one is."""
    world = build_world(BOTH, {"one": [answer(), answer(content={})], "two": [answer(), DONE]})
    receipt = await world.drive(steps(Effect.READ, Effect.READ))
    assert receipt.served_by == "two"
    assert [each.error for each in report(receipt).attempts] == [None, "unexpected_answer", None, None]
    world.assert_at_rest()


async def test_an_act_whose_answer_trips_the_provider_is_unknown_and_costs_no_lease():
    def begin(_connection):
        response = yield Request.post("/send")
        return Receipt(id=response.headers["x-message-id"])

    world = build_world(BOTH, {"one": [answer(202)], "two": []})
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await world.drive(begin)
    assert isinstance(caught.value.__cause__, errors.UnexpectedAnswerError)
    assert "KeyError in" in str(caught.value)
    assert "x-message-id" not in str(caught.value)
    world.assert_at_rest()


async def test_a_refusal_inside_a_good_answer_is_a_refusal():
    def begin(connection):
        response = yield Request.post("/send")
        if response.json().get("ok") is False:
            raise errors.QuotaExhaustedError("No credit.")
        return Receipt(id=connection.name)

    world = build_world(BOTH, {"one": [answer(content={"ok": False})], "two": [answer()]})
    receipt = await world.drive(begin)
    assert receipt.id == "two"
    assert [(each.outcome, each.status, each.error) for each in report(receipt).attempts] == [
        (Outcome.NOT_DONE, 200, "quota_exhausted"),
        (Outcome.DONE, 200, None),
    ]
    world.assert_at_rest()


async def test_an_operation_without_a_request_is_served():
    def begin(connection):
        yield from ()
        return Receipt(id=connection.name)

    world = build_world(BOTH, {"one": [], "two": []})
    receipt = await world.drive(begin)
    assert (receipt.id, receipt.served_by, report(receipt).exchanges) == ("one", "one", 0)


async def test_the_operation_is_closed_however_it_ends():
    ended = []

    def begin(connection):
        try:
            yield Request.get("/look")
        finally:
            ended.append(connection.name)
        return Receipt()

    world = build_world(BOTH, {"one": answer(500), "two": answer(500)})
    with pytest.raises(errors.UnavailableError):
        await world.drive(begin)
    assert ended == ["one", "two"]


async def test_after_a_step_is_done_the_connection_has_all_the_time_and_patience_there_is():
    """No other may be asked any more: nothing is saved for it."""
    paced = "rate = { requests = 1, per_s = 5.0 }\ntimeouts = { attempt_s = 60.0 }"
    world = build_world(plain("one", paced) + plain("two"), {"one": [answer(), DONE], "two": []})
    receipt = await world.drive(steps(Effect.ONCE, Effect.READ), deadline_s=20)
    assert receipt.served_by == "one"
    first, second = world.transports["one"].sent
    assert (first.timeout_s, second.timeout_s) == (10, 15)
    assert second.at_s - first.at_s == pytest.approx(5)


async def test_in_doubt_the_connection_has_all_the_time_and_patience_there_is():
    paced = "rate = { requests = 1, per_s = 5.0 }\ntimeouts = { attempt_s = 60.0 }"
    world = build_world(plain("one", paced) + plain("two"), {"one": [RESET, answer(), DONE], "two": []})
    receipt = await world.drive(steps(Effect.IDEMPOTENT, Effect.READ), deadline_s=20)
    assert receipt.served_by == "one"
    assert [each.timeout_s for each in world.transports["one"].sent] == pytest.approx([10, 15, 10])


async def test_a_keyed_request_is_refused_where_the_vendor_honours_no_key():
    world = build_world(recipes("one"), {"one": []})
    with pytest.raises(errors.UnsupportedFeatureError):
        await world.fl.http("one").post("/x", idempotency_key="order-7")
