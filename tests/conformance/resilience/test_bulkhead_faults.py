"""Faults that bulkheads have been seen to have, each as the case that shows it."""

from __future__ import annotations

import asyncio

import pytest

from conformance.resilience.subject import Guard, Subject, VendorFailedError
from conformance.resilience.vendor import Vendor, caught, start, turns

LIMIT = 2


async def most_at_once(guard: Guard) -> int:
    """Return how many get through to a vendor that keeps them all."""
    vendor = Vendor(is_gated=True)
    calls = start(guard, vendor, LIMIT + 5)
    await turns()
    most = vendor.under_way
    vendor.open()
    await asyncio.gather(*calls, return_exceptions=True)
    return most


async def test_more_than_the_limit_are_under_way(subject: Subject) -> None:
    assert await most_at_once(subject.bulkhead(limit=LIMIT, queue=10)) == LIMIT


@pytest.mark.parametrize("queue", [0, 3])
async def test_the_queue_has_no_end(subject: Subject, queue: int) -> None:
    guard = subject.bulkhead(limit=LIMIT, queue=queue)
    vendor = Vendor(is_gated=True)
    calls = start(guard, vendor, LIMIT + queue)
    await turns()
    assert subject.is_refusal(await caught(guard, vendor))
    vendor.open()
    assert await asyncio.gather(*calls) == ["served"] * (LIMIT + queue)


async def test_a_waiter_that_is_cancelled_leaks_capacity(subject: Subject) -> None:
    guard = subject.bulkhead(limit=LIMIT, queue=10)
    vendor = Vendor(is_gated=True)
    inside = start(guard, vendor, LIMIT)
    await turns()
    waiting = start(guard, vendor, 10)
    await turns()
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    vendor.open()
    await asyncio.gather(*inside)
    assert await most_at_once(guard) == LIMIT
    everybody = await asyncio.gather(*start(guard, Vendor(), LIMIT + 10), return_exceptions=True)
    assert everybody.count("served") == LIMIT + 10


@pytest.mark.parametrize("turns_between", range(12))
async def test_a_waiter_that_is_cancelled_as_its_place_comes_free_leaks_capacity(
    subject: Subject, turns_between: int
) -> None:
    guard = subject.bulkhead(limit=LIMIT, queue=10)
    vendor = Vendor(is_gated=True)
    inside = start(guard, vendor, LIMIT)
    await turns()
    other = Vendor()
    waiting = start(guard, other, 3)
    await turns()
    vendor.open()
    await turns(turns_between)
    for call in waiting:
        call.cancel()
    await asyncio.gather(*inside, *waiting, return_exceptions=True)
    assert await most_at_once(guard) == LIMIT


async def test_whoever_is_cancelled_under_way_leaks_capacity(subject: Subject) -> None:
    guard = subject.bulkhead(limit=LIMIT, queue=10)
    calls = start(guard, Vendor(is_gated=True), LIMIT)
    await turns()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert await most_at_once(guard) == LIMIT


async def test_a_failure_leaks_capacity(subject: Subject) -> None:
    guard = subject.bulkhead(limit=LIMIT, queue=10)
    for _ in range(10):
        await caught(guard, Vendor(VendorFailedError))
    assert await most_at_once(guard) == LIMIT


async def test_a_wait_that_ends_leaves_its_task_half_cancelled(subject: Subject) -> None:
    """`Task.cancelling()` must be 0 again, or the next timeout of the caller goes wrong."""
    guard = subject.bulkhead(limit=1, queue=1, queue_s=0.01)
    vendor = Vendor(is_gated=True)
    (inside,) = start(guard, vendor)
    await turns()

    async def wait() -> int:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(Exception) as refused:  # noqa: PT011  # each library has its own
            await guard(Vendor())
        assert subject.is_refusal(refused.value)
        return task.cancelling()

    waiting = asyncio.create_task(wait())
    await turns()
    subject.advance(0.01)
    assert await waiting == 0
    vendor.open()
    await inside
