"""Leases of a limit that several processes share: the port.

A process leases points ahead of need and spends them by itself. What it may have spent counts as late as it may have
been spent, at the lease's end, until it says what it did spend, and when last. So the limit holds in every window,
whatever becomes of the process: `amount` in any `per_s` seconds, by the store's own clock.

Where too little is free, a lease begins in the future: a place in line, which nobody has to come back for. While
several processes ask, one lease is a small part of the limit, so that they take turns.

`tests/contract/test_lease_store.py` is the suite that every driver passes; `tests/memory_leases.py` is one in memory,
which explains the script of the other (`storage/scripts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
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
