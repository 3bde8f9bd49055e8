"""Faults that rate limiters have been seen to have, each as the case that shows it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from conformance.resilience.subject import Guard, Subject, VendorFailedError
from conformance.resilience.vendor import Vendor, start, turns

LIMIT, PER_S = 10, 1.0
# What the clock of a limiter may round away.
TICK_S = 0.002


async def begun(subject: Subject, guard: Guard, times: int) -> list[float]:
    """Call one after the other; return when each began."""
    seen: list[float] = []

    class Noting(Vendor):
        async def __call__(self) -> str:
            seen.append(subject.now())
            return await super().__call__()

    for _ in range(times):
        assert await guard(Noting()) == "served"
    return seen


def most_in_a_window(seen: list[float]) -> int:
    """Return how many began within some one window of the limit's length."""
    return max(sum(0 <= each - first < PER_S - TICK_S for each in seen) for first in seen)


async def test_more_than_the_limit_go_out_around_a_border(subject: Subject) -> None:
    """A vendor that counts in a sliding window, or in windows that begin elsewhere, refuses what is too much."""
    guard = subject.rate(requests=LIMIT, per_s=PER_S)
    seen = await begun(subject, guard, 1)
    subject.advance(PER_S * 0.9)
    seen += await begun(subject, guard, LIMIT * 3)
    assert most_in_a_window(seen) <= LIMIT


async def test_the_limit_is_not_used(subject: Subject) -> None:
    """What is allowed is to be had."""
    guard = subject.rate(requests=LIMIT, per_s=PER_S)
    seen = await begun(subject, guard, LIMIT * 5)
    assert seen[-1] - seen[0] < PER_S * 5.5


@pytest.mark.parametrize("step_s", [500.0, -500.0])
async def test_a_wall_clock_that_is_set_moves_the_turns(subject: Subject, step_s: float) -> None:
    guard = subject.rate(requests=LIMIT, per_s=PER_S)
    seen = await begun(subject, guard, LIMIT)
    subject.step_wall(step_s)
    seen += await begun(subject, guard, LIMIT)
    assert PER_S / 4 < seen[-1] - seen[0] < PER_S * 3


async def test_retries_bypass_the_limiter(subject: Subject) -> None:
    """A retry is a request: the vendor counts it, so the limiter must."""
    guard = subject.limited_retry(attempts=3, requests=LIMIT, per_s=PER_S)
    seen: list[float] = []

    async def failing() -> str:
        seen.append(subject.now())
        raise VendorFailedError("failed")

    for _ in range(LIMIT):
        with suppress(Exception):  # whichever error a library ends with
            await guard(failing)
    assert len(seen) > LIMIT, "nothing was tried again"
    assert most_in_a_window(seen) <= LIMIT


async def test_one_key_waits_behind_another_that_is_blocked(subject: Subject) -> None:
    keyed = subject.keyed_rate(requests=1, per_s=60.0)
    blocked, other = keyed("a"), keyed("b")
    assert await blocked(Vendor()) == "served"
    waiting = start(blocked, Vendor())
    await turns()
    vendor = Vendor()
    since = subject.now()
    free = start(other, vendor)
    await turns()
    asked, waited_s = vendor.asked, subject.now() - since
    for task in (*waiting, *free):
        task.cancel()
    assert asked == 1
    assert waited_s < 1
