"""Jobs in PostgreSQL, which many machines may share. Leases are by the server's clock, for machines differ.

What many tasks ask for at once is committed at once, each kind of work by statements over arrays: a commit has to reach
the server's disk, and costs the same for one as for hundreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from fairlead.errors import FairleadError, InvalidArgumentError
from fairlead.model.ports import Clock, Ids
from fairlead.storage import postgres_claims, postgres_jobs, postgres_reads, postgres_snapshots
from fairlead.storage.jobs import Added, Claim, Ending, Job, JobState, NewJob, Query, Reject, Tally, Transaction
from fairlead.storage.postgres_link import CONNECT_S, Ask, Link, PostgresOptions
from fairlead.storage.postgres_schema import migrate
from fairlead.storage.postgres_turn import Turn, server_time
from fairlead.storage.snapshots import Snapshot, Sought

T = TypeVar("T")
# The waits between tries to listen: doubled from the first to the last.
_FIRST_WAIT_S = 0.1
_LAST_WAIT_S = 5.0
# How often a quiet connection that listens is asked whether it is still there.
_PING_S = 10.0


class _Transaction:
    """A transaction that was given to a handler."""

    def __init__(self, turn: Turn, claim: Claim) -> None:
        self.connection = turn.connection
        self._turn = turn
        self._claim = claim
        self.is_good = False

    async def finish(self, ending: Ending) -> bool:
        """End the job in this transaction; False where the claim is not good: then nothing may be committed."""
        if ending.claim != self._claim:
            raise InvalidArgumentError(f"The transaction is that of job {self._claim.id}, and of no other.")
        self.is_good = (await postgres_jobs.finish(self._turn, [ending]))[0]
        return self.is_good


class PostgresJobs:
    """A `JobStore` in PostgreSQL. `now` gives the time in place of the server's clock."""

    def __init__(
        self, options: PostgresOptions, *, clock: Clock, ids: Ids, now: Callable[[], float] | None = None
    ) -> None:
        self.name = f"PostgreSQL, {options.place}"
        self._options = options
        self._clock = clock
        self._now = now
        self._schema = options.schema
        self._channel = f"fairlead_{options.schema}"
        self._token = ids()
        self._links: WeakKeyDictionary[asyncio.AbstractEventLoop, Link] = WeakKeyDictionary()
        self._listener: asyncio.Task[None] | None = None
        self._ears: list[Callable[[], None]] = []
        self._left_behind: list[object] = []

    # --- Opening and closing --------------------------------------------------------------------------------------

    @property
    def _link(self) -> Link:
        """The connections of the running loop: those of another loop cannot be used in it."""
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            link = self._links[loop] = Link(self._options, prepare=self._prepare, write=self._write_all)
        return link

    async def _prepare(self, connection: Any) -> None:
        await migrate(connection, self._schema, self._options.place)

    async def open(self) -> None:
        """Connect, and bring the tables to this version."""
        await self._link.run(server_time)

    async def close(self) -> None:
        """Finish what is under way and let go."""
        listener, self._listener = self._listener, None
        self._ears.clear()
        if listener:
            listener.cancel()
            await asyncio.wait((listener,))
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link:
            await link.close()

    def disown(self) -> None:
        """Leave what is open to the parent: for the child of a fork. The next call opens anew."""
        self._left_behind += [*self._links.items(), self._listener]
        self._links = WeakKeyDictionary()
        self._listener = None
        self._ears = []

    async def check(self) -> None:
        """Prove that it can still be written to, or raise `StorageError` saying why not."""
        await self._link.ask(postgres_jobs.check)

    # --- Writing --------------------------------------------------------------------------------------------------

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[Added]:
        """Keep jobs, all or none; those whose key is there already are left as they are, and shown."""
        added: Sequence[Added] = await self._link.ask(tuple(jobs))
        return added

    async def claim(self, kinds: Sequence[str], owner: str, *, lease_s: float, limit: int) -> Sequence[Job]:
        """Take what is due, and what a dead process left: at most `limit`, and one of each subject."""
        return await self._turn(lambda turn: postgres_claims.claim(turn, kinds, owner, lease_s, limit))

    async def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[bool]:
        """Hold on to them from now; False for those that are no longer held, or were cancelled."""
        return await self._turn(lambda turn: postgres_jobs.renew(turn, claims, lease_s))

    async def mark(self, claim: Claim, mark: bytes) -> bool:
        """Write down what is about to be sent; False, and nothing is written, where the claim is not good."""
        return await self._write(lambda turn: postgres_jobs.mark(turn, claim, mark))

    async def report(self, claim: Claim, progress: float) -> bool:
        """Write down how far it is; False where the claim is not good."""
        return await self._write(lambda turn: postgres_jobs.report(turn, claim, progress))

    async def finish(self, ending: Ending) -> bool:
        """End a job together with its effects; False, and nothing happens, where the claim is not good."""
        done: bool = await self._link.ask(ending)
        return done

    def transaction(self, claim: Claim) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction in which the job can be ended. It is rolled back unless the job was."""
        return self._open_transaction(claim)

    @asynccontextmanager
    async def _open_transaction(self, claim: Claim) -> AsyncIterator[Transaction]:
        link = self._link
        with link.told():
            lent = await link.lend_to_handler()
            connection = await lent.__aenter__()
        try:
            transaction = connection.transaction()
            with link.told():
                await transaction.start()
                turn = Turn(connection, self._schema, await self._time(connection))
            given = _Transaction(turn, claim)
            try:
                yield given
            except BaseException:
                with suppress(*self._errors(), OSError):  # it may be the connection that broke
                    await transaction.rollback()
                raise
            with link.told():
                if given.is_good:
                    await turn.end(self._channel, self._token)
                    await transaction.commit()
                else:
                    await transaction.rollback()
        finally:
            await lent.__aexit__(None, None, None)

    async def cancel(self, identifier: int) -> bool:
        """Cancel what is not over; False where it is. Who has it learns of it when it renews."""
        return await self._turn(lambda turn: postgres_jobs.cancel(turn, identifier))

    async def again(self, query: Query, *, run_at: float) -> int:
        """Make at most `query.limit` jobs that are over wait again, with no failures; return how many."""
        return await self._turn(lambda turn: postgres_jobs.again(turn, query, run_at))

    async def put_snapshots(self, snapshots: Sequence[Snapshot]) -> Sequence[bool]:
        """Write down what things are like; False for those of which something newer is there."""
        return await self._turn(lambda turn: postgres_snapshots.put(turn, snapshots))

    async def prune(self, ages_s: Mapping[tuple[str, JobState], float], *, limit: int) -> int:
        """Delete at most `limit` jobs that were over for longer; return how many, so that the caller goes on."""
        return await self._turn(lambda turn: postgres_jobs.prune(turn, ages_s, limit))

    async def count_rejects(self, rejects: Sequence[Reject]) -> None:
        """Add to the counts of what was turned away."""
        await self._turn(lambda turn: postgres_jobs.count_rejects(turn, rejects))

    async def _write(self, work: Callable[[Turn], Awaitable[T]]) -> T:
        """Have something written with whatever else is."""
        done: T = await self._link.ask(work)
        return done

    async def _turn(self, work: Callable[[Turn], Awaitable[T]]) -> T:
        """Do something in a transaction of its own."""

        async def within(connection: Any) -> T:
            async with connection.transaction():
                turn = Turn(connection, self._schema, await self._time(connection))
                done = await work(turn)
                await turn.end(self._channel, self._token)
            return done

        done: T = await self._link.run(within)
        return done

    async def _time(self, connection: Any) -> float:
        return self._now() if self._now else await server_time(connection)

    async def _write_all(self, connection: Any, asks: Sequence[Ask]) -> None:
        """Do all that was asked for in one transaction."""
        adds = [ask for ask in asks if isinstance(ask.work, tuple)]
        endings = {ask.work.claim.id: ask for ask in asks if isinstance(ask.work, Ending)}
        others = [ask for ask in asks if not isinstance(ask.work, tuple) and endings.get(_id_of(ask)) is not ask]
        async with connection.transaction():
            turn = Turn(connection, self._schema, await self._time(connection))
            if adds:
                added = iter(await postgres_jobs.add(turn, [new for ask in adds for new in ask.work]))
                for ask in adds:
                    ask.result = [next(added) for _ in ask.work]
            for ask in others:  # among them a second end of a job, which comes too late or before
                if isinstance(ask.work, Ending):
                    (ask.result,) = await postgres_jobs.finish(turn, [ask.work])
                else:
                    ask.result = await ask.work(turn)
            if endings:
                done = await postgres_jobs.finish(turn, [ask.work for ask in endings.values()])
                for ask, is_good in zip(endings.values(), done, strict=True):
                    ask.result = is_good
            await turn.end(self._channel, self._token)

    # --- Reading --------------------------------------------------------------------------------------------------

    async def find(self, identifier: int) -> Job | None:
        """Return one job, whole."""
        return await self._read(lambda db: postgres_reads.find(db, self._schema, identifier))

    async def find_key(self, kind: str, source: str, key: str) -> Job | None:
        """Return the job that has a key, whole."""
        return await self._read(lambda db: postgres_reads.find_key(db, self._schema, kind, source, key))

    async def list(self, query: Query) -> Sequence[Job]:
        """Return what fits, newest first, without payloads and results."""
        return await self._read(lambda db: postgres_reads.list_jobs(db, self._schema, query))

    async def until_due(self, kinds: Sequence[str]) -> float | None:
        """Return the seconds until a job is due or a lease ends, 0 or more; None where there is none of these kinds."""

        async def look(db: Any) -> float | None:
            first = await postgres_reads.first_due(db, self._schema, kinds)
            return None if first is None else max(0.0, first - await self._time(db))

        return await self._read(look)

    async def list_rejects(self, *, since_hour: int, source: str | None = None) -> Sequence[Reject]:
        """Return the counts, newest hour first."""
        return await self._read(lambda db: postgres_reads.list_rejects(db, self._schema, since_hour, source))

    async def tallies(self, *, kind: str, since_hour: int, until_hour: int) -> Sequence[Tally]:
        """Return the counts by hour, without reading a single job."""
        return await self._read(lambda db: postgres_reads.tallies(db, self._schema, kind, since_hour, until_hour))

    async def find_snapshot(self, kind: str, source: str, key: str) -> Snapshot | None:
        """Return what is known of one thing."""
        return await self._read(lambda db: postgres_snapshots.find(db, self._schema, kind, source, key))

    async def seek_snapshots(self, sought: Sought) -> Sequence[Snapshot]:
        """Return what is known of things."""
        return await self._read(lambda db: postgres_snapshots.seek(db, self._schema, sought))

    async def _read(self, work: Callable[[Any], Awaitable[T]]) -> T:
        done: T = await self._link.run(work)
        return done

    # --- Hearing of others ----------------------------------------------------------------------------------------

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever another process may have added what is due. It may be called for nothing."""
        self._ears.append(hear)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._hear_out()
                wait_s = _FIRST_WAIT_S
            except Exception as error:  # those of a driver that is loaded late
                if not isinstance(error, (OSError, FairleadError, *self._errors())):  # whoever works with it is told
                    raise
                await self._clock.sleep(wait_s)
                wait_s = min(_LAST_WAIT_S, wait_s * 2)

    def _errors(self) -> tuple[type[Exception], ...]:
        return self._link.asyncpg.PostgresError, self._link.asyncpg.InterfaceError

    async def _hear_out(self) -> None:
        """Listen until the connection breaks; when one is made, something may have come in between."""
        link = self._link
        await link.pool()
        connection = await link.connect()
        try:
            await connection.add_listener(self._channel, self._hear)
            self._hear(connection, 0, self._channel, "")
            while True:
                await asyncio.sleep(_PING_S)
                await connection.execute("SELECT 1")
        finally:
            with suppress(OSError, TimeoutError, *self._errors()):
                await connection.close(timeout=CONNECT_S)

    def _hear(self, _connection: object, _process: int, _channel: str, token: str) -> None:
        if token != self._token:
            for hear in tuple(self._ears):
                hear()


def _id_of(ask: Ask) -> int:
    return ask.work.claim.id if isinstance(ask.work, Ending) else -1
