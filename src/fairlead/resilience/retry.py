"""When to try again: as the vendor says, or else after exponential backoff with full jitter.

AWS Architecture Blog, 'Exponential Backoff And Jitter' (2015). The jitter comes after the cap, so that late attempts
of many callers do not meet.
"""

from __future__ import annotations

from fairlead.model.ports import Random


class Retry:
    """How often, and how long between."""

    __slots__ = ("base_s", "cap_s", "max_attempts")

    def __init__(self, *, max_attempts: int, base_s: float, cap_s: float) -> None:
        self.max_attempts = max_attempts
        self.base_s = base_s
        self.cap_s = cap_s

    def backoff_s(self, failures: int, random: Random) -> float:
        """Return the wait after so many failures, the first being 1."""
        ceiling = self.base_s * 2.0 ** min(failures - 1, 60)
        return random() * min(self.cap_s, ceiling)

    def wait_s(self, failures: int, random: Random, *, asked_s: float | None = None) -> float:
        """Return the wait after so many failures, where the vendor may have asked for one (RFC 9110 §10.2.3).

        What it asked for is never cut short, by the cap neither: a caller who has not the time fails at once. One that
        asks for no time at all says when it would look again, and not that it wants to be hammered: the backoff holds.
        """
        return asked_s or self.backoff_s(failures, random)
