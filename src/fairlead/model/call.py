"""One call of the application, what it can refer to, and the report of how it went."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

import msgspec

from fairlead.errors import DrillError, InvalidArgumentError
from fairlead.model.attempt import Attempt
from fairlead.model.deadline import Deadline
from fairlead.model.entry import Entry


class Ref(msgspec.Struct, frozen=True):
    """A thing at the connection that made it. Follow-ups go there, never by route.

    As text it is `connection:id`.
    """

    connection: str
    id: str

    def __str__(self) -> str:
        return f"{self.connection}:{self.id}"

    @classmethod
    def of(cls, given: Self | str) -> Self:
        """Return what is a reference already, or read it."""
        return cls.parse(given) if isinstance(given, str) else given

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `connection:id`; raise `InvalidArgumentError` where it is none."""
        connection, colon, identifier = text.partition(":")
        if not (connection and colon and identifier):
            raise InvalidArgumentError(
                f"{text!r} is not a reference.", hint="Write it as connection:id, as in 'spoonacular:716429'."
            )
        return cls(connection, identifier)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What the application asked for."""

    id: str
    correlation_id: str
    #: Capability and operation, as `recipes.search`.
    operation: str
    deadline: Deadline
    #: The caller gave it less time than the route would: what it cuts short says nothing about the vendor.
    is_hurried: bool = False
    #: Nobody waits for it: it makes room for those that somebody waits for.
    is_background: bool = False
    tenant: str | None = None
    idempotency_key: str | None = None
    #: What the route's choice shall be the same for.
    sticky_key: str | None = None
    #: Connections that this call treats as failed.
    drill: frozenset[str] = frozenset()
    #: Its row in the ledger, where it has one.
    entry: Entry | None = None


class CacheUse(StrEnum):
    """What the cache had to do with an answer."""

    #: It was not asked.
    OFF = "off"
    #: It had none, and a vendor was asked.
    MISS = "miss"
    #: It had a fresh one.
    HIT = "hit"
    #: An earlier answer, as nobody could give a fresh one.
    STALE = "stale"
    #: An earlier answer, given at once, while a fresh one is fetched in the background.
    REFRESHING = "refreshing"
    #: The vendor confirmed that the earlier answer still holds.
    REVALIDATED = "revalidated"
    #: It knew that the vendor has not got it.
    NEGATIVE = "negative"
    #: Another call asked the same at that moment.
    SHARED = "shared"
    #: Asked in the background, for the cache alone.
    BACKGROUND = "background"
    #: The ledger had it: a call with the same idempotency key had been made before.
    REPLAYED = "replayed"


class CallReport(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer came about. Times are in seconds."""

    call_id: str
    served_by: str
    attempts: tuple[Attempt, ...] = ()
    cache: CacheUse = CacheUse.OFF
    #: The age of a cached answer; 0 for a fresh one.
    age_s: float = 0.0
    total_s: float = 0.0
    #: What Fairlead itself took: everything but the exchanges with vendors.
    overhead_s: float = 0.0
    #: The call that asked for several at once, where this one was joined into it; the attempts are its.
    batch_id: str | None = None

    @property
    def exchanges(self) -> int:
        """How many requests vendors were asked."""
        return sum(attempt.was_tried for attempt in self.attempts)

    @property
    def drilled(self) -> tuple[str, ...]:
        """The connections that were treated as failed, because the caller wanted it so."""
        return drilled(self.attempts)


def drilled(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """Return the connections that refused because of a drill, each once."""
    return tuple(dict.fromkeys(each.connection for each in attempts if each.error == DrillError.code))
