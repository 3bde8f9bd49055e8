"""What vendors tell of their own accord: the notices of a delivery, and the neutral event that one comes to."""

from __future__ import annotations

import msgspec


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a delivery, in the vendor's words."""

    #: What the vendor itself tells repeats apart by.
    key: str
    #: The vendor's type, as `invoice.paid`.
    type: str
    #: Whose history it belongs to: the id of a payment, of a message.
    subject: str | None = None
    #: Where in that history it stands: a sequence, or microseconds since 1970.
    position: int | None = None
    #: The raw JSON or form of this one event.
    body: bytes = b""

    def __repr__(self) -> str:  # the body may hold what is private
        return f"Notice({self.type}, {len(self.body)} bytes)"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice comes to, whoever the vendor is. The original stays with the notice."""

    #: As `email.bounced`: the types, and the `data` of each family, are in `fairlead.capabilities.news`.
    type: str
    #: Seconds since 1970.
    occurred_at: float | None = None
    #: The vendor's id of what it is about, as the receipt of the call had it.
    subject: str | None = None
    #: Our id of the call that began it, where that was sent along in the vendor's metadata.
    call: str | None = None
    #: Whom it was sent to: an address, a number.
    recipient: str | None = None
    data: msgspec.Struct | None = None

    def __repr__(self) -> str:  # likewise
        return f"Event({self.type})"
