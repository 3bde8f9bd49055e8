"""A read is repeated while that can help, within its one deadline."""

from email.utils import formatdate

import pytest

from fairlead import errors
from fairlead.model.exchange import Broken
from fairlead.model.outcome import Failure, Outcome, Phase
from fairlead.observe.events import CallFinished, ConnectionPaused
from scripted import (
    HTML,
    REFUSED,
    RESET,
    SOUP,
    TIMEOUT,
    Line,
    Slow,
    World,
    answer,
    build_world,
    plain,
    recipes,
    report,
    route,
)

RETRY = "retry = { max_attempts = 4, base_s = 0.5, cap_s = 1.5 }"
TOO_LARGE = Broken(Failure.TOO_LARGE, Phase.RECEIVING)
BAD_TLS = Broken(Failure.TLS, Phase.CONNECTING)
BLOCKED = Broken(Failure.BLOCKED, Phase.CONNECTING)


@pytest.mark.parametrize("passing", [RESET, REFUSED, TIMEOUT, answer(500), answer(502), answer(408), answer(425)])
async def test_a_read_is_repeated_when_the_failure_may_pass(passing):
    world = build_world(plain(settings=RETRY), {"shop": [passing, passing, answer(content={"n": 1})]})
    response = await world.fl.http("shop").get("/things")
    assert response.json() == {"n": 1}
    assert [each.outcome for each in report(response).attempts] == [Outcome.NOT_DONE, Outcome.NOT_DONE, Outcome.DONE]
    assert report(response).exchanges == 3
    world.assert_at_rest()


@pytest.mark.parametrize("lasting", [answer(400), answer(401), answer(403), answer(404), answer(409), answer(410),
                                     answer(422), answer(501), answer(302), TOO_LARGE, BAD_TLS, BLOCKED])  # fmt: skip
async def test_a_read_is_not_repeated_when_the_failure_stays(lasting):
    world = build_world(plain(settings=RETRY), {"shop": [lasting]})
    with pytest.raises(errors.FairleadError) as caught:
        await world.fl.http("shop").get("/things")
    assert len(caught.value.attempts) == 1
    assert caught.value.outcome is Outcome.NOT_DONE
    assert not world.clock.slept
    world.assert_at_rest()


async def test_the_number_of_attempts_is_bounded():
    world = build_world(plain(settings=RETRY), {"shop": RESET})
    with pytest.raises(errors.ConnectionLostError) as caught:
        await world.fl.http("shop").get("/things")
    assert len(world.sent("shop")) == 4
    assert len(world.clock.slept) == 3
    assert len(caught.value.attempts) == 4
    assert (caught.value.connection, caught.value.provider, caught.value.operation) == ("shop", "http", "http.get")
    assert caught.value.call_id == "call-1"


async def test_the_backoff_has_full_jitter_below_a_growing_ceiling():
    waits = []
    for seed in range(200):
        world = build_world(plain(settings=RETRY), {"shop": RESET}, seed=seed)
        with pytest.raises(errors.ConnectionLostError):
            await world.fl.http("shop").get("/things")
        waits.append(world.clock.slept)
    for position, ceiling in enumerate((0.5, 1.0, 1.5)):  # 0.5, doubled, and doubled up to the cap
        tried = [each[position] for each in waits]
        assert all(0 <= wait < ceiling for wait in tried)
        assert min(tried) < 0.05 * ceiling  # full jitter: it begins at nothing
        assert max(tried) > 0.95 * ceiling
        assert 0.4 * ceiling < sum(tried) / len(tried) < 0.6 * ceiling


async def test_retry_after_in_seconds_is_waited_for():
    world = build_world(plain(), {"shop": [answer(503, retry_after="7"), answer(429, retry_after="3"), answer()]})
    await world.fl.http("shop").get("/things")
    first, second, third = world.transports["shop"].times_s
    assert second - first == pytest.approx(7)
    assert third - second == pytest.approx(3)


async def test_retry_after_as_a_date_is_measured_from_the_answers_own_date():
    world = build_world(plain(), {"shop": []})
    wrong_clock = world.clock.wall() - 4000
    dates = {"date": formatdate(wrong_clock, usegmt=True), "retry_after": formatdate(wrong_clock + 9, usegmt=True)}
    world.transports["shop"].lines += [answer(503, **dates), answer()]
    await world.fl.http("shop").get("/things")
    first, second = world.transports["shop"].times_s
    assert second - first == pytest.approx(9)


async def test_retry_after_as_a_date_is_measured_from_our_clock_where_the_answer_has_none():
    world = build_world(plain(), {"shop": []})
    world.transports["shop"].lines += [
        answer(503, retry_after=formatdate(world.clock.wall() + 11, usegmt=True)),
        answer(),
    ]
    await world.fl.http("shop").get("/things")
    first, second = world.transports["shop"].times_s
    assert second - first == pytest.approx(11)


@pytest.mark.parametrize("nonsense", ["soon", "-5", "", "1e3", "\uff13"])
async def test_a_retry_after_that_means_nothing_is_left_to_the_backoff(nonsense):
    world = build_world(plain(), {"shop": [answer(503, retry_after=nonsense), answer()]})
    await world.fl.http("shop").get("/things")
    assert world.clock.slept[0] < 0.1
    assert not world.told(ConnectionPaused)


async def test_a_wait_beyond_the_deadline_is_not_waited():
    world = build_world(plain(), {"shop": [answer(429, retry_after="3600")]})
    with pytest.raises(errors.ThrottledError) as caught:
        await world.fl.http("shop").get("/things", deadline_s=10)
    assert caught.value.retry_after_s == 3600
    assert not world.clock.slept
    assert len(world.sent("shop")) == 1
    assert world.told(CallFinished)[0].total_s == 0


async def test_a_date_beyond_the_deadline_is_not_waited_for_either():
    world = build_world(plain(), {"shop": []})
    until = formatdate(world.clock.wall() + 3600, usegmt=True)
    world.transports["shop"].lines += [answer(503, retry_after=until)]
    with pytest.raises(errors.UnavailableError) as caught:
        await world.fl.http("shop").get("/things", deadline_s=10)
    assert caught.value.retry_after_s == pytest.approx(3600, abs=1)
    assert not world.clock.slept


async def test_what_the_vendor_asks_for_is_waited_for_past_the_cap_of_the_backoff():
    world = build_world(plain(), {"shop": [answer(503, retry_after="3600"), answer()]})
    await world.fl.http("shop").get("/things", deadline_s=7200)
    first, second = world.transports["shop"].times_s
    assert second - first == pytest.approx(3600)


async def test_what_the_vendor_asks_for_wins_over_a_longer_backoff():
    world = build_world(
        plain(settings="retry = { base_s = 1000.0, cap_s = 1000.0 }"),
        {"shop": [answer(503, retry_after="1"), answer()]},
    )
    await world.fl.http("shop").get("/things", deadline_s=7200)
    first, second = world.transports["shop"].times_s
    assert second - first == pytest.approx(1)


async def test_a_wait_beyond_the_deadline_is_spent_on_another_connection():
    world = build_world(
        recipes("one") + recipes("two") + route("one", "two"), {"one": [answer(503, retry_after="3600")], "two": SOUP}
    )
    page = await world.fl.recipes.search("soup", deadline_s=10)
    assert page.served_by == "two"
    assert not world.clock.slept


async def test_the_last_backoff_never_passes_the_deadline():
    for seed in range(50):
        text = plain(settings="retry = { max_attempts = 50, base_s = 4.0, cap_s = 4.0 }")
        world = build_world(text, {"shop": Slow(0.2, RESET)}, seed=seed)
        with pytest.raises(errors.FairleadError):
            await world.fl.http("shop").get("/things", deadline_s=10)
        assert world.told(CallFinished)[0].total_s <= 10


async def test_an_attempt_has_its_own_time_and_never_more_than_is_left():
    world = build_world(plain(settings="timeouts = { attempt_s = 4.0 }"), {"shop": Slow(60, SOUP)})
    with pytest.raises(errors.FairleadError):
        await world.fl.http("shop").get("/things", deadline_s=10)
    allowed = [each.timeout_s for each in world.transports["shop"].sent]
    left = [1010 - each.at_s for each in world.transports["shop"].sent]
    assert allowed == pytest.approx([4, 4, left[2]])
    assert left[2] < 2
    assert world.clock.monotonic() <= 1010 + 1e-9


async def test_each_candidate_has_its_share_of_the_time_that_is_left():
    names = ("one", "two", "three")
    world = build_world("".join(map(recipes, names)) + route(*names), dict.fromkeys(names, Slow(60, SOUP)))
    with pytest.raises(errors.FairleadError):
        await world.fl.recipes.search("soup", deadline_s=12)
    allowed = [world.transports[name].sent[0].timeout_s for name in names]
    assert allowed == pytest.approx([12 / 3, 8 / 2, 4 / 1])


async def test_a_candidate_that_times_out_is_left_at_once_for_another():
    world = build_world(recipes("one") + recipes("two") + route("one", "two"), {"one": [TIMEOUT], "two": SOUP})
    page = await world.fl.recipes.search("soup")
    assert page.served_by == "two"
    assert not world.clock.slept


async def test_a_connection_that_fails_quickly_is_retried_before_it_is_left():
    world = build_world(recipes("one") + recipes("two") + route("one", "two"), {"one": answer(500), "two": SOUP})
    page = await world.fl.recipes.search("soup")
    assert page.served_by == "two"
    assert [each.connection for each in report(page).attempts] == ["one", "one", "one", "two"]


async def test_a_body_that_is_no_json_is_asked_for_again():
    world = build_world(recipes("one"), {"one": [HTML, answer(content=b'{"results": [{"id'), SOUP]})
    page = await world.fl.recipes.search("soup")
    assert [each.title for each in page] == ["Soup"]
    assert [each.error for each in report(page).attempts] == ["unexpected_answer", "unexpected_answer", None]
    world.assert_at_rest()


async def test_a_body_of_another_shape_is_not_asked_for_again():
    changed = answer(content={"results": [{"id": "one", "title": "Soup"}]})
    world = build_world(recipes("one"), {"one": [changed]})
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        await world.fl.recipes.search("soup")
    assert caught.value.path == "$.results[0].id"
    assert caught.value.outcome is Outcome.NOT_DONE
    assert not caught.value.is_garbled
    assert len(caught.value.attempts) == 1
    assert world.connection("one").breaker.failures == 0  # the vendor is well, if changed
    world.assert_at_rest()


async def test_a_body_of_another_shape_is_fetched_elsewhere():
    changed = answer(content={"results": {}})
    world = build_world(recipes("one") + recipes("two") + route("one", "two"), {"one": [changed], "two": SOUP})
    page = await world.fl.recipes.search("soup")
    assert page.served_by == "two"
    assert not world.clock.slept


@pytest.mark.parametrize("deadline_s", [0, -1, -1e9, float("nan")])
async def test_a_deadline_that_is_no_time_is_refused(deadline_s):
    world = build_world(plain() + recipes("one"), {"shop": [], "one": []})
    calls = (
        lambda: world.fl.http("shop").get("/x", deadline_s=deadline_s),
        lambda: world.fl.recipes.search("soup", deadline_s=deadline_s),
    )
    for call in calls:
        with pytest.raises(errors.InvalidArgumentError, match="deadline_s"):
            await call()
    world.assert_at_rest()


async def test_a_tiny_deadline_bounds_the_one_attempt():
    world = build_world(plain(), {"shop": Slow(5, SOUP)})
    with pytest.raises(errors.FairleadError):
        await world.fl.http("shop").get("/x", deadline_s=0.001)
    assert [each.timeout_s for each in world.transports["shop"].sent] == pytest.approx([0.001])
    assert world.clock.monotonic() == pytest.approx(1000.001)


async def test_the_deadlines_error_tells_what_was_met_before():
    world = build_world(
        recipes("one") + recipes("two") + route("one", "two"),
        # the first answers as late as it may, and its clock runs on a little
        {"one": lambda _request: late(world), "two": []},
    )
    with pytest.raises(errors.DeadlineExceededError) as caught:
        await world.fl.recipes.search("soup", deadline_s=10)
    assert "Before that, one: The vendor was too slow: timeout after sending" in str(caught.value)
    assert [each.connection for each in caught.value.attempts] == ["one"]
    assert isinstance(caught.value.__cause__, errors.AttemptTimeoutError)


def late(world: World) -> Line:
    world.clock.advance(10.5)
    return TIMEOUT
