"""What files from and to a vendor have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Unpack

import msgspec

from fairlead.model.answer import Answer
from fairlead.model.message import Request, Response
from fairlead.runtime.connection import Connection
from fairlead.runtime.wanted import CallOptions

#: What is read from or written to a file at once, in bytes.
PIECE = 1024 * 1024


class Transfer(Answer, frozen=True, kw_only=True):
    """A file that was sent or received: its size in bytes, the SHA-256 of its content, and the vendor's answer."""

    size: int
    sha256: str
    #: The file, of a download.
    path: str | None = None
    #: How often it was gone on with after it broke off.
    resumed: int = 0
    #: The answer to an upload.
    response: Response | None = None


class TransferProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come, in bytes. `total` is known where the vendor says it, or the file has a size."""

    done: int
    total: int | None = None


OnTransfer = Callable[[TransferProgress], None]


class Sender(Protocol):
    """What sends requests: the facade."""

    @property
    def connection(self) -> Connection:
        """The connection to send to."""
        ...

    async def send(self, request: Request, **options: Unpack[CallOptions]) -> Response:
        """Send a request that is already built."""
        ...
