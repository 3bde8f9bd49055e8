"""An operation as the ledger sees it: what to write down, how to make it again, and how to find out what it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.model.answer import Answer
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.runtime.connection import Connection
from fairlead.runtime.packing import fingerprint
from fairlead.runtime.rows import Asked
from fairlead.spec.settlement import Case, Seen, Settlement, Unknowable

if TYPE_CHECKING:
    from fairlead.runtime.wanted import Wanted


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One operation with its arguments, asked once."""

    asked: Asked
    arguments: tuple[Any, ...]
    #: Begins it at a connection; the text is our name for the call, for the vendor's metadata.
    begin: Callable[[Connection, str], Operation[Any]]
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Answer]
    #: How a connection lets it be found out what was done; None where nobody has said.
    settlement: Callable[[Connection], Settlement | Unknowable | None]
    #: Begins a look at a connection.
    look: Callable[[Connection, Settlement, Case], Operation[Seen]]

    @property
    def fingerprint(self) -> bytes:
        """A digest of what was asked."""
        asked = self.asked
        return fingerprint(asked.target, asked.operation, asked.arguments, str(asked.ref or ""))


def acts(record: Record) -> bool:
    """Whether it does more than read."""
    return record.asked.effect is not Effect.READ


def record_of(wanted: Wanted) -> Record:
    """Return how a call that was kept is written down."""
    assert wanted.record is not None  # noqa: S101  # or it would not have been kept
    return wanted.record()


def unknowable(_: Connection) -> Unknowable:
    """Say of a plain request that nothing can be found out: nobody has declared how."""
    return Unknowable("A plain request: nobody has said how its vendor is asked.")


def no_look(_: Connection, __: Settlement, ___: Case) -> Operation[Seen]:
    """Stand for the look of what cannot be looked for."""
    raise AssertionError  # without a settlement nobody looks
