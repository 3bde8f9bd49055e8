"""A quota: so many points a day or a month, reserved before the call and settled after it, never overspent.

Two calls that each look at what is left, and then both spend it, overspend. So each takes the most it can cost
first, in one step of the store, and gives back what it did not cost. Periods follow the vendor's own calendar, by
the wall clock: `now` is in seconds since 1970.
"""

from __future__ import annotations

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.spec.provider import QuotaReset
from fairlead.spec.quota import period_of, seconds_to_reset
from fairlead.storage.quotas import QuotaStore

# A rolling period is counted in so many slots, and one more: never more than allowed in any period, and what was
# used comes back at most a 48th of it late.
_SLOTS = 48


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """So many points from one reset to the next, or in any `rolling_s` seconds. Exactly one of the two is given.

    `reserve` is the share that background calls leave untouched.
    """

    points: float
    reset: QuotaReset | None = None
    rolling_s: float | None = None
    name: str = ""
    reserve: float = 0.0

    def __post_init__(self) -> None:
        if (self.reset is None) == (self.rolling_s is None):
            raise InvalidArgumentError(
                "An allowance has either a reset or a rolling period.", hint="Give one of reset and rolling_s."
            )

    @property
    def slots(self) -> int:
        """How many slots of time count together."""
        return 1 if self.rolling_s is None else _SLOTS + 1

    def slot(self, now: float) -> int:
        """Return the slot of time that now is in."""
        if self.rolling_s is not None:
            return int(now // (self.rolling_s / _SLOTS))
        return 0 if self.reset is None else period_of(self.reset, now=now)

    def resets_in_s(self, now: float) -> float:
        """Return the seconds until some of it comes back: all at a reset; when rolling, perhaps none as yet."""
        if self.rolling_s is not None:
            width = self.rolling_s / _SLOTS
            return (now // width + 1) * width - now
        if self.reset is None:
            return 0.0
        return seconds_to_reset(self.reset, now=now)


class Reservation(msgspec.Struct):
    """Points that were taken before a call, to be settled once; what is settled again changes nothing."""

    points: float
    #: The slot of each allowance in which they were counted.
    slots: tuple[int, ...]
    is_open: bool = True


class Spent(msgspec.Struct, frozen=True):
    """There is not enough left of an allowance. `retry_after_s`: when some of it comes back."""

    name: str
    retry_after_s: float


class Quota:
    """The allowances of one account, such as a day and a month: a call takes from all of them or from none.

    `key` names the account in the store; processes that share a store share the account.
    """

    __slots__ = ("_allowances", "_store", "key")

    def __init__(self, store: QuotaStore, key: str, *allowances: Allowance) -> None:
        self._store = store
        self.key = key
        self._allowances = allowances

    async def reserve(self, now: float, points: float = 1.0, *, is_background: bool = False) -> Reservation | Spent:
        """Take the most that a call can cost, or nothing and say why."""
        slots = tuple(each.slot(now) for each in self._allowances)
        for at, each in enumerate(self._allowances):
            most = each.points * (1 - each.reserve) if is_background else each.points
            if not await self._store.add(self._key(each), points, slot=slots[at], slots=each.slots, most=most):
                await self._correct(-points, slots[:at])
                return Spent(each.name, each.resets_in_s(now))
        return Reservation(points, slots)

    async def settle(self, reservation: Reservation, points: float) -> None:
        """Say what the call did cost: less is given back, more is counted, in the period in which it was reserved."""
        if reservation.is_open:
            reservation.is_open = False
            await self._correct(points - reservation.points, reservation.slots)

    async def give_back(self, reservation: Reservation) -> None:
        """Say that the call cost nothing: it was not done, and the vendor does not charge for that."""
        await self.settle(reservation, 0.0)

    async def note_left(self, now: float, points: float, *, name: str = "") -> None:
        """Believe the vendor when it says that fewer are left than we think; somebody else uses the account too."""
        for each in self._allowances:
            if each.name == name:
                used = each.points - points
                await self._store.raise_to(self._key(each), used, slot=each.slot(now), slots=each.slots)

    async def left(self, now: float, *, name: str = "") -> float:
        """Return what is left of an allowance; raise `KeyError` for a name that none has."""
        for each in self._allowances:
            if each.name == name:
                used = await self._store.used(self._key(each), slot=each.slot(now), slots=each.slots)
                return max(0.0, each.points - used)
        raise KeyError(name)

    async def _correct(self, points: float, slots: tuple[int, ...]) -> None:
        if points:
            for each, slot in zip(self._allowances, slots, strict=False):
                await self._store.correct(self._key(each), points, slot=slot, slots=each.slots)

    def _key(self, each: Allowance) -> str:
        return f"{self.key}/{each.name}"
