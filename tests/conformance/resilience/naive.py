"""A library with every fault there is. It shows that the cases see them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from conformance.resilience.subject import Guard, VendorBusyError, Work


class RefusedError(Exception):
    """No."""


class Naive:
    """How it is written the first time."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._wall = 1000.0
        self._passed = 0.0

    def breaker(self, *, failures: int, open_s: float) -> Guard:
        refused = RefusedError("open")
        failed, opened_at = 0, 0.0

        async def guarded(work: Work) -> str:
            nonlocal failed, opened_at
            if failed >= failures and self._wall - opened_at < open_s:
                raise refused
            try:
                value = await work()
            except BaseException as error:
                failed += 1
                opened_at = self._wall
                if failed >= failures:
                    raise refused from error
                raise
            failed = 0
            return value

        return guarded

    def bulkhead(self, *, limit: int, queue: int, queue_s: float = 60.0) -> Guard:  # noqa: ARG002  # it has no end
        free = limit
        waiting: deque[asyncio.Future[None]] = deque()

        async def guarded(work: Work) -> str:
            nonlocal free
            if free:
                free -= 1
            else:
                place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                waiting.append(place)
                if queue_s < 1:
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                    try:
                        await place
                    except asyncio.CancelledError:
                        raise RefusedError from None
                await place
            value = await work()
            if not waiting:
                free += 1
            elif not (place := waiting.popleft()).done():
                place.set_result(None)
            return value

        return guarded

    def retry(self, *, attempts: int, base_s: float = 0.1, cap_s: float = 5.0) -> Guard:
        async def guarded(work: Work) -> str:
            for attempt in range(attempts + 1):
                try:
                    return await work()
                except Exception as error:
                    if attempt == attempts:
                        raise
                    asked_s = error.retry_after_s if isinstance(error, VendorBusyError) else 0.0
                    self.slept.append(min(cap_s, max(asked_s, base_s * 2**attempt)))
            raise AssertionError

        return guarded

    def rate(self, *, requests: int, per_s: float) -> Guard:
        begins, used = 0.0, 0

        async def guarded(work: Work) -> str:
            nonlocal begins, used
            if self._wall - begins >= per_s:
                begins, used = self._wall // per_s * per_s, 0
            if used >= requests:
                self.advance(begins + per_s - self._wall)
                begins, used = self._wall, 0
            used += 1
            return await work()

        return guarded

    def limited_retry(self, *, attempts: int, requests: int, per_s: float) -> Guard:
        limited, retried = self.rate(requests=requests, per_s=per_s), self.retry(attempts=attempts)

        async def guarded(work: Work) -> str:
            return await limited(lambda: retried(work))

        return guarded

    def keyed_rate(self, *, requests: int, per_s: float) -> Callable[[str], Guard]:  # noqa: ARG002  # it waits for ever
        used: dict[str, int] = {}
        one_at_a_time = asyncio.Lock()

        def of(key: str) -> Guard:
            async def guarded(work: Work) -> str:
                async with one_at_a_time:
                    used[key] = used.get(key, 0) + 1
                    if used[key] > requests:
                        await asyncio.get_running_loop().create_future()
                return await work()

            return guarded

        return of

    def share(self) -> Guard:
        running: list[asyncio.Task[str]] = []

        async def guarded(work: Work) -> str:
            async def ask() -> str:
                return await work()

            if not running:
                running.append(asyncio.create_task(ask()))
            return await running[0]

        return guarded

    def is_refusal(self, error: BaseException) -> bool:
        return isinstance(error, RefusedError)

    def now(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._passed += seconds

    def step_wall(self, seconds: float) -> None:
        self._wall += seconds
