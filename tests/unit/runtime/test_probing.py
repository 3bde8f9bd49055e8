"""Probes in the background: when they are sent, that they are calls like others, and that they end."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.observe.events import CallFinished, HealthChanged
from fairlead.runtime.health import connection_health
from scripted import RESET, SOUP, World, answer, build_world, recipes, route, turns
from timers import HeldClock

SETTINGS = """
retry = { max_attempts = 1 }
breaker = { window = 1000, min_attempts = 1000 }
health = { min_attempts = 10, probe_s = 10.0, rise = 2, ramp_s = 40.0, probes = true }
"""
ROUTE = route("one", "two", settings="cache = { ttl_s = 0 }")


async def struck_down(settings: str = SETTINGS) -> tuple[World, HeldClock]:
    """Let the first fail until it is down."""
    clock = HeldClock()
    world = build_world(recipes("one", settings) + recipes("two") + ROUTE, {"one": RESET, "two": SOUP}, clock=clock)
    for _ in range(10):
        await world.fl.recipes.search("soup")
    assert connection_health(world.fl)[0].condition == "down"
    await turns()
    return world, clock


async def let_pass(clock: HeldClock, seconds: float) -> None:
    clock.advance(seconds)
    await turns()


async def test_what_is_down_is_probed_until_it_is_up_again() -> None:
    world, clock = await struck_down()
    asked = len(world.sent("one"))
    await let_pass(clock, 7.9)
    assert len(world.sent("one")) == asked  # a probe is early by a fifth at most
    await let_pass(clock, 4.2)
    assert len(world.sent("one")) == asked + 1
    world.transports["one"].otherwise = SOUP
    for _ in range(12):
        await let_pass(clock, 12.0)
    assert [each.after for each in world.told(HealthChanged)] == ["down", "degraded", "up"]
    assert clock.sleeping == 0
    assert clock.slept == pytest.approx([10.0] * len(clock.slept), abs=2.0)
    assert len(set(clock.slept)) == len(clock.slept)  # no two processes keep in step
    await world.fl.close()


async def test_a_probe_is_a_call_like_any_other() -> None:
    world, clock = await struck_down()
    await let_pass(clock, 12.0)
    probe = world.told(CallFinished)[-1]
    assert (probe.operation, probe.error, probe.attempts) == ("health.probe", "connection_lost", 1)
    assert dict(world.sent("one")[-1].headers)["x-api-key"]
    await world.fl.close()


async def test_a_probe_that_is_refused_says_nothing_and_is_repeated() -> None:
    world, clock = await struck_down()
    world.connection("one").pause.begin(20.0, "throttled", clock.monotonic())
    asked = len(world.sent("one"))
    await let_pass(clock, 12.0)
    assert len(world.sent("one")) == asked
    await let_pass(clock, 12.0)
    assert len(world.sent("one")) == asked + 1
    await world.fl.close()


async def test_while_probes_are_sent_no_call_is_risked() -> None:
    world, clock = await struck_down()
    world.transports["one"].otherwise = answer(401)  # it says nothing of the vendor's health
    for _ in range(5):
        await let_pass(clock, 12.0)
        assert (await world.fl.recipes.search("soup")).served_by == "two"
    await world.fl.close()


async def test_none_is_sent_where_it_would_cost_something() -> None:
    _, clock = await struck_down(SETTINGS.replace(", probes = true", ""))
    assert clock.sleeping == 0


async def test_none_is_sent_while_all_is_well() -> None:
    clock = HeldClock()
    world = build_world(recipes("one", SETTINGS), {"one": SOUP}, clock=clock)
    await world.fl.recipes.search("soup")
    assert clock.slept == []


async def test_none_outlives_the_end() -> None:
    world, clock = await struck_down()
    before = asyncio.all_tasks()
    await world.fl.close()
    assert len(before - asyncio.all_tasks()) == 1
    asked = len(world.sent("one"))
    await let_pass(clock, 100.0)
    assert len(world.sent("one")) == asked


async def test_the_child_of_a_fork_sends_its_own() -> None:
    world, clock = await struck_down()
    (parents,) = world.fl._calls.prober._tasks.values()
    world.fl.disown()
    await world.fl.recipes.search("soup")
    (own,) = world.fl._calls.prober._tasks.values()
    assert own is not parents
    assert not parents.done()  # it is not touched: it is the parent's
    parents.cancel()
    await world.fl.close()
    await let_pass(clock, 1.0)


async def test_the_deadline_of_a_call_is_not_that_of_the_probes_it_starts() -> None:
    clock = HeldClock()
    world = build_world(recipes("one", SETTINGS) + recipes("two") + ROUTE, {"one": RESET, "two": SOUP}, clock=clock)
    with world.fl.deadline(1.0):
        for _ in range(10):
            await world.fl.recipes.search("soup")
    await turns()
    await let_pass(clock, 12.0)
    assert world.told(CallFinished)[-1].error == "connection_lost"
    await world.fl.close()
