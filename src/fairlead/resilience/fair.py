"""A fair line: many keys share one rate limit, and a key with a thousand requests does not keep one with a single.

Requests that cannot go at once stand in line by virtual time: each key gets its share of the points, in its own
order. A key that its own limit holds back stands outside the line until its turn, so nobody waits behind it; and
whoever is first in line is waited for, however large its request, so small ones do not starve it.

The order is that of start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), except that the virtual time is
the end of what was served last, as in self-clocked fair queueing (Golestani, INFOCOM 1994). So it advances with every
request, newcomers cannot keep those before them waiting for ever, and keys that have left need not be remembered.

The machine has no clock and wakes nobody: `next_at` says when to call `serve`, which says who may go.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from math import inf

from fairlead.resilience.keyed import KeyedLimit
from fairlead.resilience.rate import RateLimit


class Place:
    """A request in the line. `is_over`: it was let go (`has_turn`, at `went_at`), gave up, or ran out of time."""

    __slots__ = ("cost", "has_turn", "is_over", "key", "turn", "until", "went_at")

    def __init__(self, key: Hashable, cost: float, turn: float, until: float) -> None:
        self.key = key
        self.cost = cost
        #: When its key's own limit lets it go.
        self.turn = turn
        self.until = until
        self.is_over = False
        self.has_turn = False
        self.went_at = 0.0


class FairLine:
    """The line in front of a shared limit, with a limit for each key where there is one."""

    __slots__ = ("_finished", "_held", "_keyed", "_numbers", "_ready", "_shared", "_virtual", "_waiting")

    def __init__(self, shared: RateLimit, keyed: KeyedLimit | None = None) -> None:
        self._shared = shared
        self._keyed = keyed
        #: (virtual start, order of arrival, place): the line proper.
        self._ready: list[tuple[float, int, Place]] = []
        #: (turn, order of arrival, place): those whose own key holds them back.
        self._held: list[tuple[float, int, Place]] = []
        self._numbers = count()
        self._virtual = 0.0
        #: Of each key in the line: the virtual time by which its requests will have been served, and their number.
        self._finished: dict[Hashable, float] = {}
        self._waiting: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return sum(self._waiting.values())

    def waiting(self, key: Hashable) -> int:
        """Return how many of a key are in the line."""
        return self._waiting.get(key, 0)

    def retry_after_s(self, key: Hashable, now: float, cost: float = 1.0, *, is_background: bool = False) -> float:
        """Return the seconds until both limits would let a request go, if nobody else were there."""
        own_s = self._keyed.retry_after_s(key, now, cost) if self._keyed is not None else 0.0
        shared_s = self._shared.retry_after_s(now, cost, is_background=is_background)
        return own_s if own_s > shared_s else shared_s

    def join(
        self,
        key: Hashable,
        now: float,
        cost: float = 1.0,
        *,
        longest_wait_s: float = 0.0,
        has_room: bool = True,
        is_background: bool = False,
    ) -> Place | None:
        """Ask to go. Return a place that is over (go now), one that is not (wait for `serve`), or None (refused).

        Refused is what could not go in `longest_wait_s` even if nobody else were there. Without `has_room` nobody goes
        now. What runs in the background leaves the reserve of the shared limit alone.
        """
        wait = self._keyed.admit(key, now, cost, longest_wait_s=longest_wait_s) if self._keyed is not None else 0.0
        if wait is None:
            return None
        place = Place(key, cost, now + wait, now + longest_wait_s)
        self._drop_gone(self._ready)
        may_go = has_room and not wait and not self._ready
        if may_go and self._shared.admit(now, cost, is_background=is_background) is not None:
            place.is_over = place.has_turn = True
            place.went_at = now
            return place
        if not longest_wait_s or self._shared.retry_after_s(now, cost) > longest_wait_s:
            self._return_turn(place)
            return None
        self._waiting[key] = self._waiting.get(key, 0) + 1
        if wait:
            heappush(self._held, (place.turn, next(self._numbers), place))
        else:
            self._enter(place)
        return place

    def serve(self, now: float, *, room: float = inf) -> list[Place]:
        """Let go whoever may, in order, and drop those that could not go in their time; return all of these.

        `room` is how many may go at the most.
        """
        while self._held and self._held[0][0] <= now:
            place = heappop(self._held)[2]
            if not place.is_over:
                self._enter(place)
        ended: list[Place] = []
        while self._ready and room > 0:
            start, _, place = self._ready[0]
            if not place.is_over:
                wait = self._shared.retry_after_s(now, place.cost)
                if now + wait > place.until:
                    self.leave(place)
                elif self._shared.admit(now, place.cost) is None:
                    break
                else:
                    self._virtual = max(self._virtual, start + place.cost)
                    place.has_turn = True
                    place.went_at = now
                    room -= 1
                    self._end(place)
                ended.append(place)
            heappop(self._ready)
        return ended

    def next_at(self, now: float) -> float | None:
        """Return when somebody may go, as things stand; None where nobody waits."""
        for line in (self._held, self._ready):
            self._drop_gone(line)
        times = [self._held[0][0]] if self._held else []
        if self._ready:
            times.append(now + self._shared.retry_after_s(now, self._ready[0][2].cost))
        return min(times, default=None)

    def leave(self, place: Place) -> None:
        """Give a place up; nothing was charged to the shared limit, and the key gets back what it can."""
        if not place.is_over:
            self._end(place)
            self._return_turn(place)

    @staticmethod
    def _drop_gone(line: list[tuple[float, int, Place]]) -> None:
        """Forget those at the head of a line who gave up."""
        while line and line[0][2].is_over:
            heappop(line)

    def give_back(self, place: Place) -> None:
        """Give back the turn of a place that was let go, and did not use it."""
        self._shared.give_back(place.went_at, place.cost)
        self._return_turn(place)

    def clear(self) -> None:
        """Have nobody in the line: after a fork, those are the parent's."""
        for line in (self._ready, self._held):
            line.clear()
        self._finished.clear()
        self._waiting.clear()

    def _enter(self, place: Place) -> None:
        start = max(self._virtual, self._finished.get(place.key, 0.0))
        self._finished[place.key] = start + place.cost
        heappush(self._ready, (start, next(self._numbers), place))

    def _end(self, place: Place) -> None:
        place.is_over = True
        left = self._waiting[place.key] - 1
        if left:
            self._waiting[place.key] = left
            return
        del self._waiting[place.key]
        self._finished.pop(place.key, None)

    def _return_turn(self, place: Place) -> None:
        if self._keyed is not None:  # it is empty at first, and so false
            self._keyed.give_back(place.key, place.turn, place.cost)
