"""How long answers take: a quantile of the recent ones, in O(1) for each and in fixed memory.

Answers are counted in buckets that widen by a quarter octave, from a millisecond to a quarter of an hour, so that the
estimate is within a tenth of the truth. New answers weigh more than old ones: the last `memory` or so decide, and a
vendor that has become slow is soon known as one. A pointer rests at the bucket of the quantile and moves with each
answer by as little as it must, so that nothing is ever searched.

P2 (Jain and Chlamtac, 1985) needs less memory, but holds on to the whole past; a window of samples forgets, but must be
sorted.
"""

from __future__ import annotations

from math import log2

_SHORTEST_S = 0.001
_PER_OCTAVE = 4
_BUCKETS = 80
#: Where the weights have grown so far, all of them are scaled back.
_HEAVIEST = 1e100
#: With fewer answers than this the quantile says nothing.
_FEWEST = 20


class Latency:
    """The estimate. Times are in seconds."""

    __slots__ = ("_at", "_below", "_counts", "_growth", "_share", "_total", "_weight", "seen")

    def __init__(self, *, share: float = 0.95, memory: int = 1000) -> None:
        self._share = share
        #: New answers weigh so much more than the last one: it comes to the same as letting the old ones fade.
        self._growth = 1.0 + 1.0 / memory
        self._weight = 1.0
        self._counts = [0.0] * _BUCKETS
        self._total = 0.0
        #: The bucket of the quantile, and the weight of all buckets below it.
        self._at = 0
        self._below = 0.0
        self.seen = 0

    def record(self, seconds: float) -> None:
        """Count an answer."""
        at = int(log2(seconds / _SHORTEST_S) * _PER_OCTAVE) if seconds > _SHORTEST_S else 0
        if at >= _BUCKETS:
            at = _BUCKETS - 1
        weight = self._weight
        self._counts[at] += weight
        self._total += weight
        if at < self._at:
            self._below += weight
        self.seen += 1
        self._weight = weight * self._growth
        if weight > _HEAVIEST:
            self._scale_back()
        self._move()

    def quantile_s(self) -> float | None:
        """Return the seconds within which the share of answers came, or None while too few are known."""
        if self.seen < _FEWEST:
            return None
        within = (self._share * self._total - self._below) / self._counts[self._at]
        return float(_SHORTEST_S * 2.0 ** ((self._at + within) / _PER_OCTAVE))

    def _move(self) -> None:
        """Bring the pointer to where the share of the weight is reached."""
        counts, target = self._counts, self._share * self._total
        while self._below + counts[self._at] < target and self._at < _BUCKETS - 1:
            self._below += counts[self._at]
            self._at += 1
        while self._at and self._below >= target:
            self._at -= 1
            self._below -= counts[self._at]

    def _scale_back(self) -> None:
        self._counts = [count / self._weight for count in self._counts]
        self._total = sum(self._counts)
        self._below = sum(self._counts[: self._at])
        self._weight = 1.0
