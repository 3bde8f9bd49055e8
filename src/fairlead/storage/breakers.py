"""The state of a breaker that several processes share: the port, and the driver in this process's memory.

Nobody asks while all is well: changes are published, with a generation that grows by each. Who proposes a change says
from which generation; a proposal from an old one is answered with what holds instead, so a late answer moves nothing.
Half open, one process at a time has the probe, as a lease with a number of its own.

`tests/contract/test_breaker_store.py` is the suite that every driver passes.
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


class _Record(msgspec.Struct):
    shared: Shared
    until: float = 0.0
    probe: int = 0
    holder: str = ""
    probe_until: float = 0.0


class MemoryBreakers:
    """The store of one process; `clock` gives its time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._handlers: list[OnPublished] = []
        self._number = 0

    async def propose(self, key: str, proposal: Proposal) -> Shared:
        """Change and publish."""
        record = self._record(key)
        holds = record.shared
        is_fenced = proposal.generation < holds.generation or proposal.probe != record.probe
        if is_fenced and not proposal.by_hand:
            return self._told(record)
        now = self._clock()
        record.shared = Shared(
            key=key,
            generation=max(holds.generation, proposal.generation) + 1,
            state=proposal.state,
            open_for_s=proposal.open_for_s,
            cause=proposal.cause,
        )
        record.until = now + proposal.open_for_s
        record.probe, record.holder = 0, ""
        told = self._told(record)
        for handler in self._handlers:
            handler(told)
        return told

    async def learn(self, key: str) -> Shared:
        """Look it up."""
        return self._told(self._record(key))

    async def lease_probe(self, key: str, generation: int, process: str, lease_s: float) -> int:
        """Lease it, if it is free."""
        record = self._record(key)
        now = self._clock()
        is_free = not record.probe or record.probe_until <= now or record.holder == process
        if generation != record.shared.generation or record.until > now or not is_free:
            return 0
        self._number += 1
        record.probe, record.holder, record.probe_until = self._number, process, now + lease_s
        return record.probe

    def listen(self, handler: OnPublished) -> None:
        """Add a handler."""
        self._handlers.append(handler)

    def _record(self, key: str) -> _Record:
        return self._records.setdefault(key, _Record(Shared(key=key)))

    def _told(self, record: _Record) -> Shared:
        return msgspec.structs.replace(record.shared, left_s=max(0.0, record.until - self._clock()))
