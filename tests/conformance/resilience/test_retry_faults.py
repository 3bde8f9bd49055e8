"""Faults that retries have been seen to have, each as the case that shows it."""

from __future__ import annotations

import pytest

from conformance.resilience.subject import Subject, VendorBusyError, VendorFailedError, WrongRequestError
from conformance.resilience.vendor import Vendor, caught, turns

CAP_S = 5.0


class Once(Vendor):
    """Fails the first time alone."""

    async def __call__(self) -> str:
        try:
            return await super().__call__()
        finally:
            self.error = None


async def test_jitter_is_lost_at_the_cap(subject: Subject) -> None:
    """With the jitter under the cap, late tries of many callers meet at the very same second."""
    guard = subject.retry(attempts=10, base_s=CAP_S, cap_s=CAP_S)
    await caught(guard, Vendor(VendorFailedError))
    assert len(subject.slept) >= 8
    assert len(set(subject.slept)) > len(subject.slept) / 2
    assert min(subject.slept) >= 0
    assert max(subject.slept) <= CAP_S
    assert max(subject.slept) - min(subject.slept) > CAP_S / 3


@pytest.mark.parametrize("asked_s", [1, 60, 3600])
async def test_retry_after_is_cut_short(subject: Subject, asked_s: float) -> None:
    """What the vendor asked for is waited for whole, or not at all; never up to the cap alone."""
    guard = subject.retry(attempts=3, base_s=0.1, cap_s=CAP_S)
    vendor = Once(VendorBusyError(asked_s))
    assert await guard(vendor) == "served"
    assert sum(subject.slept) >= asked_s
    assert vendor.asked == 2


async def test_a_request_that_is_wrong_is_repeated(subject: Subject) -> None:
    vendor = Vendor(WrongRequestError)
    await caught(subject.retry(attempts=5), vendor)
    assert vendor.asked == 1


async def test_more_tries_than_asked_for(subject: Subject) -> None:
    vendor = Vendor(VendorFailedError)
    await caught(subject.retry(attempts=4), vendor)
    assert vendor.asked == 4
    await turns()
    assert vendor.asked == 4


async def test_retries_multiply_the_load_of_a_dying_vendor(budgeted: Subject) -> None:
    """A thousand calls in ten seconds, none of which is served: 1.2 times as many requests, and ten."""
    guard = budgeted.retry(attempts=3, base_s=1e-9, cap_s=1e-9)
    vendor = Vendor(VendorFailedError)
    for _ in range(1000):
        await caught(guard, vendor)
        budgeted.advance(0.01)
    assert 1100 < vendor.asked <= 1000 * 1.2 + 10
