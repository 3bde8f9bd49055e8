"""A rate limit that many processes share, by leases from a store; and what holds while the store is lost.

The common call spends what is in hand and asks nobody. While the store is lost, each process keeps its share of the
limit by itself, counting what it spent before; or calls are refused, as the settings say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Protocol

from fairlead.errors import StateLostError, StorageError
from fairlead.model.ports import Clock
from fairlead.resilience.lease import LeasedLimit, Waiter
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import SlidingWindow
from fairlead.storage.leases import LeaseStore, Span


class Timer(Protocol):
    """What `later` returns."""

    def cancel(self) -> None:
        """Do not ring."""
        ...


# How much longer than it wants to somebody may stand in line, for the sake of the answer that is under way.
_GRACE_S = 0.5
# How often a store is told what was spent, until it knows all of it; it may have forgotten, and calls go on meanwhile.
_TELLS = 3

Later = Callable[[float, Callable[[], None]], Timer]


class SharedRate:
    """The limit, as this process sees it. `key` names it in the store; `start` is awaited before the first turn.

    `later` is the event loop's `call_later`. Costs are in the vendor's points.
    """

    def __init__(
        self,
        key: str,
        spans: Sequence[Span],
        store: LeaseStore,
        *,
        process: str,
        clock: Clock,
        start: Callable[[], Awaitable[None]],
        later: Later | None = None,
    ) -> None:
        self.key = key
        self._spans = tuple(spans)
        self._store = store
        self._clock = clock
        self._start = start
        self._later = later
        self._leased = LeasedLimit(process, spans)
        self._futures: dict[Waiter, asyncio.Future[float | None]] = {}
        self._talk: asyncio.Task[None] | None = None
        self._timer: Timer | None = None
        self._left_behind: list[object] = []
        #: Another one each time that sharing begins or ends.
        self._session = object()
        self._local: RateLimit | None = None
        self._is_refusing = False
        #: The store is there, and used.
        self.is_shared = False
        self._retry_after_s = 0.0

    def admit(self, cost: float = 1.0) -> bool:
        """Take a turn that is in hand; return False where there is none, and `take` has to ask for it."""
        if not self.is_shared or not self._leased.take(self._clock.monotonic(), cost):
            return False
        if self._leased.is_low:
            self._converse()
        return True

    async def take(self, cost: float = 1.0, *, longest_wait_s: float = 0.0) -> float | None:
        """Take a turn; return the seconds that it was waited for, or None where it would have been too long.

        Then `retry_after_s` says when to come again. Raises `StateLostError` where the store is lost, and the settings
        refuse to go on without.
        """
        if self.admit(cost):
            return 0.0
        began = self._clock.monotonic()
        if not (self.is_shared or self._local or self._is_refusing):
            await self._start()
        waiter = self._leased.join(self._clock.monotonic(), cost, patience_s=longest_wait_s) if self.is_shared else None
        if waiter:
            until = await self._wait(waiter, longest_wait_s)
            if until is not None and until == inf:  # the store was lost meanwhile
                waiter = None
            elif until is None:
                return None
        if waiter is None:
            left_s = max(0.0, longest_wait_s - (self._clock.monotonic() - began))
            if await self._take_alone(cost, left_s) is None:
                return None
        return self._clock.monotonic() - began

    def retry_after_s(self) -> float:
        """Return the seconds until a turn may be free, as was last heard."""
        return self._retry_after_s

    async def share(self) -> None:
        """Use the store, which is there, again: but tell it first what was spent without it."""
        leased, clock = self._leased, self._clock
        for _ in range(_TELLS):
            ask = leased.ask(clock.monotonic()) if leased.history(clock.monotonic()) else None
            if ask is None:
                break
            grant = await self._store.lease(self.key, self._spans, ask)
            leased.hear(clock.monotonic(), grant, ask)
            if not leased.is_unsaid:
                break
        self._local, self._is_refusing, self.is_shared = None, False, True
        self._session = object()

    def go_alone(self, processes: int) -> None:
        """Keep an equal share of the limit, for the store is lost; what was spent before counts."""
        self._end_sharing()
        now = self._clock.monotonic()
        windows = [_scaled(each, processes) for each in self._spans]
        for at, cost in self._leased.history(now):
            for window in windows:
                window.take(at, cost)
        self._is_refusing = False
        self._local = RateLimit(*windows)
        self._release_line()

    def refuse(self) -> None:
        """Let nothing go until the store is back."""
        self._end_sharing()
        self._local, self._is_refusing = None, True
        self._release_line()

    def disown(self, process: str) -> None:
        """Begin anew as another process: leases, tasks and who waits are left behind."""
        self._left_behind += [self._talk, self._timer, *self._futures.values()]
        self._talk = self._timer = None
        self._futures.clear()
        self._leased.begin_anew(process)
        self._local, self._is_refusing, self.is_shared = None, False, False
        self._session = object()

    async def close(self) -> None:
        """Give back what is in hand, as far as the store can be told, and ask no more."""
        if self._timer:
            self._timer.cancel()
        talk, self._talk = self._talk, None
        if talk:
            talk.cancel()
            await asyncio.wait((talk,))
        if self.is_shared:
            self.is_shared = False
            ask = self._leased.resign(self._clock.monotonic())
            if ask:
                with suppress(StorageError):  # then it lapses
                    await self._store.lease(self.key, self._spans, ask)
        self._release_line()

    def _end_sharing(self) -> None:
        self.is_shared = False
        self._session = object()
        self._talk = None
        self._leased.drop_leases()
        if self._timer:
            self._timer.cancel()

    def _release_line(self) -> None:
        """Have everybody in line try again, another way."""
        for waiter in self._leased.take_line():
            self._tell(waiter, inf)

    async def _wait(self, waiter: Waiter, longest_wait_s: float) -> float | None:
        """Wait for a turn; return 0, or None where it is too far off, or `inf` where there is no line any more."""
        loop = asyncio.get_running_loop()
        future = self._futures[waiter] = loop.create_future()
        timer = (self._later or loop.call_later)(longest_wait_s + _GRACE_S, lambda: self._expire(waiter))
        self._converse()
        try:
            answer: float | None = await future
        except BaseException:
            self._leased.leave(waiter)
            raise
        finally:
            timer.cancel()
            self._futures.pop(waiter, None)
        return answer

    def _expire(self, waiter: Waiter) -> None:
        """Send somebody away who stands behind others for longer than they wanted to wait."""
        if not waiter.is_ready:
            self._leased.leave(waiter)
            self._tell(waiter, None)

    async def _take_alone(self, cost: float, longest_wait_s: float) -> float | None:
        if self._local is None:
            raise StateLostError(hint='Bring the store of state.url back, or set state.on_loss = "scale".')
        now = self._clock.monotonic()
        wait = self._local.admit(now, cost, longest_wait_s=longest_wait_s)
        if wait is None:
            self._retry_after_s = self._local.retry_after_s(now, cost)
            return None
        local = self._local
        if wait:
            try:
                await self._clock.sleep(wait)
            except BaseException:
                local.give_back(now + wait, cost)
                raise
        self._leased.spend_alone(now + wait, cost)
        return wait

    def _converse(self) -> None:
        """Begin to talk to the store, unless that is under way."""
        if self._talk is None and self.is_shared:
            self._talk = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        """Ask until nothing is needed that is to be had; then wait for the next lease to begin or end."""
        leased, clock = self._leased, self._clock
        session = self._session
        try:
            while True:
                self._serve()
                ask = leased.ask(clock.monotonic())
                if ask is None:
                    break
                grant = await self._store.lease(self.key, self._spans, ask)
                if session is not self._session:
                    return  # the store was lost and is back: what it said before is over
                too_far_s = leased.hear(clock.monotonic(), grant, ask)
                self._serve()
                if too_far_s is not None and leased.first:
                    self._retry_after_s = too_far_s
                    first = leased.first
                    leased.leave(first)
                    self._tell(first, None)
                if not leased.needs_more(clock.monotonic()):
                    break
        except StorageError:
            leased.fail()  # whoever keeps the connection says what holds from now on
            return
        finally:
            if session is self._session:
                self._talk = None
        self._set_timer()

    def _serve(self) -> None:
        for waiter in self._leased.serve(self._clock.monotonic()):
            self._tell(waiter, 0.0)

    def _tell(self, waiter: Waiter, answer: float | None) -> None:
        future = self._futures.get(waiter)
        if future and not future.done():
            future.set_result(answer)

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        wake_s = self._leased.wake_s(self._clock.monotonic())
        if wake_s < inf:
            later = self._later or asyncio.get_running_loop().call_later
            self._timer = later(wake_s, self._wake)

    def _wake(self) -> None:
        if not self.is_shared:
            return
        self._serve()
        if self._leased.needs_more(self._clock.monotonic()):
            self._converse()
        elif self._talk is None:
            self._set_timer()


def _scaled(span: Span, processes: int) -> SlidingWindow:
    """Return an equal share of a span: fewer points, or, where there are not enough of them, a point less often."""
    amount = max(1.0, span.amount // processes)
    return SlidingWindow(amount, span.per_s * max(1.0, amount * processes / span.amount))
