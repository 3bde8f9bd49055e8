"""What moved in the balance at a vendor: what was taken, given back, kept as a fee, contested, and paid out."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.money import Money


class MovementKind(StrEnum):
    """What it is about."""

    CHARGE = "charge"
    REFUND = "refund"
    #: A refund that came back.
    REFUND_FAILED = "refund_failed"
    DISPUTE = "dispute"
    #: A dispute that was won.
    DISPUTE_REVERSED = "dispute_reversed"
    #: A fee on its own: what is kept of a charge stands there.
    FEE = "fee"
    PAYOUT = "payout"
    #: A payout that came back.
    PAYOUT_FAILED = "payout_failed"
    OTHER = "other"


class Movement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `net = gross - fee`; what leaves the balance is below zero. All three are in one currency.

    `id` is the vendor's of the line. `ids` are its ids of everything that the line is about, the payment's first: a
    payment is found by any of them, or by `made_by`, our id of the call, where that travelled along.
    """

    id: str
    kind: MovementKind
    #: In seconds since 1970.
    at: float
    gross: Money
    fee: Money
    net: Money
    ids: tuple[str, ...] = ()
    made_by: str | None = None
    reference: str | None = None
    #: The vendor's id of the payout that it went out by, once it did.
    payout: str | None = None
    #: The vendor's word for the kind.
    vendor_kind: str = ""

    def __post_init__(self) -> None:
        if self.gross - self.fee != self.net:
            raise InvalidArgumentError(f"{self.gross} less {self.fee} is not {self.net}.")


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` to before `until`, in seconds since 1970; `cursor` is the vendor's, from the page before."""

    since: float
    until: float
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not self.since < self.until:
            raise InvalidArgumentError("The period ends before it begins.", hint="Give since before until.")


class Movements(Answer, frozen=True, kw_only=True):
    """A page of them, in the vendor's order."""

    items: tuple[Movement, ...] = ()
    cursor: str | None = None
