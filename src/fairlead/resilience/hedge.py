"""A hedge: when a read takes longer than almost all do, ask a second time, and take what comes first.

It cuts the tail that the vendor makes by chance (one slow machine of many, a lost packet), at the price of a few more
requests: at the 95th percentile, of one in twenty. It does not help against a vendor that is slow as a whole, and there
it would double the load. So each hedge is paid from the retry budget, and the percentile follows the recent answers:
where all are slow, slow is the usual, and nobody is asked twice for it.

Only where a repeat is harmless; what else may be sent twice, and that the slower one is cancelled, is for the caller to
see to. Dean and Barroso, 'The Tail at Scale' (2013), and gRFC A6.
"""

from __future__ import annotations

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.resilience.budget import HEDGE, Budget
from fairlead.resilience.latency import Latency


class HedgeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """When a second request goes out. Raises `InvalidSettingError` for what cannot be."""

    #: The share of answers that are waited for first.
    share: float = 0.95
    #: Never sooner than this: for quick vendors a second request is not worth its price.
    min_s: float = 0.02
    #: How many of the last answers decide, about.
    memory: int = 1000

    def __post_init__(self) -> None:
        if not (0.5 <= self.share < 1 and self.min_s >= 0 and self.memory >= 1):
            raise InvalidSettingError("hedge: share is from 0.5 to below 1, min_s is 0 or more, memory is 1 or more.")


class Hedge:
    """Says when, and whether it may be afforded."""

    __slots__ = ("_budget", "_min_s", "latency")

    def __init__(self, budget: Budget, options: HedgeOptions | None = None) -> None:
        options = options or HedgeOptions()
        self._budget = budget
        self._min_s = options.min_s
        self.latency = Latency(share=options.share, memory=options.memory)

    def delay_s(self) -> float | None:
        """Return how long the first request is waited for alone; None where too little is known to say."""
        usual = self.latency.quantile_s()
        return None if usual is None else max(self._min_s, usual)

    def admit(self) -> bool:
        """Pay for a second request, when the delay is over; return False where the budget does not allow it."""
        return self._budget.withdraw(HEDGE)

    def release(self) -> None:
        """Take back the price of one that was not sent after all."""
        self._budget.refund(HEDGE)

    def record(self, seconds: float) -> None:
        """Learn from the first request of a read: how long its answer took, or it was out until the second one won.

        What was given up took at least that long: to leave it out would make a slow vendor look quick, and hedge more
        and more. The second request is not told: it is timed only where it wins, and that it wins says it was quick.
        """
        self.latency.record(seconds)
