"""A rate limit: one line for all the windows that a vendor publishes, such as a second and a day.

A request takes its turn when it asks, so that whoever waits keeps its place, and a large request is not overtaken
for ever by small ones. A turn that suits every window is charged to each of them; where the wait would be too long,
none is charged.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import inf

from fairlead.resilience.windows import Window

# A turn that was handed out and came back by way of a sum of floats is still the same turn.
_SAME_S = 1e-6


class RateLimit:
    """The line. Costs are in the vendor's points, fractions allowed; times are monotonic seconds.

    Background calls never stand in line: they are let go at once or not at all, and leave the reserve of each window
    to the others. `retry_after_s` tells when it is worth asking again.
    """

    __slots__ = ("_gaps", "_last", "_windows")

    def __init__(self, *windows: Window) -> None:
        self._windows = windows
        self._last = -inf
        #: Turns that were given back, with their costs, earliest first.
        self._gaps: list[tuple[float, float]] = []

    def join(self, window: Window) -> None:
        """Keep to another window too, from now on."""
        self._windows = (*self._windows, window)

    def admit(
        self, now: float, cost: float = 1.0, longest_wait_s: float = 0.0, is_background: bool = False
    ) -> float | None:
        """Take a turn; return the seconds to wait for it, or None, and take none, where that is too long."""
        if self._gaps:
            gap = self._gap(now, cost)
            if gap is not None and not is_background and self._gaps[gap][0] - now <= longest_wait_s:
                return self._fill(gap, cost) - now
        turn = now
        windows = self._windows
        for window in windows:
            free = window.next_turn(now, cost, is_background)
            if free > turn:
                turn = free
        if turn > now and (turn - now > longest_wait_s or turn == inf or is_background):
            return None
        for window in windows:
            window.take(turn, cost)
        if turn > self._last:
            self._last = turn
        return turn - now

    def retry_after_s(self, now: float, cost: float = 1.0, *, is_background: bool = False) -> float:
        """Return the seconds until a turn is free, as things stand; `inf` for a cost beyond any window."""
        gap = self._gap(now, cost) if self._gaps else None
        if gap is not None and not is_background:
            return self._gaps[gap][0] - now
        return (
            max((each.next_turn(now, cost, is_background=is_background) for each in self._windows), default=now) - now
        )

    def give_back(self, turn: float, cost: float = 1.0) -> None:
        """Give back a turn that was not used; `turn` is the time it was asked for plus the wait.

        Before its time it goes to the next request that it suits, and moves nobody else. After its time the windows
        take back what is safe. To be called once a turn, and never for a request that may have been sent.
        """
        insort(self._gaps, (turn, cost))

    def _gap(self, now: float, cost: float) -> int | None:
        """Find the first turn given back that is ahead and large enough; the windows get those that time has passed."""
        past = bisect_left(self._gaps, (now, -inf))
        for turn, spent in self._gaps[:past]:
            is_last = turn >= self._last - _SAME_S
            for window in self._windows:
                window.give_back(turn, spent, is_last=is_last)
        del self._gaps[:past]
        return next((at for at, (_, spent) in enumerate(self._gaps) if spent >= cost), None)

    def _fill(self, gap: int, cost: float) -> float:
        """Use a turn given back; what it cost more stays to be used."""
        turn, spent = self._gaps.pop(gap)
        if spent > cost:
            insort(self._gaps, (turn, spent - cost))
        return turn
