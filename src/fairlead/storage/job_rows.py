"""What the drivers of jobs have in common: the columns, how a row becomes a job, and which index answers a query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.storage.jobs import Job, JobState, NewJob, Query

#: In the order of `Job`, but for `newest`, which is not kept with it.
COLUMNS = tuple(name for name in Job.__struct_fields__ if name != "newest")
LONG_COLUMNS = {"payload", "result"}
#: What a column of an index may be asked for by itself.
_INDEXED = ("source", "name")
# Ids follow the time but for this: a clock that was set back a little, a statement that took its time.
SLACK_S = 5.0
STATES = tuple(JobState)
OVER = tuple(state for state in STATES if state.is_over)
#: The error of a job that was set aside because its processes died.
CRASHED = "process_died: The processes that worked on it died, one after the other. It may be what kills them."
_CHANGES = re.compile(r"\s*(insert|update|delete|replace|merge|with)\b", re.IGNORECASE)


def read_job(row: Sequence[Any], newest: int | None = None) -> Job:
    """Return the job of a row of `COLUMNS`."""
    fields = dict(zip(COLUMNS, row, strict=True))
    fields["state"] = STATES[fields["state"]]
    return Job(**fields, newest=newest)


def begin_job(new: NewJob, identifier: int, now: float, *, begins: bool) -> Job:
    """Return what a new job looks like once it is kept; where it begins, its owner has it."""
    return Job(
        id=identifier,
        kind=new.kind,
        source=new.source,
        name=new.name,
        state=JobState.RUNNING if begins else JobState.WAITING,
        key=new.key,
        fingerprint=new.fingerprint,
        subject=new.subject,
        position=new.position,
        created_at=now,
        run_at=new.run_at,
        finished_at=None,
        generation=1 if begins else 0,
        failures=0,
        crashes=0,
        owner=new.owner if begins else None,
        lease_until=now + new.lease_s if begins else None,
        error=None,
        progress=0.0,
        mark=b"",
        payload=new.payload,
        result=b"",
    )


def hour_of(now: float) -> int:
    """Return the hour since 1970."""
    return int(now // 3600)


class Dialect(msgspec.Struct, frozen=True):
    """How a driver puts the ids in order, and bounds them; `?` stands for a value."""

    order: str
    before: str
    first: str
    last: str


class Part(msgspec.Struct, frozen=True):
    """A part of a query that one index answers in order: the index, the condition with `?`, and its values."""

    index: str
    where: str
    values: tuple[Any, ...]


def parts_of(query: Query, dialect: Dialect, states: Sequence[JobState] = STATES) -> Iterator[Part]:
    """Yield the parts of a query, whose ids together are what fits.

    The indices hold the state before the rest. So what asks for no state is put together from one part for each: five
    looks into an index, in place of as many more indices for every row that is written.
    """
    if query.limit < 1:
        raise InvalidArgumentError("A query asks for at least one.")
    fixed = [("kind", query.kind)]
    fixed += [(name, value) for name in _INDEXED if (value := getattr(query, name)) is not None]
    wanted = [state for state in states if query.state in {None, state}]
    if query.key is not None or query.subject is not None:
        index = "key" if query.key is not None else "subject"
        fixed += [(name, value) for name in ("key", "subject") if (value := getattr(query, name)) is not None]
        held = ", ".join(str(int(state)) for state in wanted)
        yield _part(query, dialect, index, fixed, "" if len(wanted) == len(STATES) else f"state IN ({held or 'NULL'})")
        return
    index = "_".join(name for name in _INDEXED if getattr(query, name) is not None) or "state"
    for state in wanted:
        yield _part(query, dialect, index, fixed, f"state = {int(state)}")


def _part(query: Query, dialect: Dialect, index: str, fixed: Sequence[tuple[str, Any]], state: str) -> Part:
    where = [f"{name} = ?" for name, _ in fixed]
    values = [value for _, value in fixed]
    if state:
        where.append(state)
    if query.before is not None:
        where.append(dialect.before)
        values.append(query.before)
    if query.since is not None:
        where += ["created_at >= ?", dialect.first]
        values += [query.since, query.since - SLACK_S]
    if query.until is not None:
        where += ["created_at < ?", dialect.last]
        values += [query.until, query.until + SLACK_S]
    return Part(index, " AND ".join(where), tuple(values))


def check_effect(sql: str) -> None:
    """Raise `InvalidArgumentError` for SQL that does not just change rows: it could end the transaction."""
    if not _CHANGES.match(sql):
        raise InvalidArgumentError(
            f"An effect is INSERT, UPDATE, DELETE or REPLACE, and not {sql.split(maxsplit=1)[:1]}.",
            hint="Make tables before, over a connection of your own.",
        )
