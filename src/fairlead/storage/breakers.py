"""The state of a breaker that several processes share: the port.

Nobody asks while all is well: changes are published, with a generation that grows by each. Who proposes a change says
from which generation; a proposal from an old one is answered with what holds instead, so a late answer moves nothing.
Half open, one process at a time has the probe, as a lease with a number of its own.

`tests/contract/test_breaker_store.py` is the suite that every driver passes; `tests/memory_breakers.py` is one in
memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a breaker. `generation` is 0 where nothing was ever proposed.

    `open_for_s` is how long it stays open this time, and `left_s` how much of that is left. Both are 0 unless open.
    """

    key: str
    generation: int = 0
    state: str = "closed"
    open_for_s: float = 0.0
    left_s: float = 0.0
    cause: str | None = None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A change. `probe` is the number of the proposer's probe lease, 0 without; one `by_hand` always holds."""

    state: str
    generation: int
    open_for_s: float = 0.0
    cause: str | None = None
    probe: int = 0
    by_hand: bool = False


OnPublished = Callable[[Shared], None]


class BreakerStore(Protocol):
    """Keeps what holds. Every method is one atomic step; raises `StorageError` without an answer."""

    async def propose(self, key: str, proposal: Proposal) -> Shared:
        """Change the state, and publish that, if the generation still holds; return what holds now."""
        ...

    async def learn(self, key: str) -> Shared:
        """Return what holds."""
        ...

    async def lease_probe(self, key: str, generation: int, process: str, lease_s: float) -> int:
        """Return the number of a probe lease, or 0 where another process has it or the generation is over."""
        ...

    def listen(self, handler: OnPublished) -> None:
        """Have a handler called with every change."""
        ...
