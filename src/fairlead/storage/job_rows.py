"""What the drivers of jobs have in common: the columns, how a row becomes a job, and which index answers a query."""

from __future__ import annotations

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


class Part(msgspec.Struct, frozen=True):
    """A part of a query that one index answers in order: the index, the condition with `?`, and its values."""

    index: str
    where: str
    values: tuple[Any, ...]


def parts_of(query: Query, states: Sequence[JobState] = STATES) -> Iterator[Part]:
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
        yield _part(query, index, fixed, () if len(wanted) == len(STATES) else (f"state IN ({held or 'NULL'})",))
        return
    index = "_".join(name for name in _INDEXED if getattr(query, name) is not None) or "state"
    for state in wanted:
        yield _part(query, index, fixed, (f"state = {int(state)}",))


def _part(query: Query, index: str, fixed: Sequence[tuple[str, Any]], more: Sequence[str]) -> Part:
    where = [f"{name} = ?" for name, _ in fixed] + list(more)
    values = [value for _, value in fixed]
    if query.before is not None:
        where.append("id < ?")
        values.append(query.before)
    if query.since is not None:
        where.append("created_at >= ? AND id >= {first}")
        values += [query.since, query.since - SLACK_S]
    if query.until is not None:
        where.append("created_at < ? AND id <= {last}")
        values += [query.until, query.until + SLACK_S]
    return Part(index, " AND ".join(where), tuple(values))


FIRST = "(SELECT id FROM {jobs} WHERE created_at >= ? ORDER BY created_at, id LIMIT 1)"
LAST = "(SELECT id FROM {jobs} WHERE created_at < ? ORDER BY created_at DESC, id DESC LIMIT 1)"


def select_ids(part: Part, jobs: str, index: str = "") -> str:
    """Return the statement for the ids of a part; its last value is how many."""
    where = part.where.format(first=FIRST.format(jobs=jobs), last=LAST.format(jobs=jobs))
    return f"SELECT id FROM {jobs}{index} WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608  # our own words
