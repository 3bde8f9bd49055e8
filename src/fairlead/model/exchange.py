"""The seam to the network: one request in, an answer or the way it broke off out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import msgspec

from fairlead.model.headers import Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Phase


class Broken(msgspec.Struct, frozen=True):
    """An exchange that brought no complete answer: data, as it is nothing exceptional.

    `detail` is for people; it names hosts and reasons, never queries, headers or bodies.
    """

    failure: Failure
    phase: Phase
    detail: str = ""


class StreamEnded(Exception):  # noqa: N818  # a fact about the body
    """The body of a streamed answer ended before it was complete; `broken` says how."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(broken.failure.value)
        self.broken = broken


class Body(Protocol):
    """The body of a streamed answer, piece by piece. Iterating raises `StreamEnded` where it breaks off."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself: a body is read once."""
        ...

    def taken(self) -> bytes | None:
        """Return all of it, and let go of it, where it is short, has come already and is to be read as it is."""
        ...

    async def aclose(self) -> None:
        """Let go of it; what was not read is not read any more."""
        ...

    def trailers(self) -> Pairs:
        """Return the fields that came after the body (RFC 9110 §6.5), once it is read."""
        ...


class Content(Protocol):
    """A body that is sent piece by piece, as it comes."""

    #: In bytes, where it is known.
    length: int | None

    @property
    def is_spent(self) -> bool:
        """Whether it has been begun and cannot be begun again: then its request cannot be repeated."""
        ...

    def open(self) -> AsyncGenerator[bytes, None]:
        """Return the pieces, from the beginning. It is closed where not all of them are wanted."""
        ...

    def trailers(self) -> Pairs:
        """Return the fields to be sent after the body, once it has been read."""
        ...


class Transport(Protocol):
    """Sends requests to one connection's base URL."""

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request and read the answer, in at most `timeout_s`. Cancelling closes the socket.

        Of a request that `is_streamed` only the head of the answer is read, and only that is bounded by `timeout_s`;
        the response's `stream` has the rest, and must be closed.
        """
        ...

    async def close(self) -> None:
        """Close every socket."""
        ...

    def disown(self) -> None:
        """Forget every socket without touching it, and begin anew: after a fork, they are the parent's."""
        ...
