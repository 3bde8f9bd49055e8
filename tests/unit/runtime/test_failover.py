"""Which connection is asked, in which order, and when no other is."""

import pytest

from fairlead import errors
from fairlead.model.answer import Answer
from fairlead.model.message import Request
from fairlead.model.outcome import Outcome
from fairlead.observe.events import AttemptFinished, CallFinished
from scripted import REFUSED, RESET, SOUP, TIMEOUT, answer, build_world, plain, recipes, report, route

ONE_RETRY = "retry = { max_attempts = 1 }"
NAMES = ("one", "two", "three")
CONNECTIONS = "".join(recipes(name, ONE_RETRY) for name in NAMES)


async def test_connections_are_asked_in_the_order_of_the_route():
    world = build_world(CONNECTIONS + route("three", "one", "two"), {"one": RESET, "two": SOUP, "three": REFUSED})
    page = await world.fl.recipes.search("soup")
    assert [each.connection for each in report(page).attempts] == ["three", "one", "two"]
    assert page.served_by == "two"
    assert page.items[0].ref.connection == "two"


async def test_without_a_route_the_order_is_that_of_the_file():
    world = build_world(CONNECTIONS, {"one": RESET, "two": RESET, "three": SOUP})
    page = await world.fl.recipes.search("soup")
    assert [each.connection for each in report(page).attempts] == ["one", "two", "three"]


async def test_the_first_that_serves_is_enough():
    world = build_world(CONNECTIONS, {"one": SOUP, "two": [], "three": []})
    assert report(await world.fl.recipes.search("soup")).exchanges == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequestError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.NotFoundError),
        (422, errors.InvalidRequestError),
        (501, errors.InvalidRequestError),
    ],
)
async def test_a_fault_of_the_request_is_not_taken_elsewhere(status, kind):
    world = build_world(CONNECTIONS, {"one": [answer(status)], "two": [], "three": []})
    with pytest.raises(kind) as caught:
        await world.fl.recipes.search("soup")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.connection == "one"


@pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 503, 302])
async def test_a_fault_of_the_connection_is_taken_elsewhere(status):
    world = build_world(CONNECTIONS, {"one": answer(status), "two": SOUP, "three": []})
    page = await world.fl.recipes.search("soup")
    assert page.served_by == "two"
    assert [each.status for each in report(page).attempts] == [status, 200]


async def test_a_feature_that_one_vendor_lacks_is_taken_elsewhere():
    def begin(connection):
        if connection.name == "one":
            raise errors.UnsupportedFeatureError("This provider cannot fly.")
        yield Request.get("/fly")
        return Answer()

    world = build_world(plain("one") + plain("two"), {"one": [], "two": [answer()]})
    flown = await world.drive(begin)
    assert flown.served_by == "two"
    refused, served = report(flown).attempts
    assert (refused.connection, refused.was_tried, refused.error) == ("one", False, "unsupported_feature")
    assert (served.connection, served.was_tried, served.error) == ("two", True, None)
    assert report(flown).exchanges == 1
    assert tuple(each.attempt for each in world.told(AttemptFinished)) == (refused, served)


async def test_a_feature_that_nobody_has():
    def begin(_connection):
        raise errors.UnsupportedFeatureError("This provider cannot fly.")

    world = build_world(plain("one") + plain("two"), {"one": [], "two": []})
    with pytest.raises(errors.UnsupportedFeatureError, match="This provider cannot fly") as caught:
        await world.drive(begin)
    assert [each.connection for each in caught.value.attempts] == ["one", "two"]
    with pytest.raises(errors.UnsupportedFeatureError):
        await world.drive(begin, "one")


async def test_when_all_fail_each_is_named_with_its_reason():
    world = build_world(CONNECTIONS, {"one": answer(401), "two": RESET, "three": answer(500)})
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.recipes.search("soup")
    error = caught.value
    for part in (
        "one: The vendor does not accept the credentials (HTTP 401);",
        "two: The connection broke before the answer was complete: reset after sending, https://shop.test;",
        "three: The vendor cannot serve now (HTTP 500)",
    ):
        assert part in str(error)
    assert [(each.connection, each.error) for each in error.attempts] == [
        ("one", "authentication"),
        ("two", "connection_lost"),
        ("three", "unavailable"),
    ]
    assert error.outcome is Outcome.NOT_DONE
    assert (error.operation, error.call_id) == ("recipes.search", "call-1")
    assert tuple(each.attempt for each in world.told(AttemptFinished)) == error.attempts
    finished = world.told(CallFinished)[0]
    assert (finished.error, finished.attempts, finished.served_by) == ("unavailable", 3, None)


async def test_when_all_fail_the_soonest_hope_is_told():
    world = build_world(
        CONNECTIONS,
        {"one": answer(401), "two": answer(503, retry_after="90"), "three": answer(429, retry_after="40")},
    )
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.recipes.search("soup", deadline_s=20)
    assert caught.value.retry_after_s == pytest.approx(40)


async def test_the_hope_that_is_told_is_the_latest_known():
    """The first round's refusal was for 2 s; what was learnt after them counts."""
    world = build_world(recipes("one", ONE_RETRY) + recipes("two", ONE_RETRY), {"one": [], "two": []})
    for name in ("one", "two"):
        world.connection(name).pause.begin(2.0, "throttled", world.clock.monotonic())
        world.transports[name].lines.append(answer(503, retry_after="600"))
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.recipes.search("soup", deadline_s=20)
    assert caught.value.retry_after_s == pytest.approx(600, abs=1)
    world.assert_at_rest()


async def test_a_lone_connection_speaks_for_itself():
    world = build_world(recipes("one", ONE_RETRY), {"one": answer(500)})
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.recipes.search("soup")
    assert str(caught.value) == "one: recipes.search: The vendor cannot serve now (HTTP 500)."
    assert caught.value.connection == "one"
    assert caught.value.status == 500


async def test_an_unknown_outcome_is_not_taken_elsewhere():
    def begin(_connection):
        yield Request.post("/charge")
        return Answer()

    world = build_world(plain("one") + plain("two"), {"one": [TIMEOUT], "two": []})
    with pytest.raises(errors.OutcomeUnknownError):
        await world.drive(begin)


@pytest.mark.parametrize("failure", [REFUSED, answer(401), answer(402), answer(403), answer(429)])
async def test_an_act_that_was_not_done_is_taken_elsewhere(failure):
    def begin(_connection):
        yield Request.post("/charge")
        return Answer()

    world = build_world(plain("one") + plain("two"), {"one": failure, "two": [answer(201)]})
    done = await world.drive(begin)
    assert done.served_by == "two"
    assert len(world.sent("two")) == 1
