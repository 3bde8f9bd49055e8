"""What must last: the port. Received events, background calls, idempotency keys and schedules are rows of one table.

A row *is* the job: what was accepted and what is still to be done with it are never two records that could disagree.
Whoever claims a row holds it under a lease, and writes to it only while `Claim` is still the last one: the work of a
dead process is taken over when its lease ends, and its late words change nothing.

`tests/contract/test_job_*.py` are the suites that every driver passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from typing import Any, Protocol

import msgspec

from fairlead.storage.snapshots import Snapshot, Sought

# A row whose processes died that often while they worked on it is set aside as dead: it may be what kills them.
MOST_CRASHES = 12


def wait_after(crashes: int) -> float:
    """Return the seconds that a row waits after so many deaths: none after the first, then 1, 2, 4, and so on.

    Most of what dies with a process was not what killed it: while that comes back, the others get their turn.
    """
    return 0.0 if crashes < 2 else 2.0 ** (crashes - 2)


class JobState(IntEnum):
    """Where a job stands."""

    WAITING = 0
    RUNNING = 1
    DONE = 2
    #: Given up: its tries are used up, or it cannot be done. It can be run again by hand.
    DEAD = 3
    CANCELLED = 4

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self >= JobState.DONE


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be kept. Times are in seconds since 1970.

    `kind` is what does it (`event`, `call`, `task`), `source` whose it is (a connection, a tenant, a schedule), `name`
    what it is (the vendor's type of event, an operation). One `key` is kept once for its `kind` and `source`, as long
    as the row is; `fingerprint` is of what was asked, to tell a repeat from another use of the key.
    """

    kind: str
    source: str
    name: str
    run_at: float
    key: str | None = None
    fingerprint: bytes = b""
    #: Jobs of one subject run one at a time; of those that are due, the lowest `position` first.
    subject: str | None = None
    #: Where it stands in the history of its subject: the vendor's sequence, or its timestamp in microseconds.
    position: int | None = None
    #: MessagePack of whatever the kind needs.
    payload: bytes = b""
    #: Who does it at once, under a lease of `lease_s` seconds; None where it waits for whoever claims it.
    owner: str | None = None
    lease_s: float = 0.0


class Claim(msgspec.Struct, frozen=True):
    """A hold on a job: good while no later `generation` exists."""

    id: int
    owner: str
    generation: int


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is kept. Lists leave out `payload` and `result`."""

    id: int
    kind: str
    source: str
    name: str
    state: JobState
    key: str | None
    fingerprint: bytes
    subject: str | None
    position: int | None
    created_at: float
    run_at: float
    finished_at: float | None
    #: How often it was begun.
    generation: int
    #: How often it failed since it was accepted or run again by hand; deaths of a process are not among them.
    failures: int
    #: How often the process died that had it.
    crashes: int
    owner: str | None
    lease_until: float | None
    #: The code and the sentence of the last error.
    error: str | None
    #: From 0 to 1, as whoever does it reports.
    progress: float
    #: What was about to be sent when this was written: after a crash, the effect may have happened.
    mark: bytes
    payload: bytes
    result: bytes
    #: The highest position of its subject that was ever done; set when it is claimed.
    newest: int | None = None

    @property
    def claim(self) -> Claim:
        """The hold that this reading of it gives."""
        return Claim(self.id, self.owner or "", self.generation)

    @property
    def is_late(self) -> bool:
        """Whether something newer of its subject was done before."""
        return self.position is not None and self.newest is not None and self.position < self.newest


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a job that was to be kept: where it is not new, `job` is the one that has its key."""

    job: Job
    is_new: bool


class Statement(msgspec.Struct, frozen=True):
    """SQL that is committed together with the end of a job. Parameters are written as the driver wants them.

    `?` for SQLite, `$1` for PostgreSQL.
    """

    sql: str
    parameters: tuple[Any, ...] = ()


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a claimed job ends, or goes on: `WAITING` puts it back until `run_at`."""

    claim: Claim
    state: JobState
    result: bytes = b""
    error: str | None = None
    run_at: float = 0.0
    #: Its turn counts as a failure.
    has_failed: bool = False
    effects: tuple[Statement, ...] = ()
    #: In place of the mark, where it is not None: an empty one says that nothing is under way.
    mark: bytes | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs: all that fit every field that is set. Newest first; `before` is the id of the last one seen."""

    kind: str
    source: str | None = None
    name: str | None = None
    state: JobState | None = None
    subject: str | None = None
    key: str | None = None
    #: Accepted at or after, and before, in seconds since 1970.
    since: float | None = None
    until: float | None = None
    before: int | None = None
    limit: int = 50


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """What was turned away: how often within an hour, and the last one, without anything private."""

    hour: int
    source: str
    reason: str
    count: int
    last_at: float
    sample: str


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many, within an hour since 1970: `what` is `added`, `repeated` (a key that was there), `done` or `dead`."""

    hour: int
    kind: str
    source: str
    name: str
    what: str
    count: int


class JobStore(Protocol):
    """Keeps jobs. Every method raises `StorageError` where the store does not answer or is full.

    What a method has returned is on disk. Methods may be called by many tasks at once: writes that come together are
    committed together.
    """

    #: What the store is, in words without a secret: for the health page.
    name: str

    async def open(self) -> None:
        """Connect, and bring the tables to this version; the first call of another method does so too."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go."""
        ...

    def disown(self) -> None:
        """Leave what is open to the parent: for the child of a fork. The next call opens anew."""
        ...

    async def check(self) -> None:
        """Prove that it can still be written to, or raise `StorageError` saying why not."""
        ...

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[Added]:
        """Keep jobs, all or none; those whose key is there already are left as they are, and shown."""
        ...

    async def claim(self, kinds: Sequence[str], owner: str, *, lease_s: float, limit: int) -> Sequence[Job]:
        """Take what is due, and what a dead process left: at most `limit`, and one of each subject."""
        ...

    async def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[bool]:
        """Hold on to them from now; False for those that are no longer held, or were cancelled."""
        ...

    async def mark(self, claim: Claim, mark: bytes) -> bool:
        """Write down what is about to be sent; False, and nothing is written, where the claim is not good."""
        ...

    async def report(self, claim: Claim, progress: float) -> bool:
        """Write down how far it is; False where the claim is not good."""
        ...

    async def finish(self, ending: Ending) -> bool:
        """End a job together with its effects; False, and nothing happens, where the claim is not good."""
        ...

    def transaction(self, claim: Claim) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction in which the job can be ended; `UsageError` where the driver gives none."""
        ...

    async def find(self, identifier: int) -> Job | None:
        """Return one job, whole."""
        ...

    async def find_key(self, kind: str, source: str, key: str) -> Job | None:
        """Return the job that has a key, whole."""
        ...

    async def list(self, query: Query) -> Sequence[Job]:
        """Return what fits, newest first, without payloads and results."""
        ...

    async def cancel(self, identifier: int) -> bool:
        """Cancel what is not over; False where it is. Who has it learns of it when it renews."""
        ...

    async def again(self, query: Query, *, run_at: float) -> int:
        """Make at most `query.limit` jobs that are over wait again, with no failures; return how many.

        Those that were done lose their mark: all of it is done again.
        """
        ...

    async def until_due(self, kinds: Sequence[str]) -> float | None:
        """Return the seconds until a job is due or a lease ends, 0 or more; None where there is none of these kinds."""
        ...

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever another process may have added what is due. It may be called for nothing."""
        ...

    async def count_rejects(self, rejects: Sequence[Reject]) -> None:
        """Add to the counts of what was turned away."""
        ...

    async def list_rejects(self, *, since_hour: int, source: str | None = None) -> Sequence[Reject]:
        """Return the counts, newest hour first."""
        ...

    async def tallies(self, *, kind: str, since_hour: int, until_hour: int) -> Sequence[Tally]:
        """Return the counts by hour, without reading a single job."""
        ...

    async def put_snapshots(self, snapshots: Sequence[Snapshot]) -> Sequence[bool]:
        """Write down what things are like; False for those of which something newer is there."""
        ...

    async def find_snapshot(self, kind: str, source: str, key: str) -> Snapshot | None:
        """Return what is known of one thing."""
        ...

    async def seek_snapshots(self, sought: Sought) -> Sequence[Snapshot]:
        """Return what is known of things."""
        ...

    async def prune(self, ages_s: Mapping[tuple[str, JobState], float], *, limit: int) -> int:
        """Delete at most `limit` jobs that were over for longer; return how many, so that the caller goes on."""
        ...


class Transaction(Protocol):
    """A transaction of the store's database, given to a handler: its effect and the job's end are one commit."""

    #: The driver's own connection (asyncpg's), for statements of the application.
    connection: Any

    async def finish(self, ending: Ending) -> bool:
        """End the job in this transaction; False where the claim is not good: then nothing may be committed."""
        ...
