"""What a vendor allows in a span of time, and two shapes that keep it: a sliding window, and an evenly filling bucket.

Which shape is safe depends on how the vendor counts (`tests/unit/resilience/test_windows.py` shows each cell):

    vendor counts by     SlidingWindow    Gcra with its own burst    Gcra.paced
    fixed windows        never over       up to twice the amount     never over
    a sliding window     never over       up to twice the amount     never over
    a bucket             never over       never over                 never over

A turn is the instant at which a request may begin. Turns are handed out in order; a turn ahead of time is a place in
line. The shapes do not know each other: `RateLimit` takes a turn that suits all of them.
"""

from __future__ import annotations

from collections import deque
from math import floor, inf
from typing import Protocol

# Sums of fractional costs are compared up to rounding.
_ROUNDING = 1e-9
# Up to so many turns are remembered one by one; beyond, those close together are remembered as one.
_EXACT_TURNS = 1000
# How close: a turn may come free later than it could, by this share of the window.
_GRAIN = 1 / 256


class Window(Protocol):
    """One limit. Costs are in the vendor's points; times are monotonic seconds."""

    def next_turn(self, now: float, cost: float, is_background: bool = False) -> float:
        """Return the first instant from `now` on at which the cost is free, and `inf` where it never is."""
        ...

    def take(self, turn: float, cost: float) -> None:
        """Charge a turn, which is not before `next_turn` said."""
        ...

    def give_back(self, turn: float, cost: float, *, is_last: bool) -> None:
        """Take a charge back as far as that is safe: the turn is past and was not used. `is_last`: no later one is."""
        ...


class SlidingWindow:
    """At most `amount` in any `per_s` seconds, all of it at once if need be.

    That is safe for every vendor that publishes so much in so long, whichever way it counts, and loses nothing. Up
    to 1,000 turns are kept exactly; beyond, turns within a 256th of the window are kept as one that ends with the
    last of them: never more than allowed, at most 0.4% less, and memory that does not grow with the amount.

    `margin_s` lengthens the window by what the way to the vendor may vary: two requests can arrive closer together
    than they left. `reserve` is the share that background calls leave untouched; where less than their cost would be
    left for them, they go when nothing else is counted.
    """

    __slots__ = ("_amount", "_began", "_costs", "_grain_s", "_last", "_per_s", "_shared", "_slack", "_turns", "_used")

    def __init__(self, amount: float, per_s: float, *, margin_s: float = 0.0, reserve: float = 0.0) -> None:
        self._amount = amount
        self._slack = amount * _ROUNDING
        self._shared = amount * (1 - reserve)
        self._per_s = per_s + margin_s
        self._grain_s = self._per_s * _GRAIN if amount > _EXACT_TURNS else 0.0
        #: Turns that count, oldest first, and what each costs; `_used` is their sum.
        self._turns: deque[float] = deque()
        self._costs: deque[float] = deque()
        self._used = 0.0
        self._last = -inf
        #: When the newest of the turns that are kept as one began.
        self._began = -inf

    def next_turn(self, now: float, cost: float, is_background: bool = False) -> float:
        """Return the first instant at which the cost is free."""
        turns = self._turns
        while turns and turns[0] + self._per_s <= now:
            self._drop_oldest()
        start = now if now > self._last else self._last
        allowed = self._amount
        if is_background and self._shared < allowed:
            allowed = self._shared if self._shared > cost else min(cost, allowed)
        excess = self._used + cost - allowed
        if excess <= self._slack:
            return start
        for turn, spent in zip(turns, self._costs, strict=True):
            excess -= spent
            if excess <= self._slack:
                free = turn + self._per_s
                return free if free > start else start
        return inf

    def take(self, turn: float, cost: float) -> None:
        """Charge a turn; what the window has left behind by then makes room."""
        while self._used + cost > self._amount + self._slack and self._turns:
            self._drop_oldest()
        if self._turns and turn - self._began <= self._grain_s:
            self._turns[-1] = turn
            self._costs[-1] += cost
        else:
            self._turns.append(turn)
            self._costs.append(cost)
            self._began = turn
        self._used += cost
        self._last = turn

    def give_back(self, turn: float, cost: float, *, is_last: bool) -> None:  # noqa: ARG002  # it makes no difference
        """Take the cost off the oldest turns up to this one.

        From now on the sum is exact; when those oldest turns leave, it is more than the truth until this one would.
        """
        while cost > 0 and self._turns and self._turns[0] <= turn:
            spent = self._costs[0]
            if spent > cost:
                self._costs[0] -= cost
                self._used -= cost
                return
            cost -= spent
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._turns.popleft()
        self._used -= self._costs.popleft()
        if not self._turns:
            self._used = 0.0  # rounding ends here
            self._began = -inf


class Gcra:
    """A bucket that holds `burst` and refills evenly by `amount` in `per_s` seconds: one number to remember.

    The generic cell rate algorithm (ITU-T I.371, virtual scheduling): `_arrival` is when the bucket will be full.
    With the vendor's own burst it is exactly a vendor's bucket. For vendors that count in windows, `paced` makes
    one whose burst is small enough. `margin_s` and `reserve` are as in `SlidingWindow`; the reserve is a share of
    the burst, and where the burst is a single request, background calls come at that much longer distances.
    """

    __slots__ = ("_arrival", "_kept_s", "burst", "span_s", "unit_s")

    def __init__(
        self, amount: float, per_s: float, *, burst: float | None = None, margin_s: float = 0.0, reserve: float = 0.0
    ) -> None:
        self.burst = amount if burst is None else burst
        #: The seconds in which one point comes back.
        self.unit_s = per_s / amount
        #: How far ahead of the present `_arrival` may be.
        self.span_s = self.burst * self.unit_s - margin_s
        self._kept_s = reserve * self.burst * self.unit_s
        self._arrival = -inf

    @classmethod
    def paced(  # the shape has this many numbers
        cls,
        amount: float,
        per_s: float,
        *,
        step: float = 1.0,
        loss: float = 0.03,
        margin_s: float = 0.0,
        reserve: float = 0.0,
    ) -> Gcra:
        """Make a bucket that stays below `amount` in any `per_s` seconds, and loses at most `loss` of it.

        Costs are multiples of `step`. In less than `per_s` a bucket lets through less than its burst and what comes
        back meanwhile. So with `burst + per_s / unit_s = amount + step` the sum, a multiple of `step` too, is at
        most `amount`. The burst may be one step, for which nothing is lost, and as much more as may be lost.
        """
        burst = step + floor(amount * loss / step) * step
        steady = amount - burst + step
        return cls(steady, per_s + margin_s, burst=burst, reserve=reserve)

    def next_turn(self, now: float, cost: float, is_background: bool = False) -> float:
        """Return the first instant at which the bucket holds the cost."""
        if cost > self.burst:
            return inf
        turn = self._arrival + cost * self.unit_s - self.span_s
        if is_background:
            turn += self._kept_s
        return turn if turn > now else now

    def take(self, turn: float, cost: float) -> None:
        """Charge a turn."""
        arrival = self._arrival
        self._arrival = (turn if turn > arrival else arrival) + cost * self.unit_s

    def give_back(self, turn: float, cost: float, *, is_last: bool) -> None:  # noqa: ARG002  # only the order matters
        """Refill the cost of the last turn. What later turns were given already rests on the earlier ones."""
        if is_last:
            self._arrival -= cost * self.unit_s
