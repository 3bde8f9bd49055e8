"""The one instant that bounds queue, attempts and backoff of a call."""

from __future__ import annotations

import msgspec


class Deadline(msgspec.Struct, frozen=True):
    """An instant on the monotonic clock, in seconds."""

    at_s: float

    @classmethod
    def after(cls, seconds: float, *, now: float) -> Deadline:
        """Return the deadline `seconds` from `now`."""
        return cls(now + seconds)

    def remaining(self, now: float) -> float:
        """Return the seconds left; never negative."""
        return max(0.0, self.at_s - now)

    def is_past(self, now: float) -> bool:
        """Whether no time is left."""
        return now >= self.at_s

    def allows(self, wait_s: float, now: float) -> bool:
        """Whether something could still happen after waiting `wait_s`."""
        return now + wait_s < self.at_s
