"""How long a kept answer is good for what."""

from __future__ import annotations

from enum import Enum

import msgspec


class Standing(Enum):
    """What a kept answer is good for at its age."""

    FRESH = "fresh"
    #: To be served at once, while a fresh one is fetched (RFC 5861 §3).
    REFRESH = "refresh"
    #: To be served where nobody can give another (RFC 5861 §4).
    STALE = "stale"
    #: To be asked about: it may still be valid (RFC 9111 §4.3).
    INVALID = "invalid"


class Lives(msgspec.Struct, frozen=True, array_like=True):
    """The ages, in seconds, up to which an answer is fresh, served while it is refreshed, and served in need."""

    fresh_s: float
    refresh_s: float
    stale_s: float

    def standing(self, age_s: float) -> Standing:
        """Return what an answer of this age is good for."""
        if age_s < self.fresh_s:
            return Standing.FRESH
        if age_s < self.refresh_s:
            return Standing.REFRESH
        return Standing.STALE if age_s < self.stale_s else Standing.INVALID

    def longest_s(self) -> float:
        """Return the age at which it is good for nothing."""
        return max(self.fresh_s, self.refresh_s, self.stale_s)

    def at_most(self, longest_s: float) -> Lives:
        """Return the same, but nothing beyond an age."""
        return Lives(min(self.fresh_s, longest_s), min(self.refresh_s, longest_s), min(self.stale_s, longest_s))
