"""What was turned away: counted in memory, and written down now and then, so that a flood of it costs little."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fairlead.errors import StorageError
from fairlead.model.ports import Clock
from fairlead.storage.jobs import JobStore, Reject

# How long counts may wait for the store.
_WAIT_S = 2.0
_HOUR_S = 3600.0
# More places than that to count at are made up by somebody; what comes on top is counted in one.
_MOST = 500


class Rejects:
    """The counts that are not written yet."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[tuple[int, str, str], Reject] = {}
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def count(self, source: str, reason: str, sample: str) -> None:
        """Count one. The sample is kept of the last one only, and may hold nothing private."""
        now = self._clock.wall()
        key = (int(now // _HOUR_S), source, reason)
        if key not in self._counts and len(self._counts) >= _MOST:
            key = (key[0], "", "many")
        before = self._counts.get(key)
        self._counts[key] = Reject(
            hour=key[0],
            source=key[1],
            reason=key[2],
            count=(before.count if before else 0) + 1,
            last_at=now,
            sample=sample,
        )
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_later())

    async def write(self) -> None:
        """Write the counts down; what the store does not take is kept for the next time, and raises `StorageError`."""
        async with self._turn:
            await self._write()

    async def _write(self) -> None:
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._store.count_rejects(list(counts.values()))
        except StorageError:
            for key, each in counts.items():
                later = self._counts.get(key)
                self._counts[key] = Reject(
                    hour=each.hour,
                    source=each.source,
                    reason=each.reason,
                    count=each.count + (later.count if later else 0),
                    last_at=later.last_at if later else each.last_at,
                    sample=later.sample if later else each.sample,
                )
            raise

    async def close(self) -> None:
        """Write what is left."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        with suppress(StorageError):
            await self.write()

    def disown(self) -> None:
        """Forget what the parent of a fork counts."""
        self._counts, self._writing, self._turn = {}, None, asyncio.Lock()

    async def _write_later(self) -> None:
        while self._counts:
            await self._clock.sleep(_WAIT_S)
            with suppress(StorageError):
                await self.write()
        self._writing = None
