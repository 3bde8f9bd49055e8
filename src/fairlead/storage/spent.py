"""What vendors said of their limits, for the other processes: that one is used up, and until when. The port.

Nobody asks while calls go out: what one process hears is published, once for each limit and window, and who starts
later learns it at the start. `tests/contract/test_spent_store.py` is the suite that every driver passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is left of a limit for `left_s`; then there will be `fresh`, for `span_s`. `key` is the connection."""

    key: str
    name: str
    left_s: float
    fresh: float
    span_s: float


OnSpent = Callable[[Spent], None]


class SpentStore(Protocol):
    """Tells all. Every method is one atomic step; raises `StorageError` without an answer."""

    async def tell(self, spent: Spent) -> None:
        """Remember it until it is over, and publish it."""
        ...

    async def learn(self, key: str) -> Sequence[Spent]:
        """Return what of a connection's limits is used up at present."""
        ...

    def listen(self, handler: OnSpent) -> None:
        """Have a handler called with everything that is told, by this process too."""
        ...
