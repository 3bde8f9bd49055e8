"""What is read of the store of jobs on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from re import sub
from typing import Any

from fairlead.storage.job_rows import COLUMNS, LONG_COLUMNS, STATES, Dialect, parts_of, read_job
from fairlead.storage.jobs import Job, JobState, Query, Reject, Tally

_ALL = ", ".join(COLUMNS)
_SHORT = ", ".join(f"''::bytea AS {name}" if name in LONG_COLUMNS else name for name in COLUMNS)
# Ordered by what only the indices for lists hold: see the migration.
_DIALECT = Dialect(
    order="-id",
    before="-id > -(?::bigint)",
    first="-id <= -(SELECT id FROM {s}.jobs WHERE created_at >= ? ORDER BY created_at, id LIMIT 1)",
    last="-id >= -(SELECT id FROM {s}.jobs WHERE created_at < ? ORDER BY created_at DESC, id DESC LIMIT 1)",
)


def select_ids(query: Query, states: Sequence[JobState], *, first: int = 2) -> tuple[str, list[Any]]:
    """Return the statement for the ids of what fits, newest first, its values numbered from `first` on."""
    pieces, values = [], []
    for part in parts_of(query, _DIALECT, states):
        pieces.append(
            f"(SELECT id FROM {{s}}.jobs WHERE {part.where} ORDER BY {_DIALECT.order} LIMIT ?::bigint)"  # noqa: S608
        )
        values += [*part.values, query.limit]
    if not pieces:
        pieces.append("(SELECT 0::bigint AS id WHERE false)")
    sql = f"SELECT id FROM ({' UNION ALL '.join(pieces)}) AS u ORDER BY id DESC LIMIT ?::bigint"  # noqa: S608
    return numbered(sql, first=first), [*values, query.limit]


def numbered(sql: str, *, first: int = 1) -> str:
    """Return a statement with its `?` as PostgreSQL has them: `$1`, `$2`."""
    numbers = count(first)
    return sub(r"\?", lambda _: f"${next(numbers)}", sql)


async def find(db: Any, schema: str, identifier: int) -> Job | None:
    """Return one job, whole."""
    rows = await db.fetch(f"SELECT {_ALL} FROM {schema}.jobs WHERE id = $1", identifier)  # noqa: S608  # our own words
    return read_job(rows[0]) if rows else None


async def find_key(db: Any, schema: str, kind: str, source: str, key: str) -> Job | None:
    """Return the job that has a key, whole."""
    sql = f"SELECT {_ALL} FROM {schema}.jobs WHERE kind = $1 AND source = $2 AND key = $3"  # noqa: S608  # our own words
    rows = await db.fetch(sql, kind, source, key)
    return read_job(rows[0]) if rows else None


async def list_jobs(db: Any, schema: str, query: Query) -> list[Job]:
    """Return what fits, newest first."""
    ids, values = select_ids(query, STATES, first=1)
    sql = f"SELECT {_SHORT} FROM {{s}}.jobs WHERE id = ANY (ARRAY({ids})) ORDER BY id DESC"  # noqa: S608  # our own words
    return [read_job(row) for row in await fetch_planned(db, sql.replace("{s}", schema), *values)]


async def fetch_planned(db: Any, sql: str, *values: Any) -> list[Any]:
    """Run a statement by a plan for these very values: one for any values would not know how much a bound leaves out.

    A statement without a name is planned anew each time.
    """
    statement = await db.prepare(sql, name="")
    rows: list[Any] = await statement.fetch(*values)
    return rows


async def first_due(db: Any, schema: str, kinds: Sequence[str]) -> float | None:
    """Return when the first job is due, or its lease ends, in seconds since 1970."""
    sql = (
        "SELECT min(at) FROM unnest($1::text[]) AS k, LATERAL ("  # our own words
        "(SELECT run_at AS at FROM {s}.jobs WHERE kind = k AND state = 0 AND NOT parked ORDER BY run_at LIMIT 1) "
        "UNION ALL (SELECT lease_until FROM {s}.jobs WHERE kind = k AND state = 1 ORDER BY lease_until LIMIT 1)) AS u"
    )
    first: float | None = await db.fetchval(sql.replace("{s}", schema), list(kinds))
    return first


async def list_rejects(db: Any, schema: str, since_hour: int, source: str | None) -> list[Reject]:
    """Return the counts, newest hour first."""
    rows = await db.fetch(
        f"SELECT hour, source, reason, count, last_at, sample FROM {schema}.rejects "  # noqa: S608  # our own words
        "WHERE hour >= $1 AND ($2::text IS NULL OR source = $2) ORDER BY hour DESC, source, reason",
        since_hour,
        source,
    )
    return [Reject(**row) for row in rows]


async def tallies(db: Any, schema: str, kind: str, since_hour: int, until_hour: int) -> list[Tally]:
    """Return the counts by hour."""
    rows = await db.fetch(
        f"SELECT hour, kind, source, name, what, count FROM {schema}.tallies "  # noqa: S608  # our own words
        "WHERE kind = $1 AND hour >= $2 AND hour < $3 ORDER BY hour, source, name, what",
        kind,
        since_hour,
        until_hour,
    )
    return [Tally(**row) for row in rows]
