"""A case that nothing can fail shows nothing: each is run against a library that has its fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from conformance.resilience import test_breaker_faults as breaker
from conformance.resilience import test_bulkhead_faults as bulkhead
from conformance.resilience import test_rate_faults as rate
from conformance.resilience import test_retry_faults as retry
from conformance.resilience import test_sharing_faults as sharing
from conformance.resilience.naive import Naive, RefusedError
from conformance.resilience.subject import Guard, VendorFailedError, Work

Case = Callable[..., Coroutine[Any, Any, None]]


class Shielding(Naive):
    """The request goes on, whoever goes away."""

    def share(self) -> Guard:
        guard = super().share()

        async def guarded(work: Work) -> str:
            return await asyncio.shield(guard(work))

        return guarded


class OneProbe(Naive):
    """One finds out for all, however long it takes."""

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        guard = super().breaker(failures=failures, open_s=open_s)
        begun = 0

        async def guarded(work: Work) -> str:
            nonlocal begun
            begun += 1
            if begun > failures + 2:  # those that opened it, the one that saw so, and the probe
                raise RefusedError
            return await guard(work)

        return guarded


#: The case, and its parameters. What is left out asks for a strategy that does something at all.
FAILING: list[tuple[Case, dict[str, Any]]] = [
    (breaker.test_half_open_herd, {}),
    (breaker.test_cancellation_opens_the_circuit, {}),
    (breaker.test_a_cancelled_probe_closes_the_circuit, {}),
    (breaker.test_a_late_answer_moves_the_circuit, {"error": None}),
    (breaker.test_a_late_answer_moves_the_circuit, {"error": VendorFailedError}),
    (breaker.test_the_tripping_exception_is_replaced, {}),
    (breaker.test_one_exception_object_is_raised_thousands_of_times, {}),
    (breaker.test_a_wall_clock_that_is_set_moves_the_circuit, {"step_s": 500}),
    (breaker.test_a_wall_clock_that_is_set_moves_the_circuit, {"step_s": -500}),
    (breaker.test_every_exception_counts, {}),
    (breaker.test_a_probe_with_a_wrong_request_leaves_the_circuit_half_open_for_ever, {}),
    (bulkhead.test_the_queue_has_no_end, {"queue": 0}),
    (bulkhead.test_a_waiter_that_is_cancelled_leaks_capacity, {}),
    (bulkhead.test_whoever_is_cancelled_under_way_leaks_capacity, {}),
    (bulkhead.test_a_failure_leaks_capacity, {}),
    (bulkhead.test_a_wait_that_ends_leaves_its_task_half_cancelled, {}),
    (retry.test_jitter_is_lost_at_the_cap, {}),
    (retry.test_retry_after_is_cut_short, {"asked_s": 3600}),
    (retry.test_a_request_that_is_wrong_is_repeated, {}),
    (retry.test_more_tries_than_asked_for, {}),
    (rate.test_more_than_the_limit_go_out_around_a_border, {}),
    (rate.test_a_wall_clock_that_is_set_moves_the_turns, {"step_s": 500}),
    (rate.test_a_wall_clock_that_is_set_moves_the_turns, {"step_s": -500}),
    (rate.test_retries_bypass_the_limiter, {}),
    (rate.test_one_key_waits_behind_another_that_is_blocked, {}),
    (sharing.test_who_asked_first_takes_the_others_along, {}),
    (sharing.test_a_failure_is_kept, {}),
]


@pytest.mark.parametrize(("case", "parameters"), FAILING, ids=lambda each: getattr(each, "__name__", ""))
async def test_a_library_with_the_fault_is_seen(case: Case, parameters: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, TimeoutError, RefusedError, VendorFailedError)):
        async with asyncio.timeout(0.3):
            await case(Naive(), **parameters)


async def test_a_library_that_waits_for_its_probe_for_ever_is_seen() -> None:
    with pytest.raises(RefusedError):
        await breaker.test_a_probe_that_never_comes_back_blocks_for_ever(OneProbe())


async def test_a_library_that_never_gives_a_request_up_is_seen() -> None:
    with pytest.raises(AssertionError):
        await sharing.test_nobody_waits_any_more_and_it_goes_on(Shielding())
