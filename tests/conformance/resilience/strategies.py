"""The strategies of Fairlead, put together by hand in the smallest way that is right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from conformance.resilience.subject import Guard, VendorBusyError, VendorFailedError, Work, WrongRequestError
from fairlead.errors import BulkheadFullError, CircuitOpenError, RejectedError
from fairlead.resilience.breaker import Breaker, BreakerOptions
from fairlead.resilience.budget import AFTER_REFUSAL, Budget
from fairlead.resilience.coalesce import Coalescing
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.keyed import KeyedLimit
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.retry import Retry
from fairlead.resilience.windows import Gcra, SlidingWindow
from timers import Timers


class Strategies:
    """Time is a number here: no strategy has a clock that could be set."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._timers = Timers()
        self._random = Random(1).random  # noqa: S311  # jitter

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        options = BreakerOptions(window=failures, min_attempts=failures, failure_share=1.0, open_s=open_s)
        machine = Breaker(options)

        async def guarded(work: Work) -> str:
            ticket = machine.admit(self._timers.now)
            if ticket is None:
                raise CircuitOpenError(f"The circuit is open because of {machine.cause}.")
            try:
                value = await work()
            except WrongRequestError:
                machine.note_answer(ticket, now=self._timers.now)
                raise
            except VendorFailedError as error:
                machine.record(ticket, is_good=False, now=self._timers.now, cause="failed", message=str(error))
                raise
            except BaseException:
                machine.release(ticket)
                raise
            machine.record(ticket, is_good=True, now=self._timers.now)
            return value

        return guarded

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        machine = Concurrency(limit=limit, queue=queue, queue_s=queue_s, later=self._timers.later)

        async def guarded(work: Work) -> str:
            if not machine.admit() and (machine.is_full() or not await machine.wait(queue_s)):
                raise BulkheadFullError
            try:
                return await work()
            finally:
                machine.release()

        return guarded

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        machine, budget = Retry(max_attempts=attempts, base_s=base_s, cap_s=cap_s), Budget()

        async def guarded(work: Work) -> str:
            budget.deposit(self._timers.now)
            failures = 0
            while True:
                asked_s = None
                try:
                    return await work()
                except (VendorFailedError, VendorBusyError) as error:
                    failures += 1
                    asked_s = getattr(error, "retry_after_s", None)
                    if failures >= attempts or not budget.withdraw(AFTER_REFUSAL):
                        raise
                self.sleep(machine.wait_s(failures, self._random, asked_s=asked_s))

        return guarded

    def rate(self, *, requests: int, per_s: float) -> Guard:
        machine = RateLimit(SlidingWindow(requests, per_s))

        async def guarded(work: Work) -> str:
            wait_s = machine.admit(self._timers.now, longest_wait_s=60.0)
            assert wait_s is not None
            if wait_s:
                self.sleep(wait_s)
            return await work()

        return guarded

    def limited_retry(self, *, attempts: int, requests: int, per_s: float) -> Guard:
        limited, retried = self.rate(requests=requests, per_s=per_s), self.retry(attempts=attempts)

        async def guarded(work: Work) -> str:
            return await retried(lambda: limited(work))

        return guarded

    def keyed_rate(self, *, requests: int, per_s: float) -> Callable[[str], Guard]:
        machine = KeyedLimit(Gcra(requests, per_s))

        def of(key: str) -> Guard:
            async def guarded(work: Work) -> str:
                wait_s = machine.admit(key, self._timers.now, longest_wait_s=600.0)
                assert wait_s is not None
                if wait_s:
                    turn = asyncio.get_running_loop().create_future()
                    self._timers.later(wait_s, lambda: turn.set_result(None))
                    await turn
                return await work()

            return guarded

        return of

    def share(self) -> Guard:
        machine = Coalescing()

        async def guarded(work: Work) -> str:
            async def ask() -> str:
                return await work()

            value, _ = await machine.run("key", ask)
            return str(value)

        return guarded

    def is_refusal(self, error: BaseException) -> bool:
        return isinstance(error, RejectedError)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def now(self) -> float:
        return self._timers.now

    def advance(self, seconds: float) -> None:
        self._timers.advance(seconds)

    def step_wall(self, seconds: float) -> None:
        """There is none to set."""
