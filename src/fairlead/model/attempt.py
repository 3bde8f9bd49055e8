"""One exchange with one connection, as a call remembers it."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from fairlead.model.outcome import Outcome


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One exchange with one connection, or our refusal to have it; `seconds` is its length."""

    connection: str
    outcome: Outcome
    seconds: float = 0.0
    #: False where we refused before anything left.
    was_tried: bool = True
    status: int | None = None
    #: The code of the error, where there was one.
    error: str | None = None
    #: What was made to go wrong on purpose, where something was.
    chaos: str | UnsetType = UNSET
