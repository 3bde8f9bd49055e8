"""A till that charges whenever it is asked, and knows no idempotency key: what comes twice is charged twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.server import FakeServer


class Till(FakeServer):
    """Counts its charges, by the event that each is for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.charges: Counter[str] = Counter()

    def operation(self, request: FakeRequest) -> str:
        """Return the name of the one thing that it does."""
        return "charge" if (request.method, request.path) == ("POST", "/charges") else "unknown"

    def answer(self, request: FakeRequest) -> FakeReply:
        """Charge."""
        if self.operation(request) == "unknown":
            return self.error(404)
        self.charges[msgspec.json.decode(request.body)["event"]] += 1
        return FakeReply.json(201, {})

    def error(self, status: int) -> FakeReply:
        """Return an error."""
        return FakeReply.json(status, {})
