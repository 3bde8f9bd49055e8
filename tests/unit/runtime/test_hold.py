"""A circuit that somebody holds by hand."""

from __future__ import annotations

import pytest

from fairlead.config.read import parse_settings
from fairlead.errors import CircuitOpenError, UnavailableError, UnknownConnectionError
from fairlead.observe.events import BreakerChanged
from fairlead.resilience.breaker import State
from scripted import answer, build_world, plain

NO_REPEATS = "retry = { max_attempts = 1 }"


async def test_held_open_nothing_is_sent_and_left_to_itself_a_probe_finds_out() -> None:
    world = build_world(plain(), {"shop": answer()})
    assert await world.fl.hold_circuit("shop", "open") is State.FORCED_OPEN
    with pytest.raises(CircuitOpenError) as caught:
        await world.fl.http("shop").get("/x")
    assert caught.value.retry_after_s is None
    assert world.sent("shop") == []
    assert await world.fl.hold_circuit("shop", None) is State.HALF_OPEN
    await world.fl.http("shop").get("/x")
    changes = [(each.before, each.after) for each in world.told(BreakerChanged)]
    assert changes == [("closed", "forced_open"), ("forced_open", "half_open"), ("half_open", "closed")]
    world.assert_at_rest()


async def test_held_closed_failures_open_nothing() -> None:
    world = build_world(plain(settings=NO_REPEATS), {"shop": answer(503)})
    await world.fl.hold_circuit("shop", "closed")
    for _ in range(30):
        with pytest.raises(UnavailableError):
            await world.fl.http("shop").get("/x")
    assert world.connection("shop").breaker.state is State.FORCED_CLOSED


async def test_to_hold_what_is_held_changes_nothing() -> None:
    world = build_world(plain(), {"shop": answer()})
    for state in ("open", "open", "closed", "closed", None, None):
        await world.fl.hold_circuit("shop", state)
    assert len(world.told(BreakerChanged)) == 3


async def test_a_hold_lasts_through_a_reload_of_the_breaker() -> None:
    world = build_world(plain(), {"shop": answer()})
    await world.fl.hold_circuit("shop", "open")
    await world.fl.reload(parse_settings(plain(settings="breaker = { window = 7 }")))
    assert world.connection("shop").breaker.state is State.FORCED_OPEN


async def test_a_connection_that_is_not_there_cannot_be_held() -> None:
    world = build_world(plain(), {"shop": answer()})
    with pytest.raises(UnknownConnectionError):
        await world.fl.hold_circuit("shp", "open")
