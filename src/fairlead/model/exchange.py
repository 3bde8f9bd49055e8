"""The seam to the network: one request in, an answer or the way it broke off out."""

from __future__ import annotations

from typing import Protocol

import msgspec

from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Phase


class Broken(msgspec.Struct, frozen=True):
    """An exchange that brought no complete answer: data, as it is nothing exceptional.

    `detail` is for people; it names hosts and reasons, never queries, headers or bodies.
    """

    failure: Failure
    phase: Phase
    detail: str = ""


class Transport(Protocol):
    """Sends requests to one connection's base URL."""

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the whole answer, in at most `timeout_s`. Cancelling closes the socket."""
        ...

    async def close(self) -> None:
        """Close every socket."""
        ...

    def disown(self) -> None:
        """Forget every socket without touching it, and begin anew: after a fork, they are the parent's."""
        ...
