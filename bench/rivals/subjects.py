"""The libraries of the field behind the protocol of the cases, each as its own documentation puts it together.

Where a library has an option that a case is about, it is set. What it does not have is not written for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

import aiobreaker
import aiocache
import aiolimiter
import aioresilience
import backoff
import httpx
import httpx_retries
import hyx.bulkhead
import hyx.bulkhead.exceptions
import hyx.circuitbreaker
import hyx.circuitbreaker.exceptions
import hyx.ratelimit
import hyx.ratelimit.exceptions
import hyx.retry
import hyx.retry.backoffs
import hyx.retry.jitters
import hyx.timeout
import hyx.timeout.exceptions
import interlock
import limits
import limits.aio.storage
import limits.aio.strategies
import purgatory
import purgatory.domain.model
import pybreaker
import pyrate_limiter
import pyresilience
import redress
import redress.classify
import redress.strategies
import stamina
import tenacity
from aioresilience.exceptions import ResilienceError
from cashews import Cache
from clock import CLOCK, TICK_S

from conformance.resilience.subject import Guard, VendorBusyError, VendorFailedError, Work, WrongRequestError

logging.disable(logging.CRITICAL)
stamina.instrumentation.set_on_retry_hooks([])
RETRIED = (VendorFailedError, VendorBusyError)


class NotOfferedError(Exception):
    """The library has no such strategy."""


def not_offered(*_args: object, **_options: object) -> NoReturn:
    """Say so."""
    raise NotOfferedError


class Rival:
    """What all have in common: they read the clock themselves."""

    package = ""
    refusals: tuple[type[BaseException], ...] = ()
    breaker: Callable[..., Guard] = staticmethod(not_offered)
    bulkhead: Callable[..., Guard] = staticmethod(not_offered)
    retry: Callable[..., Guard] = staticmethod(not_offered)
    rate: Callable[..., Guard] = staticmethod(not_offered)
    limited_retry: Callable[..., Guard] = staticmethod(not_offered)
    keyed_rate: Callable[..., Callable[[str], Guard]] = staticmethod(not_offered)
    share: Callable[..., Guard] = staticmethod(not_offered)
    #: Whether it bounds what retries add to the load.
    has_budget = False

    def __init__(self) -> None:
        CLOCK.slept.clear()
        CLOCK.is_held = False

    @property
    def slept(self) -> list[float]:
        """How long each wait between tries was."""
        return CLOCK.slept

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the library raised this in place of a call."""
        return isinstance(error, self.refusals)

    def now(self) -> float:
        """Return the monotonic time."""
        return CLOCK.monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        CLOCK.monotonic += seconds + TICK_S

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock."""
        CLOCK.wall_offset += seconds


def asked_s(error: BaseException | None) -> float | None:
    """Return the seconds that the vendor asked for."""
    return error.retry_after_s if isinstance(error, VendorBusyError) else None


class Stamina(Rival):
    """Retries."""

    package = "stamina"

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """A hook may say how long to wait."""

        def hook(error: Exception) -> bool | float:
            return asked_s(error) or isinstance(error, RETRIED)

        caller = stamina.AsyncRetryingCaller(
            attempts=attempts, timeout=None, wait_initial=base_s, wait_max=cap_s, wait_jitter=min(1.0, cap_s)
        )

        async def guarded(work: Work) -> str:
            return await caller(hook, work)

        return guarded


class Tenacity(Rival):
    """Retries, whose wait is a function."""

    package = "tenacity"

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """Follow the documented jitter, and wait what the vendor asks for by a function of the caller's own."""
        usual = tenacity.wait_random_exponential(multiplier=base_s, max=cap_s)

        def wait(state: tenacity.RetryCallState) -> float:
            return asked_s(state.outcome.exception() if state.outcome else None) or usual(state)

        async def guarded(work: Work) -> str:
            async for attempt in tenacity.AsyncRetrying(
                stop=tenacity.stop_after_attempt(attempts), wait=wait, reraise=True,
                retry=tenacity.retry_if_exception_type(RETRIED),
            ):  # fmt: skip
                with attempt:
                    value = await work()
            return value

        return guarded


class Backoff(Rival):
    """Retries by a decorator."""

    package = "backoff"

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """Exponential, with its full jitter; `runtime` waits what an answer asks for."""

        @backoff.on_exception(backoff.runtime, VendorBusyError, value=asked_s, max_tries=attempts, jitter=None)
        @backoff.on_exception(backoff.expo, VendorFailedError, max_tries=attempts, factor=base_s, max_value=cap_s)
        async def guarded(work: Work) -> str:
            return await work()

        return guarded


class HttpxRetries(Rival):
    """Retries of an HTTP client."""

    package = "httpx-retries"

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """The work is what its transport does."""
        works: dict[str, Work] = {}

        async def exchange(request: httpx.Request) -> httpx.Response:
            try:
                return httpx.Response(200, text=await works[request.url.path]())
            except WrongRequestError:
                return httpx.Response(400)
            except VendorBusyError as error:
                return httpx.Response(429, headers={"retry-after": f"{error.retry_after_s:.0f}"})
            except VendorFailedError as error:
                raise httpx.ReadError("lost") from error

        policy = httpx_retries.Retry(total=attempts - 1, backoff_factor=base_s, max_backoff_wait=cap_s)
        transport = httpx_retries.RetryTransport(transport=httpx.MockTransport(exchange), retry=policy)

        async def guarded(work: Work) -> str:
            path = f"/{len(works)}"
            works[path] = work
            async with httpx.AsyncClient(transport=transport, base_url="http://vendor.test") as client:
                answer = await client.get(path)
            answer.raise_for_status()
            return answer.text

        return guarded


class Purgatory(Rival):
    """A breaker."""

    package = "purgatory"
    refusals = (purgatory.domain.model.OpenedState,)

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """A wrong request is excluded."""
        factory = purgatory.AsyncCircuitBreakerFactory(
            default_threshold=failures, default_ttl=open_s, exclude=[WrongRequestError]
        )

        async def guarded(work: Work) -> str:
            async with await factory.get_breaker("vendor"):
                return await work()

        return guarded


class Pybreaker(Rival):
    """A breaker; for asyncio its context manager."""

    package = "pybreaker"
    refusals = (pybreaker.CircuitBreakerError,)

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """The exception that trips it is kept, by its option."""
        machine = pybreaker.CircuitBreaker(
            fail_max=failures, reset_timeout=open_s, exclude=[WrongRequestError], throw_new_error_on_trip=False
        )

        async def guarded(work: Work) -> str:
            with machine.calling():
                return await work()

        return guarded


class Aiobreaker(Rival):
    """A breaker."""

    package = "aiobreaker"
    refusals = (aiobreaker.CircuitBreakerError,)

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """A wrong request is excluded."""
        machine = aiobreaker.CircuitBreaker(
            fail_max=failures, timeout_duration=timedelta(seconds=open_s), exclude=[WrongRequestError]
        )

        async def guarded(work: Work) -> str:
            return await machine.call_async(work)

        return guarded


class Hyx(Rival):
    """Breaker, bulkhead, retries, and a limiter."""

    package = "hyx"
    refusals = (
        hyx.circuitbreaker.exceptions.BreakerFailing,
        hyx.bulkhead.exceptions.BulkheadFull,
        hyx.timeout.exceptions.MaxDurationExceeded,
    )

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """What counts is named."""
        machine = hyx.circuitbreaker.consecutive_breaker(
            exceptions=VendorFailedError, failure_threshold=failures, recovery_time_secs=open_s, recovery_threshold=1
        )

        async def guarded(work: Work) -> str:
            async with machine:
                return await work()

        return guarded

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        """Its waits have no end of their own; its timeout gives them one."""
        machine = hyx.bulkhead.bulkhead(max_concurrency=limit, max_capacity=limit + queue)

        async def guarded(work: Work) -> str:
            async with hyx.timeout.timeout(queue_s), machine:
                return await work()

        return guarded

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """Exponential, with full jitter; its `attempts` are those that follow the first."""
        waits = hyx.retry.backoffs.expo(min_delay_secs=base_s, max_delay_secs=cap_s, jitter=hyx.retry.jitters.full)

        async def guarded(work: Work) -> str:
            @hyx.retry.retry(on=RETRIED, attempts=attempts - 1, backoff=waits)
            async def call() -> str:
                return await work()

            return await call()

        return guarded

    def rate(self, *, requests: int, per_s: float) -> Guard:
        """Its limiter refuses, and does not wait; the caller comes again."""
        limiter = hyx.ratelimit.tokenbucket(max_executions=requests, per_time_secs=per_s, bucket_size=requests)

        async def guarded(work: Work) -> str:
            while True:
                try:
                    async with limiter:
                        return await work()
                except hyx.ratelimit.exceptions.RateLimitExceeded:
                    await CLOCK.sleep(per_s / 100)

        return guarded


class Pyresilience(Rival):
    """Everything in one decorator."""

    package = "pyresilience"
    refusals = (pyresilience.CircuitOpenError, pyresilience.BulkheadFullError)
    has_budget = True

    def _guard(self, **configs: Any) -> Guard:
        @pyresilience.resilient(**configs)
        async def guarded(work: Work) -> str:
            return await work()

        return guarded

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """A wrong request is left out."""
        return self._guard(
            circuit_breaker=pyresilience.CircuitBreakerConfig(
                failure_threshold=failures, recovery_timeout=open_s, success_threshold=1, ignore_on=(WrongRequestError,)
            )
        )

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        """It bounds the time that one waits, and not how many do; without a queue it does not wait at all."""
        wait_s = queue_s if queue else 0.0
        return self._guard(bulkhead=pyresilience.BulkheadConfig(max_concurrent=limit, max_wait=wait_s))

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """With what the vendor asks for, by its function, and its budget, sized for the case."""
        budget = pyresilience.RetryBudgetConfig(max_retries=10, refill_rate=20.0)
        return self._guard(
            retry=pyresilience.RetryConfig(
                max_attempts=attempts, delay=base_s, max_delay=cap_s, retry_on=RETRIED,
                delay_func=lambda _attempt, trigger: asked_s(trigger),
            ),
            retry_budget=budget,
        )  # fmt: skip

    def rate(self, *, requests: int, per_s: float) -> Guard:
        """It waits for a turn."""
        config = pyresilience.RateLimiterConfig(max_calls=requests, period=per_s, max_wait=per_s * 10)
        return self._guard(rate_limiter=config)

    def limited_retry(self, *, attempts: int, requests: int, per_s: float) -> Guard:
        """Both in its one decorator."""
        return self._guard(
            retry=pyresilience.RetryConfig(max_attempts=attempts, delay=0.001, max_delay=0.002, retry_on=RETRIED),
            rate_limiter=pyresilience.RateLimiterConfig(max_calls=requests, period=per_s, max_wait=per_s * 10),
        )

    def share(self) -> Guard:
        """Its cache keeps all but one of those who ask the same waiting."""
        asked: list[Work] = []

        @pyresilience.resilient(cache=pyresilience.CacheConfig())
        async def ask(_key: str) -> str:
            return await asked[-1]()

        async def guarded(work: Work) -> str:
            asked.append(work)
            return await ask("key")

        return guarded


class Redress(Rival):
    """Retries and a breaker, as a policy."""

    package = "redress"
    refusals = (redress.CircuitOpenError,)
    has_budget = True

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """Its classifier says what counts."""
        machine = redress.CircuitBreaker(failure_threshold=failures, recovery_timeout_s=open_s, window_s=60.0)
        retry = redress.AsyncRetry(
            classifier=_classify, strategy=redress.strategies.decorrelated_jitter(), max_attempts=1, deadline_s=1e9
        )
        return self._guard(redress.AsyncPolicy(retry=retry, circuit_breaker=machine))

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """With what the vendor asks for, and its budget, sized for the case."""
        usual = redress.strategies.equal_jitter(base_s=base_s, max_s=cap_s)
        retry = redress.AsyncRetry(
            classifier=_classify, strategy=redress.strategies.retry_after_or(usual), max_attempts=attempts,
            max_unknown_attempts=None, deadline_s=1e9, budget=redress.Budget(max_retries=200, window_s=10.0),
        )  # fmt: skip
        return self._guard(redress.AsyncPolicy(retry=retry))

    def _guard(self, policy: redress.AsyncPolicy) -> Guard:
        async def guarded(work: Work) -> str:
            return await policy.call(work)

        return guarded


def _classify(error: BaseException) -> redress.classify.Classification:
    kinds = redress.ErrorClass
    if isinstance(error, WrongRequestError):
        kind = kinds.PERMANENT
    elif isinstance(error, VendorBusyError):
        kind = kinds.RATE_LIMIT
    else:
        kind = kinds.TRANSIENT
    return redress.classify.Classification(kind, retry_after_s=asked_s(error))


class _VendorIsIll:
    def is_failure(self, *, result: object, exception: Exception | None) -> bool:  # noqa: ARG002  # its protocol
        return isinstance(exception, VendorFailedError)


class Interlock(Rival):
    """A breaker, and a pipeline."""

    package = "interlock-cb"
    refusals = (interlock.CircuitOpenError, interlock.BulkheadFullError)

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """Its classifier says what counts."""
        machine = interlock.CircuitBreaker(
            name="vendor", classifier=_VendorIsIll(),
            config=interlock.Config(
                failure_rate_threshold=1.0, minimum_number_of_calls=failures, window_size=failures,
                wait_duration_in_open=open_s, permitted_calls_in_half_open=1,
            ),
        )  # fmt: skip

        @machine
        async def guarded(work: Work) -> str:
            return await work()

        return guarded

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        """It bounds the time that one waits, and not how many do."""
        pipeline = interlock.Pipeline.builder().bulkhead(limit, max_wait=queue_s if queue else 0.0).build()

        @pipeline
        async def guarded(work: Work) -> str:
            return await work()

        return guarded

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """That of tenacity, in its pipeline."""
        usual = tenacity.wait_random_exponential(multiplier=base_s, max=cap_s)

        class Wait(tenacity.wait.wait_base):
            def __call__(self, retry_state: tenacity.RetryCallState) -> float:
                return asked_s(retry_state.outcome.exception() if retry_state.outcome else None) or usual(retry_state)

        builder = interlock.Pipeline.builder().retry(
            attempts=attempts, retry=tenacity.retry_if_exception_type(RETRIED), wait=Wait()
        )

        @builder.build()
        async def guarded(work: Work) -> str:
            return await work()

        return guarded


class Aioresilience(Rival):
    """Breaker, bulkhead and retries."""

    package = "aioresilience"
    refusals = (ResilienceError,)

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        """What counts is named."""
        config = aioresilience.CircuitConfig(
            failure_threshold=failures, recovery_timeout=open_s, success_threshold=1,
            failure_exceptions=(VendorFailedError,),
        )  # fmt: skip
        machine = aioresilience.CircuitBreaker(name="vendor", config=config)

        async def guarded(work: Work) -> str:
            async def call() -> str:
                return await work()

            return await machine.call(call)

        return guarded

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:
        """Queue and time are bounded."""
        machine = aioresilience.Bulkhead(
            config=aioresilience.BulkheadConfig(max_concurrent=limit, max_waiting=queue, timeout=queue_s)
        )

        async def guarded(work: Work) -> str:
            async def call() -> str:
                return await work()

            return await machine.execute(call)

        return guarded

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        """Exponential, with the most of its jitter."""
        machine = aioresilience.RetryPolicy(
            aioresilience.RetryConfig(
                max_attempts=attempts, initial_delay=base_s, max_delay=cap_s, jitter=1.0, retry_on_exceptions=RETRIED
            )
        )

        async def guarded(work: Work) -> str:
            async def call() -> str:
                return await work()

            return await machine.execute(call)

        return guarded


class Aiolimiter(Rival):
    """A leaky bucket."""

    package = "aiolimiter"

    def rate(self, *, requests: int, per_s: float) -> Guard:
        """The bucket holds the limit, as it does by default."""
        limiter = aiolimiter.AsyncLimiter(requests, per_s)

        async def guarded(work: Work) -> str:
            async with limiter:
                return await work()

        return guarded


class PyrateLimiter(Rival):
    """A limiter."""

    package = "pyrate-limiter"

    def rate(self, *, requests: int, per_s: float) -> Guard:
        """It waits for a turn."""
        rates = [pyrate_limiter.Rate(requests, int(per_s * 1000))]
        factory = pyrate_limiter.SingleBucketFactory(pyrate_limiter.InMemoryBucket(rates), schedule_leak=False)
        limiter = pyrate_limiter.Limiter(factory, buffer_ms=0)

        async def guarded(work: Work) -> str:
            await limiter.try_acquire_async("vendor")
            return await work()

        return guarded

    def keyed_rate(self, *, requests: int, per_s: float) -> Callable[[str], Guard]:
        """A bucket for each name, by a factory as its documentation shows it."""
        CLOCK.is_held = True
        rates = [pyrate_limiter.Rate(requests, int(per_s * 1000))]
        buckets: dict[str, pyrate_limiter.InMemoryBucket] = {}

        class Factory(pyrate_limiter.BucketFactory):
            def wrap_item(self, name: str, weight: int = 1) -> pyrate_limiter.RateItem:
                return pyrate_limiter.RateItem(name, int(CLOCK.monotonic * 1000), weight=weight)

            def get(self, item: pyrate_limiter.RateItem) -> pyrate_limiter.AbstractBucket:
                if item.name not in buckets:
                    buckets[item.name] = pyrate_limiter.InMemoryBucket(rates)
                return buckets[item.name]

        limiter = pyrate_limiter.Limiter(Factory(), buffer_ms=0)

        def of(key: str) -> Guard:
            async def guarded(work: Work) -> str:
                await limiter.try_acquire_async(key)
                return await work()

            return guarded

        return of


class Limits(Rival):
    """A limiter that says when to come again."""

    package = "limits"

    def rate(self, *, requests: int, per_s: float) -> Guard:
        """Its moving window; the caller waits until the reset that it names."""
        window = limits.aio.strategies.MovingWindowRateLimiter(limits.aio.storage.MemoryStorage())
        item = limits.RateLimitItemPerSecond(requests, int(per_s))

        async def guarded(work: Work) -> str:
            while not await window.hit(item, "vendor"):
                reset = (await window.get_window_stats(item, "vendor")).reset_time
                await CLOCK.sleep(max(0.01, reset - CLOCK.wall()))
            return await work()

        return guarded

    def keyed_rate(self, *, requests: int, per_s: float) -> Callable[[str], Guard]:
        """The key is one of the names that a hit is counted by."""
        CLOCK.is_held = True
        window = limits.aio.strategies.MovingWindowRateLimiter(limits.aio.storage.MemoryStorage())
        item = limits.RateLimitItemPerSecond(requests, int(per_s))

        def of(key: str) -> Guard:
            async def guarded(work: Work) -> str:
                while not await window.hit(item, key):
                    reset = (await window.get_window_stats(item, key)).reset_time
                    await CLOCK.sleep(max(0.01, reset - CLOCK.wall()))
                return await work()

            return guarded

        return of


class Aiocache(Rival):
    """A cache against stampedes."""

    package = "aiocache"

    def share(self) -> Guard:
        """By its lock, leased for longer than the case takes."""
        asked: list[Work] = []
        memory = aiocache.SimpleMemoryCache(namespace=str(id(self)))

        @aiocache.cached_stampede(lease=60, key="key")
        async def ask() -> str:
            return await asked[-1]()

        ask.cache = memory

        async def guarded(work: Work) -> str:
            asked.append(work)
            return await ask()

        return guarded


class Cashews(Rival):
    """A cache against stampedes."""

    package = "cashews"

    def share(self) -> Guard:
        """By its protection from a thundering herd."""
        asked: list[Work] = []
        cache = Cache()
        cache.setup("mem://")

        @cache(ttl="1m", key="key", protected=True)
        async def ask() -> str:
            return await asked[-1]()

        async def guarded(work: Work) -> str:
            asked.append(work)
            return await ask()

        return guarded


RIVALS: list[type[Rival]] = [
    Stamina, Tenacity, Backoff, HttpxRetries, Purgatory, Pybreaker, Aiobreaker, Interlock, Redress, Hyx, Pyresilience,
    Aioresilience, Aiolimiter, PyrateLimiter, Limits, Aiocache, Cashews,
]  # fmt: skip
