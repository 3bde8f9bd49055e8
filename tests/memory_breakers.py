"""The state of shared breakers in this process's memory (see `fairlead.storage.breakers`)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from fairlead.storage.breakers import OnPublished, Proposal, Shared


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
