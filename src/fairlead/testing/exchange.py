"""What a fake is asked and what it answers, and the books it keeps of both."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from fairlead.model.headers import Headers, Pairs
from fairlead.testing.faults import Fault


class FakeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrived; `path` and `query` are decoded."""

    method: str
    path: str
    query: Pairs
    headers: Headers
    body: bytes = b""

    def value(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None where it is not there."""
        return next((value for key, value in self.query if key == name), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of a repeated query parameter."""
        return tuple(value for key, value in self.query if key == name)


class FakeReply(msgspec.Struct, frozen=True, kw_only=True):
    """One complete answer."""

    status: int
    body: bytes
    headers: Pairs = ()
    content_type: str = "application/json"

    @classmethod
    def json(cls, status: int, value: Any, *, headers: Pairs = ()) -> FakeReply:
        """Answer with a JSON document."""
        return cls(status=status, body=msgspec.json.encode(value), headers=headers)


class Books(msgspec.Struct, kw_only=True):
    """What a fake has seen and done since it was started or reset. Admin requests are not counted."""

    requests: int = 0
    #: By the vendor's name of the operation; `unknown` for a path that it does not have.
    operations: dict[str, int] = msgspec.field(default_factory=Counter)
    #: Answers by status, also those that were spoilt on the way.
    statuses: dict[int, int] = msgspec.field(default_factory=Counter)
    #: Answers that were spoilt, by fault.
    faults: dict[Fault, int] = msgspec.field(default_factory=Counter)
    #: Whole and unspoilt answers with a status of 2xx.
    answered_ok: int = 0

    def note_request(self, operation: str) -> None:
        """Count an arrival."""
        self.requests += 1
        self.operations[operation] += 1

    def note_reply(self, status: int, fault: Fault) -> None:
        """Count an answer that was sent, if not always whole."""
        self.statuses[status] += 1
        self.answered_ok += fault is Fault.NONE and 200 <= status < 300

    def note_fault(self, fault: Fault) -> None:
        """Count a fault."""
        self.faults[fault] += 1
