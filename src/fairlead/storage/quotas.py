"""What was used of quotas: the port, and the driver that keeps it in this process's memory.

`tests/contract/test_quota_store.py` is the suite that every driver passes.
"""

from __future__ import annotations

from typing import Protocol

# Sums of fractional points are compared up to rounding.
_ROUNDING = 1e-9


class QuotaStore(Protocol):
    """Counts of points, each in slots of time. The last `slots` up to `slot` count together.

    Every method is one atomic step, whoever else calls: that is what keeps a quota from being overspent.
    """

    async def add(self, key: str, points: float, *, slot: int, slots: int, most: float) -> bool:
        """Count points in a slot, unless the slots that count would then hold more than `most`; return whether."""
        ...

    async def correct(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Add to a slot that still counts, or take from it, whatever that comes to; a slot is never below 0."""
        ...

    async def raise_to(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Add to a slot until the slots that count hold so much; they may hold more already."""
        ...

    async def used(self, key: str, *, slot: int, slots: int) -> float:
        """Return what the slots that count hold."""
        ...


class MemoryQuotas:
    """The store of one process. It never waits, so every method is one step of the event loop."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, float]] = {}

    async def add(self, key: str, points: float, *, slot: int, slots: int, most: float) -> bool:
        """Count points, if they fit."""
        counts = self._counting(key, slot, slots)
        if sum(counts.values()) + points > most * (1 + _ROUNDING):
            return False
        counts[slot] = counts.get(slot, 0.0) + points
        return True

    async def correct(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Change a slot, if it is still there."""
        counts = self._counting(key, slot, slots)
        if points > 0 or slot in counts:
            counts[slot] = max(0.0, counts.get(slot, 0.0) + points)

    async def raise_to(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Count what is missing."""
        counts = self._counting(key, slot, slots)
        missing = points - sum(counts.values())
        if missing > 0:
            counts[slot] = counts.get(slot, 0.0) + missing

    async def used(self, key: str, *, slot: int, slots: int) -> float:
        """Return the sum."""
        return sum(self._counting(key, slot, slots).values())

    def _counting(self, key: str, slot: int, slots: int) -> dict[int, float]:
        """Return the slots that count, later ones included: a clock that was set back gives nothing away."""
        counts = self._counts.setdefault(key, {})
        for old in [each for each in counts if each <= slot - slots]:
            del counts[old]
        return counts
