"""A connection that is not well is asked last, is tried now and then, and gets its traffic back by steps."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.observe.events import AttemptFinished, HealthChanged
from fairlead.runtime.health import connection_health, is_ready
from scripted import RESET, SOUP, World, answer, build_world, recipes, report, route

#: No breaker in the way, and nothing kept.
SETTINGS = """
retry = { max_attempts = 1 }
breaker = { window = 1000, min_attempts = 1000 }
health = { min_attempts = 10, probe_s = 10.0, rise = 2, ramp_s = 40.0 }
"""
TWO = (
    recipes("one", SETTINGS)
    + recipes("two", SETTINGS)
    + route("one", "two", settings="cache = { ttl_s = 0, stale_if_error_s = 0 }")
)


async def search(world: World, times: int = 1) -> list[str]:
    """Return who served."""
    return [str((await world.fl.recipes.search("soup")).served_by) for _ in range(times)]


async def struck_down() -> World:
    """Let the first fail until it is down."""
    world = build_world(TWO, {"one": RESET, "two": SOUP})
    await search(world, 10)
    assert connection_health(world.fl)[0].condition == "down"
    return world


async def test_what_is_down_is_passed_over_and_the_report_says_so():
    world = await struck_down()
    asked = len(world.sent("one"))
    page = await world.fl.recipes.search("soup")
    assert page.served_by == "two"
    assert len(world.sent("one")) == asked
    passed_over, served = report(page).attempts
    assert (passed_over.connection, passed_over.was_tried, passed_over.error) == ("one", False, "unhealthy")
    assert (served.connection, served.was_tried) == ("two", True)
    assert tuple(each.attempt for each in world.told(AttemptFinished)[-2:]) == report(page).attempts


async def test_what_is_down_is_asked_when_all_others_have_failed():
    world = await struck_down()
    world.transports["one"].otherwise = SOUP
    world.transports["two"].otherwise = RESET
    page = await world.fl.recipes.search("soup")
    assert [(each.connection, each.error) for each in report(page).attempts] == [
        ("one", "unhealthy"),
        ("two", "connection_lost"),
        ("one", None),
    ]


async def test_when_all_are_down_the_order_of_the_route_counts_again():
    world = await struck_down()
    world.transports["two"].otherwise = RESET
    for _ in range(20):
        with pytest.raises(errors.UnavailableError):
            await world.fl.recipes.search("soup")
    assert [each.condition for each in connection_health(world.fl)] == ["down", "down"]
    assert is_ready(world.fl)  # nothing refuses to be asked
    world.transports["one"].otherwise = SOUP
    page = await world.fl.recipes.search("soup")
    assert [each.connection for each in report(page).attempts] == ["one"]


async def test_now_and_then_a_call_finds_out_and_the_traffic_comes_back_by_steps():
    world = await struck_down()
    world.transports["one"].otherwise = SOUP
    assert await search(world, 5) == ["two"] * 5
    world.clock.advance(12.0)
    assert await search(world, 3) == ["one", "two", "two"]
    world.clock.advance(12.0)
    assert await search(world) == ["one"]  # the second good one in a row brings it back
    assert connection_health(world.fl)[0].reasons == ("recovering: 5% of its traffic",)
    shares = []
    for _ in range(4):
        shares.append((await search(world, 400)).count("one") / 400)
        world.clock.advance(10.0)
    assert shares == pytest.approx([0.05, 0.1, 0.25, 0.5], abs=0.07)
    assert await search(world, 20) == ["one"] * 20
    assert [(each.before, each.after, each.cause) for each in world.told(HealthChanged)] == [
        ("up", "down", "connection_lost"),
        ("down", "degraded", "connection_lost"),
        ("degraded", "up", "connection_lost"),
    ]


async def test_a_trial_that_fails_costs_the_caller_no_answer():
    world = await struck_down()
    world.clock.advance(100.0)
    await search(world)
    world.clock.advance(100.0)
    page = await world.fl.recipes.search("soup")
    assert [(each.connection, each.error) for each in report(page).attempts] == [
        ("one", "connection_lost"),
        ("two", None),
    ]
    assert await search(world, 3) == ["two"] * 3


async def test_a_follow_up_goes_to_its_vendor_though_it_is_down():
    world = await struck_down()
    world.transports["one"].otherwise = answer(content={"id": 1, "title": "Soup 1"})
    recipe = await world.fl.recipes.fetch("one:1")
    assert recipe.served_by == "one"


async def test_a_circuit_that_stays_open_makes_it_down():
    settings = "retry = { max_attempts = 1 }\nbreaker = { open_s = 50.0 }"
    world = build_world(recipes("one", settings) + recipes("two") + route("one", "two"), {"one": RESET, "two": SOUP})
    for number in range(12):
        await world.fl.recipes.search(f"soup {number}")
    assert [each.after for each in world.told(HealthChanged)] == ["down"]


async def test_a_fault_of_the_request_is_a_sign_of_health():
    world = build_world(TWO, {"one": answer(404), "two": SOUP})
    for _ in range(20):
        with pytest.raises(errors.NotFoundError):
            await world.fl.recipes.search("soup")
    assert world.told(HealthChanged) == []


async def test_how_it_is_comes_with_its_reasons():
    world = await struck_down()
    first, second = connection_health(world.fl)
    assert (first.condition, first.is_up, first.share) == ("down", True, None)
    assert first.reasons == ("down of late: connection_lost",)
    assert (second.condition, second.reasons) == ("up", ())
    world.connection("two").pause.begin(60, "throttled", world.clock.monotonic())
    second = connection_health(world.fl)[1]
    assert (second.condition, second.is_up, second.retry_after_s) == ("down", False, 60)
    assert second.reasons == ("paused: throttled",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("health = { down_share = 0.9, degraded_share = 0.5 }", "health.down_share must not be above"),
    ],
)
def test_what_contradicts_is_refused(settings: str, said: str) -> None:
    with pytest.raises(errors.InvalidSettingError) as caught:
        build_world(recipes("one", settings), {"one": SOUP})
    assert str(caught.value).startswith(f"test.toml: connections.one.{said}")


def test_what_cannot_be_probed_is_not() -> None:
    text = '[connections.shop]\nbase_url = "https://shop.test"\nhealth = { probes = true }'
    with pytest.raises(
        errors.InvalidSettingError, match=r"connections.shop.health.probes is set, and shop has no probe"
    ):
        build_world(text, {"shop": SOUP})
