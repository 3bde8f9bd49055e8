"""A clock that goes, and can be set forward."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.testing.clock import ForwardClock

HOUR_S = 3600.0
PATIENCE_S = 10.0


async def test_whoever_sleeps_wakes_up_when_it_is_set_forward_as_far() -> None:
    clock = ForwardClock()
    before, wall = clock.monotonic(), clock.wall()
    sleeping = asyncio.create_task(clock.sleep(HOUR_S))
    await clock.sleep(0)
    clock.set_forward(HOUR_S / 2)
    await clock.sleep(0)
    assert not sleeping.done()
    clock.set_forward(HOUR_S / 2)
    async with asyncio.timeout(PATIENCE_S):
        await sleeping
    assert clock.monotonic() - before >= HOUR_S
    assert clock.wall() - wall >= HOUR_S - 1  # the machine's may be set back a little


async def test_it_goes_by_itself() -> None:
    clock = ForwardClock()
    before = clock.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01


def test_it_is_not_set_back() -> None:
    with pytest.raises(ValueError, match="Time does not go back by 1 s"):
        ForwardClock().set_forward(-1)
