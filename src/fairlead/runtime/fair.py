"""A connection whose limits know keys: each tenant or operation has its own, and all stand in one fair line."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf

from fairlead import errors
from fairlead.model.call import Call
from fairlead.model.message import Request
from fairlead.resilience.fair import Place
from fairlead.resilience.line import Line
from fairlead.resilience.pause import FREE
from fairlead.resilience.quota import Reservation
from fairlead.runtime.connection import PATIENCE_S, Connection
from fairlead.runtime.policy import Lease, Lining


class FairConnection(Connection):
    """A connection with a line. A call takes its turn and its place together, so that waiting costs the others nothing.

    Calls without a tenant are one key among the others.
    """

    line: Line
    lining: Lining

    def stand_in(self, line: Line, lining: Lining) -> None:
        """Have calls stand in a line."""
        self.line = line
        self.lining = lining

    def try_admit(self, now: float, call: Call, request: Request) -> Lease | None:
        """Take leave at once, where nothing stands against it."""
        ticket = self.breaker.passes
        if not ticket or self.pause.is_on or self.quota is not None:
            return None
        if self.line.enter_now(self._key(call), self._cost(request), now, is_background=call.is_background) is None:
            return None
        self.usage.count += 1
        return Lease(ticket, FREE)

    async def admit(self, call: Call, request: Request, *, remaining_s: float, is_last: bool) -> Lease:
        """Take leave for one attempt, waiting in line if need be; raise `RejectedError` where there is none."""
        began = self._clock.monotonic()
        key, cost = self._key(call), self._cost(request)
        lease = self._ask_leave()
        place: Place | None = None
        reserved: Reservation | None = None
        try:
            patience_s = remaining_s if is_last else min(remaining_s, PATIENCE_S)
            place = await self._stand(key, cost, 0.0 if call.is_background else patience_s, call)
            if self.quota is not None:
                reserved = await self._reserve(self.quota, request.cost, is_background=call.is_background)
            if self._clock.monotonic() > began:
                lease = self._renew(lease, began + remaining_s)
        except BaseException:
            self.release(lease)
            if place is not None:
                self.line.give_back(place)
            if self.quota is not None and reserved is not None:
                await self.quota.give_back(reserved)
            raise
        self.usage.enter()
        return lease if reserved is None else Lease(lease.ticket, lease.leave, reserved)

    def leave_line(self) -> None:
        """Give the place back; it goes to whoever is next."""
        super().leave_line()
        self.line.wake()

    def disown(self) -> None:
        """Know of nobody who waits: after a fork, those are the parent's."""
        super().disown()
        self.line.disown()

    async def _stand(self, key: Hashable, cost: float, patience_s: float, call: Call) -> Place:
        """Stand in line; raise `RejectedError` where that is too long, or too many of the same key do already."""
        now = self._clock.monotonic()
        place = self.line.enter_now(key, cost, now, is_background=call.is_background)
        if place is None and patience_s:
            if self.line.is_full(key):
                raise errors.BulkheadFullError(hint="Raise the connection's concurrency.queue.")
            place = await self.line.enter(key, cost, patience_s)
        if place is not None:
            return place
        wait_s = self.line.retry_after_s(key, self._clock.monotonic(), cost, is_background=call.is_background)
        raise errors.RateLimitedError(
            retry_after_s=wait_s if wait_s < inf else None, hint="Raise the connection's rates, or call less often."
        )

    def _key(self, call: Call) -> Hashable:
        return call.operation if self.lining.per == "operation" else call.tenant

    def _cost(self, request: Request) -> float:
        return request.cost if self.lining.counts_points else 1.0
