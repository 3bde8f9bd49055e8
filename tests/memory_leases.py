"""Leases of a limit in this process's memory (see `fairlead.storage.leases`): the driver that explains the script."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from math import ceil, floor, inf

import msgspec

from fairlead.storage.leases import (
    ACTIVE,
    GRAIN,
    LONG,
    LONGEST_S,
    MEMORY_S,
    PART,
    ROUNDING,
    SHORT,
    SHORTEST_S,
    TURN,
    Ask,
    Grant,
    Report,
    Span,
)


class _Log:
    """What counts in one span: points by the slot in which they were, or may be, spent last."""

    def __init__(self, span: Span) -> None:
        self.amount = span.amount
        self.per_s = span.per_s
        self.grain_s = span.per_s * GRAIN
        self.slots: list[int] = []
        self.points: dict[int, float] = {}
        self.used = 0.0

    def slot(self, at: float) -> int:
        return ceil(at / self.grain_s)

    def sweep(self, now: float) -> None:
        while self.slots and self.slots[0] * self.grain_s + self.per_s <= now:
            self.used -= self.points.pop(self.slots.pop(0))
        if not self.slots:
            self.used = 0.0

    def change(self, at: float, points: float) -> None:
        """Count points, or fewer; what has left by now is not there to be changed."""
        slot = self.slot(at)
        if slot not in self.points:
            if points <= 0:
                return
            insort(self.slots, slot)
            self.points[slot] = 0.0
        elif points < 0:
            points = max(points, -self.points[slot])
        self.points[slot] += points
        self.used += points
        if self.points[slot] <= ROUNDING:
            self.used -= self.points.pop(slot)
            del self.slots[bisect_left(self.slots, slot)]

    def turn(self, now: float, points: float) -> float:
        """Return the first instant at which so many points are free."""
        excess = self.used + points - self.amount
        if excess <= self.amount * ROUNDING:
            return now
        for slot in self.slots:
            excess -= self.points[slot]
            if excess <= self.amount * ROUNDING:
                return slot * self.grain_s + self.per_s
        return inf


class _Lease(msgspec.Struct):
    points: float
    spent: float
    start: float
    end: float


class _Limit:
    """What is known of one limit."""

    def __init__(self, spans: Sequence[Span], now: float) -> None:
        self.logs = [_Log(each) for each in spans]
        # So that a number is not given twice where the store forgets.
        self.number = self.epoch = floor(now * 1000) + 1
        self.leases: dict[tuple[str, int], _Lease] = {}
        self.asked: dict[str, float] = {}

    def sweep(self, now: float) -> None:
        for log in self.logs:
            log.sweep(now)
        for key in [key for key, each in self.leases.items() if each.end + MEMORY_S <= now]:
            del self.leases[key]

    def settle(self, process: str, reports: Sequence[Report], now: float) -> None:
        """Count what was spent when it was, and no more what is given back."""
        for report in reports:
            if report.number == 0:
                for log in self.logs:
                    if report.age_s < log.per_s:
                        log.change(now - report.age_s, report.spent)
                continue
            lease = self.leases.get((process, report.number))
            if lease is None:
                continue
            spent = min(max(0.0, report.spent - lease.spent), lease.points)
            rest = lease.points - spent if report.is_over else 0.0
            at = min(lease.end, now - report.age_s)
            for log in self.logs:
                # In the order in which nothing is ever counted too low.
                log.change(lease.end, -spent - rest)
                log.change(at, spent)
            lease.points -= spent + rest
            lease.spent += spent
            if report.is_over:
                del self.leases[process, report.number]

    def active(self, process: str, now: float, shortest_s: float) -> int:
        """Count the processes that ask, this one included."""
        since = now - max(1.0, ACTIVE * shortest_s)
        self.asked[process] = now
        self.asked = {each: at for each, at in self.asked.items() if at >= since}
        return len(self.asked)


class MemoryLeases:
    """The store of one process, for several event loops' worth of clients or for none; `clock` gives its time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limits: dict[str, _Limit] = {}

    async def lease(self, key: str, spans: Sequence[Span], ask: Ask) -> Grant:
        """Settle and lease."""
        now = self._clock()
        limit = self._limits.get(key)
        if limit is None:
            limit = self._limits[key] = _Limit(spans, now)
        limit.sweep(now)
        if ask.epoch not in {0, limit.epoch}:
            return Grant(epoch=limit.epoch)
        limit.settle(ask.process, ask.reports, now)
        if ask.waiting <= 0 and ask.ahead <= 0:
            return Grant(epoch=limit.epoch)
        return _grant(limit, spans, ask, now)


def _grant(limit: _Limit, spans: Sequence[Span], ask: Ask, now: float) -> Grant:
    shortest_s = min(each.per_s for each in spans)
    smallest = min(each.amount for each in spans)
    active = limit.active(ask.process, now, shortest_s)
    free = max(0.0, min(log.amount - log.used for log in limit.logs))
    slack = smallest * ROUNDING
    lasts_s = max(min(SHORT * shortest_s, SHORTEST_S), ask.least_s)
    line = max((each.start for each in limit.leases.values()), default=now)
    if ask.least > smallest + slack:
        return Grant(epoch=limit.epoch, starts_in_s=inf)
    if line <= now and ask.least <= free + slack:
        most = ask.waiting if active == 1 else min(ask.waiting, max(ask.least, floor(PART * smallest / active)))
        points = min(max(free, ask.least), most)
        points += max(0, floor(min(ask.ahead, (free - points) / (2 * active))))
        starts = now
        if all(log.used + points <= log.amount / 2 for log in limit.logs):
            lasts_s = max(lasts_s, min(LONG * shortest_s, LONGEST_S))
    else:  # whoever stands in line already is not overtaken
        points = max(ask.least, min(ask.waiting, floor(TURN * smallest)))
        starts = max(line, *(log.turn(now, points) for log in limit.logs))
    if points <= 0 or starts - now > ask.patience_s:
        return Grant(epoch=limit.epoch, starts_in_s=max(0.0, starts - now))
    limit.number += 1
    lease = limit.leases[ask.process, limit.number] = _Lease(points, 0.0, starts, starts + lasts_s)
    for log in limit.logs:
        log.change(lease.end, points)
    return Grant(epoch=limit.epoch, number=limit.number, points=points, starts_in_s=starts - now, lasts_s=lasts_s)
