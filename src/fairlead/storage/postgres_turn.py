"""One transaction of the store of jobs on PostgreSQL: its connection, its time, its locks, and what is counted in it.

Whoever begins or ends a job of a subject holds the lock of that subject, so that nobody parks a job behind one that
ends just then. Locks are taken in one order, or only where nobody else holds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from fairlead.storage.job_rows import hour_of

Subject = tuple[str, str, str]
_TIME = "SELECT extract(epoch FROM clock_timestamp())::double precision"


class Turn:
    """What the statements of one transaction share."""

    def __init__(self, connection: Any, schema: str, now: float) -> None:
        self.connection = connection
        self.schema = schema
        self.now = now
        self.tallies: Counter[tuple[str, int, str, str, str]] = Counter()
        #: Something may be due now that was not before: others are to hear of it.
        self.has_news = False

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement, in which `{s}` stands for the schema."""
        rows: list[Any] = await self.connection.fetch(sql.replace("{s}", self.schema), *values)
        return rows

    def count(self, kind: str, source: str, name: str, what: str) -> None:
        """Count one."""
        self.tallies[kind, hour_of(self.now), source, name, what] += 1

    async def lock(self, subjects: Iterable[Subject]) -> None:
        """Wait for the locks of subjects, in one order."""
        keys = sorted({self._key(each) for each in subjects})
        if keys:
            await self.fetch("SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k", keys)

    async def try_lock(self, subjects: Iterable[Subject]) -> set[Subject]:
        """Take the locks that are free; return the subjects whose they are."""
        keys = {self._key(each): each for each in subjects}
        if not keys:
            return set()
        rows = await self.fetch(
            "SELECT k FROM unnest($1::bigint[]) AS k WHERE pg_try_advisory_xact_lock(k)", sorted(keys)
        )
        return {keys[row[0]] for row in rows}

    def _key(self, subject: Subject) -> int:
        told = "\0".join((self.schema, *subject)).encode()
        return int.from_bytes(blake2b(told, digest_size=8).digest(), "big", signed=True)

    async def end(self, channel: str, token: str) -> None:
        """Write down what was counted, last of all and in one order, and tell the others."""
        if self.tallies:
            rows = [(*key, count) for key, count in sorted(self.tallies.items())]
            self.tallies = Counter()
            await self.fetch(
                "INSERT INTO {s}.tallies AS t (kind, hour, source, name, what, count) "
                "SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[]) "
                "ON CONFLICT (kind, hour, source, name, what) DO UPDATE SET count = t.count + excluded.count",
                *columns_of(rows, 6),
            )
        if self.has_news:
            self.has_news = False
            await self.fetch("SELECT pg_notify($1, $2)", channel, token)


async def server_time(connection: Any) -> float:
    """Return the server's seconds since 1970."""
    now: float = await connection.fetchval(_TIME)
    return now


def columns_of(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return the columns of rows, as `unnest` wants them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
