"""A rate limit for each of many keys: a tenant, an operation, a connection, or any of them together.

One key knows nothing of another, so none waits for one that is blocked. A key is a slot of a few bytes for each
window; one that has been idle for as long as its bucket takes to fill is as good as new, and forgotten.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from math import inf

from fairlead.resilience.windows import Gcra

# How many slots are looked at for an idle key whenever a new key comes: more than one, so that the idle ones go
# faster than new ones come.
_LOOKS = 2
_SAME_S = 1e-6


class KeyedLimit:
    """The same buckets for every key. Methods are those of `RateLimit`, with the key in front.

    Each window is an array of the instants at which the keys' buckets will be full (see `Gcra`), so a million keys
    cost as much a call as one.
    """

    __slots__ = ("_arrivals", "_free", "_hand", "_keys", "_rest_s", "_shapes", "_slots")

    def __init__(self, *shapes: Gcra) -> None:
        self._shapes = tuple((each.unit_s, each.span_s, each.burst) for each in shapes)
        #: How long after its bucket is full a key is as good as new: the margins of the shapes.
        self._rest_s = max((each.burst * each.unit_s - each.span_s for each in shapes), default=0.0)
        self._arrivals: tuple[array[float], ...] = tuple(array("d") for _ in shapes)
        self._slots: dict[Hashable, int] = {}
        self._keys: list[Hashable | None] = []
        self._free: list[int] = []
        self._hand = 0

    def __len__(self) -> int:
        return len(self._slots)

    def admit(self, key: Hashable, now: float, cost: float = 1.0, *, longest_wait_s: float = 0.0) -> float | None:
        """Take a turn for a key; return the seconds to wait for it, or None, and take none, where that is too long."""
        slot = self._slots.get(key)
        wait = self._wait(slot, now, cost)
        if wait > longest_wait_s or wait == inf:
            return None
        if slot is None:
            slot = self._new_slot(key, now)
        turn = now + wait
        for (unit_s, _, _), arrivals in zip(self._shapes, self._arrivals, strict=True):
            arrival = arrivals[slot]
            arrivals[slot] = (turn if turn > arrival else arrival) + cost * unit_s
        return wait

    def retry_after_s(self, key: Hashable, now: float, cost: float = 1.0) -> float:
        """Return the seconds until a turn of this key is free; `inf` for a cost beyond any window."""
        return self._wait(self._slots.get(key), now, cost)

    def give_back(self, key: Hashable, turn: float, cost: float = 1.0) -> None:
        """Give back a turn that was not used, where no later one of this key rests on it."""
        slot = self._slots.get(key)
        if slot is None:
            return
        for (unit_s, span_s, _), arrivals in zip(self._shapes, self._arrivals, strict=True):
            arrival = arrivals[slot]
            was_first = arrival <= turn + cost * unit_s + _SAME_S
            was_last_in_line = abs(arrival - turn - span_s) <= _SAME_S
            if was_first or was_last_in_line:
                arrivals[slot] = arrival - cost * unit_s

    def forget_idle(self, now: float) -> int:
        """Forget every idle key; return how many those were. Nobody needs to call it while new keys come."""
        before = len(self._slots)
        for _ in range(len(self._keys)):
            self._look(now)
        return before - len(self._slots)

    def _wait(self, slot: int | None, now: float, cost: float) -> float:
        turn = now
        for (unit_s, span_s, burst), arrivals in zip(self._shapes, self._arrivals, strict=True):
            if cost > burst:
                return inf
            if slot is not None:
                free = arrivals[slot] + cost * unit_s - span_s
                if free > turn:
                    turn = free
        return turn - now

    def _new_slot(self, key: Hashable, now: float) -> int:
        for _ in range(min(_LOOKS, len(self._keys))):
            self._look(now)
        if self._free:
            slot = self._free.pop()
            self._keys[slot] = key
        else:
            slot = len(self._keys)
            self._keys.append(key)
            for arrivals in self._arrivals:
                arrivals.append(-inf)
        self._slots[key] = slot
        return slot

    def _look(self, now: float) -> None:
        """Look at one slot, and forget its key if every bucket is full."""
        self._hand = (self._hand + 1) % len(self._keys)
        slot = self._hand
        key = self._keys[slot]
        if key is None or any(arrivals[slot] + self._rest_s > now for arrivals in self._arrivals):
            return
        del self._slots[key]
        self._keys[slot] = None
        self._free.append(slot)
        for arrivals in self._arrivals:
            arrivals[slot] = -inf
