"""A concurrency limit that finds itself: as much as the vendor serves without making anybody wait.

A vendor's queue shows as latency. What an answer takes without a queue, over what one takes now, is the gradient: 1
while nothing queues, less as a queue grows. Each answer moves the limit towards `gradient x limit + headroom` by a
little, so that it grows by a fraction of its root in the time of one answer (additive increase), and falls with the
gradient before anything breaks. A drop, which is a timeout or a refusal for overload, cuts it at once (multiplicative
decrease), but once for all drops of a moment: they tell of one event.

Everything hangs on the latency without a queue. An average creeps up with the queue that it should show, and the limit
with it, without end; a minimum stays at what was true once. So every half minute the limit is halved for the time of
a few answers, which drains the queue, and the latency is measured anew; where less than half of the limit is in use,
there is nothing to drain. Nor is anything learnt from latency then: a limit that nobody reaches would grow, and be no
limit when it is needed.

After Netflix's concurrency-limits (the gradient, and the draining of its first version), TCP Vegas, and BBR's ProbeRTT;
one step an answer, weighed by the limit, as in Reno (RFC 5681 §3.1); the cut is CUBIC's (RFC 9438 §4.6).
"""

from __future__ import annotations

from math import inf, sqrt

import msgspec

from fairlead.errors import InvalidSettingError

#: What remains of the limit after a drop: RFC 9438 §4.6.
_CUT = 0.7
#: Answers may take so much longer than without a queue before the limit falls: vendors are never quite even.
_TOLERANCE = 1.5
#: One answer never says more than 'half as much'.
_STEEPEST = 0.5
#: How much of the way to its target the limit goes in the time of one answer.
_SMOOTHING = 0.2
#: Over how many answers the present latency is averaged, about; and as many make a measurement.
_FEW = 10
#: How long a measurement holds.
_HOLDS_S = 30.0


class AdaptiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Between what and what. Raises `InvalidSettingError` for what cannot be."""

    #: Where it begins.
    initial: int = 20
    #: It never falls below.
    min_limit: int = 1
    #: It never rises above.
    max_limit: int = 200

    def __post_init__(self) -> None:
        if not 1 <= self.min_limit <= self.initial <= self.max_limit:
            raise InvalidSettingError(
                f"concurrency: min_limit ({self.min_limit}), initial ({self.initial}) and max_limit "
                f"({self.max_limit}) must rise in this order, from 1."
            )


class AdaptiveLimit:
    """The state machine. `empty_s` is the latency without a queue, `recent_s` the present one."""

    __slots__ = (
        "_cut_until", "_drained_at", "_limit", "_max", "_measure_at", "_min", "_samples", "_seen", "_sum_s", "empty_s",
        "recent_s",
    )  # fmt: skip

    def __init__(self, options: AdaptiveOptions | None = None) -> None:
        options = options or AdaptiveOptions()
        self._min = options.min_limit
        self._max = options.max_limit
        self._limit = float(options.initial)
        self._cut_until = -inf
        self._seen = 0
        #: When to measure next; when the queue is drained, infinite unless a measurement is going on; what it has seen.
        self._measure_at = -inf
        self._drained_at = inf
        self._samples = 0
        self._sum_s = 0.0
        self.empty_s = inf
        self.recent_s = 0.0

    @property
    def limit(self) -> int:
        """How many may be under way."""
        return int(self._limit) if self._drained_at == inf else max(self._min, int(self._limit / 2))

    def record(self, seconds: float, *, now: float, in_flight: int, is_drop: bool) -> int:
        """Learn from an exchange that ended, itself counted in `in_flight`; return the limit."""
        if is_drop:
            if now >= self._cut_until:
                self._cut_until = now + max(self.recent_s, seconds)
                self._limit = max(float(self._min), self._limit * _CUT)
            return self.limit
        self._seen += 1
        # A plain mean at first, and then one that forgets.
        self.recent_s += (seconds - self.recent_s) / min(self._seen, _FEW)
        if self._drained_at != inf:
            self._measure(seconds, now)
        elif self._seen >= _FEW:
            self._learn(now, in_flight)
        return self.limit

    def _learn(self, now: float, in_flight: int) -> None:
        """Move the limit by the present latency, or begin to measure."""
        limit, recent_s = self._limit, self.recent_s
        is_used = in_flight * 2 >= limit
        if now >= self._measure_at:
            if is_used and self._measure_at != -inf:
                self._drained_at = now + 2 * recent_s  # by then what is under way has ended
                return
            self._measure_at = now + _HOLDS_S
            self.empty_s = recent_s
        self.empty_s = min(self.empty_s, recent_s)
        if is_used and recent_s > 0:
            gradient = min(1.0, max(_STEEPEST, _TOLERANCE * self.empty_s / recent_s))
            step = (gradient * limit + sqrt(limit) - limit) * _SMOOTHING / limit
            self._limit = min(float(self._max), max(float(self._min), limit + step))

    def _measure(self, seconds: float, now: float) -> None:
        """Take what is answered once the queue is drained for the latency without one."""
        if now < self._drained_at:
            return
        self._samples += 1
        self._sum_s += seconds
        if self._samples >= _FEW:
            self.empty_s = self.recent_s = self._sum_s / self._samples
            self._samples, self._sum_s = 0, 0.0
            self._drained_at = inf
            self._measure_at = now + _HOLDS_S
