"""How it is found out what a request did whose answer never came: declared by the provider, decided here.

A look is evidence; that nothing is found is evidence only once the vendor would show it (`visible_after_s`). Where
neither can be had, the outcome stays unknown, and a person has to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, TypeAlias

import msgspec


class Found(msgspec.Struct, frozen=True):
    """It was done. `value` is what the operation would have returned."""

    value: Any
    evidence: str = "the vendor has it"


class Absent(msgspec.Struct, frozen=True):
    """The vendor shows no such thing."""

    evidence: str = "the vendor does not have it"


#: What a look came to; None where it cannot tell.
Seen: TypeAlias = Found | Absent | None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the request that is in doubt. `sent_at` is in seconds since 1970."""

    #: What `Acting.reference` was: find it in the vendor's metadata.
    reference: str
    #: The idempotency key that the vendor was sent.
    key: str | None
    sent_at: float
    #: Those of the operation.
    arguments: tuple[Any, ...]


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How one operation is settled. `look` is the name of a method of the same class: `(Case) -> Operation[Seen]`.

    A look only reads: by the idempotency key, by the reference in the vendor's metadata, or in a list of recent ones.
    """

    look: str
    #: What was not found before is not absent. In seconds since the request may last have reached the vendor.
    visible_after_s: float
    #: Then it is given up, and a person has to say.
    until_s: float = 86_400.0


class Unknowable(msgspec.Struct, frozen=True):
    """The vendor has no way to ask what happened. `reason` says how that is known."""

    reason: str


class Acting:
    """What the class of a capability has that does more than read."""

    #: Operation -> how it is found out what it did; what is left out cannot be known.
    SETTLE: ClassVar[Mapping[str, Settlement | Unknowable]] = {}
    #: Our name for the call, to be sent in the vendor's metadata where it has such a field; empty for a call without.
    reference: str = ""

    def key(self, step: str) -> str | None:
        """Return the idempotency key of a step; the same whenever the same call comes to it."""
        return f"{self.reference}-{step}" if self.reference else None


class Decision(Enum):
    """What follows from a look."""

    DONE = "done"
    NOT_DONE = "not_done"
    LOOK_AGAIN = "look_again"
    GIVE_UP = "give_up"


def decide(seen: Seen, settlement: Settlement, *, late_at: float, now: float) -> Decision:
    """Say what follows. `late_at` is when the request may last have reached the vendor; `now` when the look began."""
    age_s = now - late_at
    if isinstance(seen, Found):
        return Decision.DONE
    if isinstance(seen, Absent) and age_s >= settlement.visible_after_s:
        return Decision.NOT_DONE
    return Decision.GIVE_UP if age_s >= settlement.until_s else Decision.LOOK_AGAIN
