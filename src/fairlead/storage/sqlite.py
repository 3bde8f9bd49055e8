"""Jobs in one SQLite file, which several processes of a machine may share.

Whatever is written while a commit is under way is committed by the next one, all together: a commit has to reach the
disk, and costs the same for one as for hundreds. Where one caller's part fails, all is done again with a savepoint for
each, so that it takes no other with it. Nothing is returned before its commit is on the disk.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

from fairlead.errors import StorageError, UsageError
from fairlead.model.ports import Clock
from fairlead.storage import sqlite_claims, sqlite_jobs, sqlite_reads, sqlite_snapshots
from fairlead.storage.jobs import (
    Added,
    Claim,
    Ending,
    Job,
    JobState,
    NewJob,
    Query,
    Reject,
    Tally,
    Transaction,
)
from fairlead.storage.lane import Lane
from fairlead.storage.snapshots import Snapshot, Sought
from fairlead.storage.sqlite_file import SqliteFile
from fairlead.storage.sqlite_turn import Turn
from fairlead.storage.sqlite_writer import Write, Writer

T = TypeVar("T")

# How often a listener looks whether another process has written.
_LOOK_S = 0.075
# One commit holds the work of so many callers at most, so that other processes have their turn.
_MOST_WRITES = 256
_MOST_READS = 64


class SqliteJobs:
    """A `JobStore` in a SQLite file. `now` gives the time in place of the clock's.

    Another process may keep the file locked for `locked_s` seconds; `options` are further pragmas.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock,
        now: Callable[[], float] | None = None,
        locked_s: float = 10.0,
        options: tuple[str, ...] = (),
    ) -> None:
        self.name = f"SQLite, {path}"
        self._clock = clock
        self._now = now or clock.wall
        self._file = SqliteFile(Path(path), locked_s=locked_s, options=options)
        self._writer = Writer(self._file, self._now)
        self._reader = sqlite_reads.Reader(self._file)
        self._lanes = (
            Lane("fairlead-jobs-write", self._writer.run, self._writer.leave, most=_MOST_WRITES),
            Lane("fairlead-jobs-read", self._reader.run, self._reader.leave, most=_MOST_READS),
        )
        self._listener: asyncio.Task[None] | None = None
        self._ears: list[Callable[[], None]] = []
        self._left_behind: list[object] = []
        _STORES.add(self)

    # --- Opening and closing --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Make the file where there is none, and bring its tables to this version."""
        await self._write(lambda _: None)

    async def close(self) -> None:
        """Finish what is under way and let go."""
        listener, self._listener = self._listener, None
        self._ears.clear()
        if listener:
            listener.cancel()
        for lane in self._lanes:
            await lane.close()

    def disown(self) -> None:
        """Leave what is open to the parent: for the child of a fork. The next call opens anew."""
        self._left_behind += [self._listener, *self._ears, self._writer.forget(), self._reader.forget()]
        self._listener = None
        self._ears = []
        for lane in self._lanes:
            lane.disown()

    def halt(self) -> None:
        """Close the file before a fork. A child that finds it open can neither use nor close it without harm."""
        halted = [lane.halt() for lane in self._lanes]
        self._file.is_inherited = not all(halted)

    def resume(self) -> None:
        """Go on in the parent."""
        self._file.is_inherited = False
        for lane in self._lanes:
            lane.resume()

    async def check(self) -> None:
        """Prove that it can still be written to, or raise `StorageError` saying why not."""
        await self._write(sqlite_jobs.check)

    # --- Writing --------------------------------------------------------------------------------------------------

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[Added]:
        """Keep jobs, all or none; those whose key is there already are left as they are, and shown."""
        added: Sequence[Added] = await self._lanes[0].ask(Write(jobs=jobs))
        return added

    async def claim(self, kinds: Sequence[str], owner: str, *, lease_s: float, limit: int) -> Sequence[Job]:
        """Take what is due, and what a dead process left: at most `limit`, and one of each subject."""
        return await self._write(lambda turn: sqlite_claims.claim(turn, kinds, owner, lease_s, limit))

    async def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[bool]:
        """Hold on to them from now; False for those that are no longer held, or were cancelled."""
        return await self._write(lambda turn: sqlite_jobs.renew(turn, claims, lease_s))

    async def mark(self, claim: Claim, mark: bytes) -> bool:
        """Write down what is about to be sent; False, and nothing is written, where the claim is not good."""
        return await self._write(lambda turn: sqlite_jobs.mark(turn, claim, mark))

    async def report(self, claim: Claim, progress: float) -> bool:
        """Write down how far it is; False where the claim is not good."""
        return await self._write(lambda turn: sqlite_jobs.report(turn, claim, progress))

    async def finish(self, ending: Ending) -> bool:
        """End a job together with its effects; False, and nothing happens, where the claim is not good."""
        return await self._write(lambda turn: sqlite_jobs.finish(turn, ending))

    def transaction(self, claim: Claim) -> AbstractAsyncContextManager[Transaction]:
        """Refuse: whoever held a transaction open would hold up every other process."""
        raise UsageError(
            f"SQLite gives no transaction to a handler (job {claim.id}).",
            hint="Return effects, which are committed with the end of the job, or use PostgreSQL.",
        )

    async def cancel(self, identifier: int) -> bool:
        """Cancel what is not over; False where it is. Who has it learns of it when it renews."""
        return await self._write(lambda turn: sqlite_jobs.cancel(turn, identifier))

    async def again(self, query: Query, *, run_at: float) -> int:
        """Make at most `query.limit` jobs that are over wait again, with no failures; return how many."""
        return await self._write(lambda turn: sqlite_jobs.again(turn, query, run_at))

    async def put_snapshots(self, snapshots: Sequence[Snapshot]) -> Sequence[bool]:
        """Write down what things are like; False for those of which something newer is there."""
        return await self._write(lambda turn: sqlite_snapshots.put(turn, snapshots))

    async def prune(self, ages_s: Mapping[tuple[str, JobState], float], *, limit: int) -> int:
        """Delete at most `limit` jobs that were over for longer; return how many, so that the caller goes on."""
        return await self._write(lambda turn: sqlite_jobs.prune(turn, ages_s, limit))

    async def count_rejects(self, rejects: Sequence[Reject]) -> None:
        """Add to the counts of what was turned away."""
        await self._write(lambda turn: sqlite_jobs.count_rejects(turn, rejects))

    async def _write(self, work: Callable[[Turn], T]) -> T:
        done: T = await self._lanes[0].ask(Write(work=work))
        return done

    # --- Reading --------------------------------------------------------------------------------------------------

    async def find(self, identifier: int) -> Job | None:
        """Return one job, whole."""
        return await self._read(lambda db: sqlite_reads.find(db, identifier))

    async def find_key(self, kind: str, source: str, key: str) -> Job | None:
        """Return the job that has a key, whole."""
        return await self._read(lambda db: sqlite_reads.find_key(db, kind, source, key))

    async def list(self, query: Query) -> Sequence[Job]:
        """Return what fits, newest first, without payloads and results."""
        return await self._read(lambda db: sqlite_reads.list_jobs(db, query))

    async def until_due(self, kinds: Sequence[str]) -> float | None:
        """Return the seconds until a job is due or a lease ends, 0 or more; None where there is none of these kinds."""
        first = await self._read(lambda db: sqlite_reads.first_due(db, kinds))
        return None if first is None else max(0.0, first - self._now())

    async def list_rejects(self, *, since_hour: int, source: str | None = None) -> Sequence[Reject]:
        """Return the counts, newest hour first."""
        return await self._read(lambda db: sqlite_reads.list_rejects(db, since_hour, source))

    async def tallies(self, *, kind: str, since_hour: int, until_hour: int) -> Sequence[Tally]:
        """Return the counts by hour, without reading a single job."""
        return await self._read(lambda db: sqlite_reads.tallies(db, kind, since_hour, until_hour))

    async def find_snapshot(self, kind: str, source: str, key: str) -> Snapshot | None:
        """Return what is known of one thing."""
        return await self._read(lambda db: sqlite_snapshots.find(db, kind, source, key))

    async def seek_snapshots(self, sought: Sought) -> Sequence[Snapshot]:
        """Return what is known of things."""
        return await self._read(lambda db: sqlite_snapshots.seek(db, sought))

    async def _read(self, work: Callable[[Any], T]) -> T:
        done: T = await self._lanes[1].ask(work)
        return done

    # --- Hearing of others ----------------------------------------------------------------------------------------

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever another process may have added what is due. It may be called for nothing."""
        self._ears.append(hear)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        known: int | None = None
        while True:
            try:
                seen: int = await self._lanes[0].ask(Write(is_look=True))
            except StorageError:  # whoever works with it is told; when it is back, something may have come
                seen = -1
            if seen != known and known is not None:
                for hear in tuple(self._ears):
                    hear()
            known = seen
            await self._clock.sleep(_LOOK_S)


_STORES: weakref.WeakSet[SqliteJobs] = weakref.WeakSet()


def _each(act: Callable[[SqliteJobs], None]) -> Callable[[], None]:
    def act_on_each() -> None:
        for store in tuple(_STORES):
            act(store)

    return act_on_each


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_each(SqliteJobs.halt), after_in_parent=_each(SqliteJobs.resume), after_in_child=_each(SqliteJobs.disown)
    )
