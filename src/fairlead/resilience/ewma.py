"""How long the answers of late took, on average: what is older weighs less, by the time that has passed since.

A vendor that is asked rarely is thus judged by its last answer, and one that is asked often by those of some seconds:
one slow answer among many does not cost a vendor its place, and one good answer after a bad hour gives it back.
"""

from __future__ import annotations

from math import exp, log

#: After so many seconds what was known weighs a third.
_MEMORY_S = 10.0
#: However little time has passed, a new answer weighs as much as this; and for so long that is what it comes to.
_LEAST = 0.1
_SOON_S = -_MEMORY_S * log(1.0 - _LEAST)


class Ewma:
    """An exponentially weighted moving average of seconds; `mean_s` is None until something is known."""

    __slots__ = ("_at", "mean_s")

    def __init__(self) -> None:
        self.mean_s: float | None = None
        self._at = 0.0

    def record(self, seconds: float, now: float) -> None:
        """Count an answer."""
        if self.mean_s is None:
            self.mean_s = seconds
        else:
            passed_s = now - self._at
            weight = _LEAST if passed_s < _SOON_S else 1.0 - exp(-passed_s / _MEMORY_S)
            self.mean_s += weight * (seconds - self.mean_s)
        self._at = now
