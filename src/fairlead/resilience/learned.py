"""What the vendor itself says is left: a window that is set by answers, beside those that are declared.

It only ever restrains. The declared windows go on holding, so that a vendor who promises more than the plan, by
mistake or for a moment, raises nothing; where the vendor's word is to be the plan, there are no declared windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, inf
from typing import NamedTuple

from fairlead.spec.limits import Reading

# How long a number is believed that comes without a reset: the shortest window vendors publish.
_UNSAID_S = 1.0
# However long a reset is, the vendor is asked again once a day.
_LONGEST_S = 86_400.0
# Resets are written in whole seconds, and so are the dates they are measured from.
_SAME_RESET_S = 2.0
# A vendor has a handful of limits; more names than these are garbage.
_MOST_LIMITS = 8


class UsedUp(NamedTuple):
    """A limit of which nothing is left for `left_s`; then there will be `fresh`, for `span_s`."""

    name: str
    left_s: float
    fresh: float
    span_s: float


class _Limit:
    """One limit of the vendor, as last read."""

    __slots__ = ("ahead", "fresh", "left", "said", "span_s", "until")

    def __init__(self) -> None:
        #: What the vendor said last, of the answers in this window the least; and what of that is left.
        self.said = inf
        self.left = inf
        #: When it starts anew; what is taken after that is `ahead`.
        self.until = -inf
        self.ahead = 0.0
        #: How much there will be then, and for how long.
        self.fresh = 0.0
        self.span_s = 0.0


class Learned:
    """The window (see `windows.Window`). `most` bounds what is expected after a reset: the plan's amount.

    Requests under way are taken as not yet counted by the vendor, so that what is left is never overdrawn by those
    that left before the answer came; each of them must end by `note`, `end` or `give_back`. The answers may come in
    any order: within one window the least counts.
    """

    __slots__ = ("_limits", "_most", "_reserve", "_under_way")

    def __init__(self, *, most: float = inf, reserve: float = 0.0) -> None:
        self._limits: dict[str, _Limit] = {}
        self._most = most
        self._reserve = reserve
        self._under_way = 0.0

    def expect(self, under_way: float) -> None:
        """Begin with so many requests under way, that left before anybody counted."""
        self._under_way = under_way

    def next_turn(self, now: float, cost: float, is_background: bool = False) -> float:
        """Return when the vendor has so much left; for ever `now` while it has said nothing."""
        turn = now
        for limit in self._limits.values():
            if limit.until <= now:
                _renew(limit, now)
            left = limit.left - (self._reserve * limit.fresh if is_background else 0.0)
            if left < cost and limit.until > now:
                turn = max(turn, _next_window(limit, cost))
        return turn

    def take(self, turn: float, cost: float) -> None:
        """Charge a turn to the window it is in."""
        self._under_way += cost
        for limit in self._limits.values():
            if turn < limit.until:
                limit.left -= cost
            else:
                limit.ahead += cost

    def give_back(self, turn: float, cost: float, *, is_last: bool = False) -> None:  # noqa: ARG002  # makes no difference
        """Take a charge back: the request never left."""
        self._under_way = max(0.0, self._under_way - cost)
        for limit in self._limits.values():
            if turn < limit.until and limit.left < limit.fresh:
                limit.left += cost
            elif turn >= limit.until:
                limit.ahead = max(0.0, limit.ahead - cost)

    def end(self, cost: float = 1.0) -> None:
        """Count a request as over whose answer said nothing of limits, or that had none: the vendor counted it."""
        self._under_way = max(0.0, self._under_way - cost)
        for limit in self._limits.values():
            limit.said -= cost

    def note(
        self, readings: Iterable[Reading], now: float, cost: float = 1.0, *, was_throttled: bool = False
    ) -> list[UsedUp]:
        """Learn from an answer; return the limits of which, as is new, nothing is left.

        An answer that refuses for coming too fast, and says no number, means that none is left.
        """
        used_up: list[UsedUp] = []
        self._under_way = max(0.0, self._under_way - cost)
        for reading in readings:
            remaining = reading.remaining
            if remaining is None and was_throttled:
                remaining = 0.0
            if remaining is None or reading.is_quota:
                continue
            limit = self._limit(reading.name)
            if limit is None:
                continue
            was_known = limit.said <= 0 and limit.until > now
            self._read(limit, reading, remaining, now)
            if limit.said <= 0 and not was_known:
                used_up.append(UsedUp(reading.name, limit.until - now, limit.fresh, limit.span_s))
        return used_up

    def hear(self, used_up: UsedUp, now: float) -> None:
        """Learn from another process that nothing is left of a limit."""
        limit = self._limit(used_up.name)
        if limit is not None:
            reading = Reading(name=used_up.name, limit=used_up.fresh, remaining=0.0, reset_s=used_up.left_s)
            limit.span_s = max(limit.span_s, used_up.span_s)
            self._read(limit, reading, 0.0, now)

    def left(self, name: str = "") -> float:
        """Return what a limit has left by our count; `inf` while the vendor has said nothing."""
        limit = self._limits.get(name)
        return inf if limit is None else max(0.0, limit.left)

    def _limit(self, name: str) -> _Limit | None:
        """Return what is known of a limit; None where there are too many names already."""
        if name not in self._limits and len(self._limits) < _MOST_LIMITS:
            self._limits[name] = _Limit()
        return self._limits.get(name)

    def _read(self, limit: _Limit, reading: Reading, remaining: float, now: float) -> None:
        reset_s = min(reading.reset_s if reading.reset_s is not None else reading.window_s or _UNSAID_S, _LONGEST_S)
        until = now + reset_s
        is_same_window = limit.until > now and abs(until - limit.until) <= min(_SAME_RESET_S, limit.span_s / 2)
        limit.said = min(limit.said, remaining) if is_same_window else remaining
        limit.left = limit.said - self._under_way
        limit.until = max(limit.until, until) if is_same_window else until
        if not is_same_window:
            limit.ahead = 0.0
        limit.span_s = reading.window_s or max(limit.span_s, reset_s, _UNSAID_S)
        limit.fresh = min(self._most, max(reading.limit or limit.fresh, remaining, 1.0))


def _renew(limit: _Limit, now: float) -> None:
    """Begin the next window: until the vendor says otherwise it has as much as ever, less what was taken ahead."""
    if limit.until + limit.span_s > now:
        limit.left = limit.fresh - limit.ahead
        limit.until += limit.span_s
    else:  # nothing was heard for a whole window: nothing is known
        limit.left = inf
        limit.until = -inf
    limit.said = inf
    limit.ahead = 0.0


def _next_window(limit: _Limit, cost: float) -> float:
    """Return when a window begins that has room for the cost, after those that were given turns ahead."""
    windows = limit.ahead / limit.fresh if cost > limit.fresh else (limit.ahead + cost) / limit.fresh - 1
    return limit.until + max(0, ceil(windows)) * limit.span_s
