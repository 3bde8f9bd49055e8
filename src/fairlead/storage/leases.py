"""Leases of a limit that several processes share: the port, and the driver that keeps it in this process's memory.

A process leases points ahead of need and spends them by itself. What it may have spent counts as late as it may have
been spent, at the lease's end, until it says what it did spend, and when last. So the limit holds in every window,
whatever becomes of the process: `amount` in any `per_s` seconds, by the store's own clock.

Where too little is free, a lease begins in the future: a place in line, which nobody has to come back for. While
several processes ask, one lease is a small part of the limit, so that they take turns.

`tests/contract/test_lease_store.py` is the suite that every driver passes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from math import ceil, floor, inf
from typing import Protocol

import msgspec

# A log knows instants to this share of its window, rounded up: at most 0.4% is lost.
GRAIN = 1 / 256
# While little is left, a lease ends after this share of the shortest window, and after so many seconds at the latest.
# It is what may be lost in a long line.
SHORT = 0.015
SHORTEST_S = 0.1
# While more than half is left, a lease may take its time: as long as half of the shortest window, and as this.
LONG = 0.5
LONGEST_S = 5.0
# While several processes ask, one lease is at most this share of an equal share of the limit.
PART = 0.1
# Who stands in line is given at most this share of the limit for one turn.
TURN = 0.01
# A process counts as asking for so long after it last asked, in shortest windows, and for at least a second.
ACTIVE = 2.0
# How long after its end a lease may still be settled.
MEMORY_S = 60.0
# Sums of fractional costs are compared up to rounding.
ROUNDING = 1e-9


class Span(msgspec.Struct, frozen=True):
    """At most `amount` points in any `per_s` seconds."""

    amount: float
    per_s: float


class Report(msgspec.Struct, frozen=True):
    """What was spent of a lease so far, how long ago the last of it was, and whether the rest is given back.

    The lease number 0 is what was spent without one, while the store was out of reach, or before it forgot.
    """

    number: int
    spent: float
    age_s: float
    is_over: bool


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a process reports and wants. Points are beyond those that it holds.

    `least` is what the first in its line needs; less would be of no use. `waiting` is what all in its line need, and
    `ahead` what it expects to need soon. `patience_s`: a lease that begins later than this is not taken.
    `least_s` is the shortest lease that can be used, as the way to the store takes its time. `epoch` is the last
    grant's, 0 where there was none.
    """

    process: str
    epoch: int = 0
    reports: Sequence[Report] = ()
    least: float = 0.0
    waiting: float = 0.0
    ahead: float = 0.0
    patience_s: float = inf
    least_s: float = 0.0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A lease: `points` to be spent from `starts_in_s` on, for `lasts_s`. Without points, that says when to ask.

    It is `inf` for what is beyond the limit altogether. The `epoch` changes when the store has forgotten the limit.
    Who asks with an old one is neither heard nor granted anything, so that it reports what it spent lately.
    """

    epoch: int
    number: int = 0
    points: float = 0.0
    starts_in_s: float = 0.0
    lasts_s: float = 0.0


class LeaseStore(Protocol):
    """Grants leases. Every method is one atomic step, whoever else calls; raises `StorageError` without an answer."""

    async def lease(self, key: str, spans: Sequence[Span], ask: Ask) -> Grant:
        """Settle what is reported, and lease what is wanted as far as that goes."""
        ...


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
