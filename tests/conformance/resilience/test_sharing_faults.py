"""Faults that the sharing of one answer has been seen to have, each as the case that shows it."""

from __future__ import annotations

import asyncio

from conformance.resilience.subject import Subject, VendorFailedError
from conformance.resilience.vendor import Vendor, caught, start, turns

HERD = 50


async def test_a_herd_asks_more_than_once(subject: Subject) -> None:
    guard, vendor = subject.share(), Vendor(is_gated=True)
    herd = start(guard, vendor, HERD)
    await turns()
    vendor.open()
    assert await asyncio.gather(*herd) == ["served"] * HERD
    assert vendor.asked == 1


async def test_who_asked_first_takes_the_others_along(subject: Subject) -> None:
    """The caller whose request it was goes away; the others are served all the same, and by that request."""
    guard, vendor = subject.share(), Vendor(is_gated=True)
    first, *others = start(guard, vendor, HERD)
    await turns()
    first.cancel()
    await turns()
    vendor.open()
    assert await asyncio.gather(*others, return_exceptions=True) == ["served"] * (HERD - 1)
    assert vendor.asked == 1


async def test_a_failure_is_kept(subject: Subject) -> None:
    """Who asks after a failure asks anew."""
    guard = subject.share()
    await caught(guard, Vendor(VendorFailedError))
    assert await guard(Vendor()) == "served"


async def test_nobody_waits_any_more_and_it_goes_on(subject: Subject) -> None:
    """When the last one has gone away, the request is given up."""
    guard, vendor = subject.share(), Vendor(is_gated=True)
    herd = start(guard, vendor, 3)
    await turns()
    for caller in herd:
        caller.cancel()
    await asyncio.gather(*herd, return_exceptions=True)
    await turns()
    assert vendor.under_way == 0
