"""What a call writes down before it acts: the seam between the pipeline and the ledger."""

from __future__ import annotations

from typing import Protocol


class Entry(Protocol):
    """The row of one call in the ledger."""

    async def mark(self, connection: str, *, within_s: float) -> None:
        """Write down durably that a request which acts is about to leave, and may be on its way for `within_s`.

        Raises `StorageError` where that cannot be written, and `CallCancelledError` where the call is no longer this
        process's to make: then nothing may be sent.
        """
        ...
