"""Faults that circuit breakers have been seen to have, each as the case that shows it."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from conformance.resilience.subject import Subject, VendorFailedError, WrongRequestError
from conformance.resilience.vendor import Vendor, caught, start, tripped, turns

FAILURES, OPEN_S = 2, 5.0
HERD = 50


async def end(*tasks: asyncio.Task[str]) -> list[str | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_half_open_herd(subject: Subject) -> None:
    """When the time is over, fifty callers are there; one of them finds out for all."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.advance(OPEN_S)
    vendor = Vendor(is_gated=True)
    herd = start(guard, vendor, HERD)
    await turns()
    assert vendor.asked == 1
    vendor.open()
    ended = await end(*herd)
    assert ended.count("served") == 1
    assert sum(isinstance(each, BaseException) and subject.is_refusal(each) for each in ended) == HERD - 1
    assert await guard(Vendor()) == "served"


async def test_cancellation_opens_the_circuit(subject: Subject) -> None:
    """Callers who go away say nothing about the vendor."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    calls = start(guard, Vendor(is_gated=True), 20)
    await turns()
    for call in calls:
        call.cancel()
    assert all(isinstance(each, asyncio.CancelledError) for each in await end(*calls))
    assert await guard(Vendor()) == "served"


async def test_a_cancelled_probe_closes_the_circuit(subject: Subject) -> None:
    """Nor does the one that was to find out; the next one is to."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.advance(OPEN_S)
    (probe,) = start(guard, Vendor(is_gated=True))
    await turns()
    probe.cancel()
    await end(probe)
    bad = Vendor(VendorFailedError)
    await caught(guard, bad)
    assert bad.asked == 1
    assert subject.is_refusal(await caught(guard, Vendor()))


async def test_a_bad_probe_closes_the_circuit(subject: Subject) -> None:
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.advance(OPEN_S)
    await caught(guard, Vendor(VendorFailedError))
    assert subject.is_refusal(await caught(guard, Vendor()))


@pytest.mark.parametrize("error", [None, VendorFailedError])
async def test_a_late_answer_moves_the_circuit(subject: Subject, error: type[Exception] | None) -> None:
    """What was asked before it opened says nothing about now: it neither closes it nor keeps it open for longer."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    early = Vendor(error, is_gated=True)
    (late,) = start(guard, early)
    await turns()
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.advance(OPEN_S / 2)
    early.open()
    await end(late)
    assert subject.is_refusal(await caught(guard, Vendor()))
    subject.advance(OPEN_S / 2)
    assert await guard(Vendor()) == "served"


async def test_the_tripping_exception_is_replaced(subject: Subject) -> None:
    """Whose failure opens the circuit is told of the failure, and not of the circuit."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    for _ in range(FAILURES):
        error = await caught(guard, Vendor(VendorFailedError))
        assert not subject.is_refusal(error)
    assert subject.is_refusal(await caught(guard, Vendor()))


async def test_one_exception_object_is_raised_thousands_of_times(subject: Subject) -> None:
    """It would gather the frames of all who ever raised it, and keep what they hold alive."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    refusals = [await caught(guard, Vendor()) for _ in range(300)]
    assert len({id(refusal) for refusal in refusals}) == 300
    depths = [len(traceback.extract_tb(refusal.__traceback__)) for refusal in refusals]
    assert max(depths) == min(depths)


@pytest.mark.parametrize("step_s", [OPEN_S * 100, -OPEN_S * 100])
async def test_a_wall_clock_that_is_set_moves_the_circuit(subject: Subject, step_s: float) -> None:
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.step_wall(step_s)
    assert subject.is_refusal(await caught(guard, Vendor()))
    subject.advance(OPEN_S)
    assert await guard(Vendor()) == "served"


async def test_every_exception_counts(subject: Subject) -> None:
    """A vendor that says 'your request is wrong' is well."""
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    for _ in range(20):
        assert not subject.is_refusal(await caught(guard, Vendor(WrongRequestError)))
    assert await guard(Vendor()) == "served"


async def test_a_probe_with_a_wrong_request_leaves_the_circuit_half_open_for_ever(subject: Subject) -> None:
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.advance(OPEN_S)
    assert not subject.is_refusal(await caught(guard, Vendor(WrongRequestError)))
    assert await guard(Vendor()) == "served"


async def test_a_probe_that_never_comes_back_blocks_for_ever(subject: Subject) -> None:
    guard = subject.breaker(failures=FAILURES, open_s=OPEN_S)
    await tripped(subject, guard, FAILURES, VendorFailedError)
    subject.advance(OPEN_S)
    (lost,) = start(guard, Vendor(is_gated=True))
    await turns()
    subject.advance(3600)
    assert await guard(Vendor()) == "served"
    lost.cancel()
    await end(lost)
