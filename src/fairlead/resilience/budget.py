"""A budget for repeats: however a vendor fares, it never sees much more than what the callers asked for.

Retries help while few attempts fail. When all do, three tries a call triple the load of a vendor that is dying of load.
So each call earns `share` of a repeat, repeats are paid from what was earned, and where nothing is left the failure is
final. Retries and hedges of a connection share one budget.

    sent <= calls x (1 + share) + burst

A caller with little traffic would earn its first retry after minutes. So a call earns for the seconds since the one
before, `floor_per_s` each, where that is more than its share. Calls that come faster than floor_per_s / share a second
earn their share alone, and the bound above holds; for rarer ones `floor_per_s` x seconds come to it. What is earned
and not used is kept up to `burst`, so that an hour of health does not pay for a storm.

A repeat costs 1, one after a timeout twice as much: it held a place at the vendor for the whole time, and so will the
next. The costs make the bound tighter, never wider. A repeat that was paid for and not sent is given back.

The idea is that of Finagle's RetryBudget (a share of the requests, and a reserve), gRPC's retry throttling (gRFC A6)
and the retry quota of the AWS SDKs (a timeout costs twice). Calls earn here, as in Finagle, and not successes: the
bound is one on load, and holds whatever the vendor answers.
"""

from __future__ import annotations

import msgspec

from fairlead.errors import InvalidSettingError

#: What a repeat costs, by why it is sent.
AFTER_REFUSAL = 1.0
AFTER_TIMEOUT = 2.0
HEDGE = 1.0


class BudgetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be repeated. Raises `InvalidSettingError` for what cannot be."""

    #: How many repeats a call earns.
    share: float = 0.2
    #: What is earned in a second at least, by one who calls rarely.
    floor_per_s: float = 1.0
    #: The most that is kept; there is as much at the start.
    burst: float = 10.0

    def __post_init__(self) -> None:
        if not (self.share >= 0 and self.floor_per_s >= 0 and self.burst >= 0):
            raise InvalidSettingError("budget: share, floor_per_s and burst are 0 or more.")


class Budget:
    """The account. `balance` is how many plain retries it would pay for."""

    __slots__ = ("_burst", "_floor_per_s", "_last", "_share", "balance")

    def __init__(self, options: BudgetOptions | None = None) -> None:
        options = options or BudgetOptions()
        self._share = options.share
        self._floor_per_s = options.floor_per_s
        self._burst = options.burst
        self._last: float | None = None
        self.balance = options.burst

    def deposit(self, now: float) -> None:
        """Earn for a call: once for each that is asked, and not for its repeats."""
        last, self._last = self._last, now
        if self.balance < self._burst:
            earned = self._share
            if last is not None and (now - last) * self._floor_per_s > earned:
                earned = (now - last) * self._floor_per_s
            balance = self.balance + earned
            self.balance = min(self._burst, balance)

    def withdraw(self, cost: float = AFTER_REFUSAL) -> bool:
        """Pay for a repeat; return False, and take nothing, where there is not enough."""
        if self.balance < cost:
            return False
        self.balance -= cost
        return True

    def refund(self, cost: float = AFTER_REFUSAL) -> None:
        """Take back the price of a repeat that was not sent after all."""
        self.balance = min(self._burst, self.balance + cost)
