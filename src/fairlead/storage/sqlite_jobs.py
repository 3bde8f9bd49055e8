"""The statements of the store of jobs on SQLite. Each function runs within a transaction that others share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.storage.job_rows import (
    COLUMNS,
    OVER,
    Dialect,
    Part,
    begin_job,
    check_effect,
    parts_of,
    read_job,
)
from fairlead.storage.jobs import Added, Claim, Ending, Job, JobState, NewJob, Query, Reject
from fairlead.storage.sqlite_claims import head_of, is_running, lift, with_newest
from fairlead.storage.sqlite_turn import Turn

_ALL = ", ".join(COLUMNS)
_NEW = (
    "id, kind, source, name, state, key, fingerprint, subject, position, created_at, run_at, generation, owner, "
    "lease_until, payload"
)
# For each None and each bytes Python's binding looks for an adapter, a microsecond long, and for a bytearray it does
# not. So what is missing is bound as an empty one, which no text and no number is equal to.
_NOTHING = bytearray()
_MAYBE = "nullif(?, x'')"
_VALUES = f"(?, ?, ?, ?, ?, {_MAYBE}, ?, {_MAYBE}, {_MAYBE}, ?, ?, ?, {_MAYBE}, {_MAYBE}, ?)"
_ROWS, _MOST_ROWS = 8, 64
#: By how many rows are written at once.
_INSERTS = {
    size: f"INSERT INTO fairlead_jobs ({_NEW}) VALUES {', '.join([_VALUES] * size)} "  # noqa: S608  # our own words
    "ON CONFLICT (kind, key, source) WHERE key IS NOT NULL DO NOTHING"
    for size in (*range(1, _ROWS), *range(_ROWS, _MOST_ROWS + 1, _ROWS))
}
_BY_KEY = f"SELECT {_ALL} FROM fairlead_jobs WHERE kind = ? AND key = ? AND source = ?"  # noqa: S608
_HELD = "id = ? AND owner = ? AND generation = ? AND state = 1"
_DIALECT = Dialect(
    order="id DESC",
    before="id < ?",
    first="id >= (SELECT id FROM fairlead_jobs WHERE created_at >= ? ORDER BY created_at, id LIMIT 1)",
    last="id <= (SELECT id FROM fairlead_jobs WHERE created_at < ? ORDER BY created_at DESC, id DESC LIMIT 1)",
)


# --- Adding -------------------------------------------------------------------------------------------------------


def add(turn: Turn, jobs: Sequence[NewJob]) -> list[Added]:
    """Keep jobs; what is merged from several callers comes in one piece."""
    (last,) = turn.db.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'fairlead_jobs'"
    ).fetchone()
    kept = 0
    rows: list[tuple[Any, ...]] = []
    added = []
    for identifier, new in enumerate(jobs, last + 1):
        begins = new.owner is not None
        if begins and new.subject is not None:  # those before it must be there to be seen
            kept += _insert(turn, rows)
            rows.clear()
            begins = _is_next(turn, new)
        job = begin_job(new, identifier, turn.now, begins=begins)
        if begins:
            job = with_newest(turn, job)
        rows.append(_row(job))
        added.append(Added(job=job, is_new=True))
    kept += _insert(turn, rows)
    if kept < len(jobs):
        added = _with_known(turn, added)
    for what, some in (("added", True), ("repeated", False)):
        turn.count_all(what, ((one.job.kind, one.job.source, one.job.name) for one in added if one.is_new is some))
    return added


def _insert(turn: Turn, rows: Sequence[tuple[Any, ...]]) -> int:
    """Write rows, but for those whose key is there; return how many were written.

    Several times for each statement Python's lock is let go, and fought for: with one for each row, that is what it
    costs. A prepared one takes room as its rows do, so there is not one for every number of them.
    """
    kept = start = 0
    while start < len(rows):
        left = min(len(rows) - start, _MOST_ROWS)
        size = left - left % _ROWS or left
        values = [value for row in rows[start : start + size] for value in row]
        kept += turn.db.execute(_INSERTS[size], values).rowcount
        start += size
    return kept


def _with_known(turn: Turn, added: Sequence[Added]) -> list[Added]:
    """Return what became of jobs of which some were not written, with those in their place that have their keys."""
    (written,) = turn.db.execute(
        "SELECT json_group_array(id) FROM fairlead_jobs WHERE id >= ?", (added[0].job.id,)
    ).fetchone()
    new = set(msgspec.json.decode(written))
    return [one if one.job.id in new else Added(job=_known(turn, one.job), is_new=False) for one in added]


def _known(turn: Turn, job: Job) -> Job:
    return read_job(turn.db.execute(_BY_KEY, (job.kind, job.key, job.source)).fetchone())


def _row(job: Job) -> tuple[Any, ...]:
    return (
        job.id,
        job.kind,
        job.source,
        job.name,
        int(job.state),
        _NOTHING if job.key is None else job.key,
        bytearray(job.fingerprint),
        _NOTHING if job.subject is None else job.subject,
        _NOTHING if job.position is None else job.position,
        job.created_at,
        job.run_at,
        job.generation,
        _NOTHING if job.owner is None else job.owner,
        _NOTHING if job.lease_until is None else job.lease_until,
        bytearray(job.payload),
    )


def _is_next(turn: Turn, new: NewJob) -> bool:
    """Whether nothing of its subject runs, or is due before it."""
    subject = (new.kind, new.source, new.subject)
    if is_running(turn, subject):
        return False
    head = head_of(turn, subject)
    if head is None:
        return True
    position = head[1]
    return position is not None and new.position is not None and new.position < position


# --- While one has it ---------------------------------------------------------------------------------------------


def renew(turn: Turn, claims: Sequence[Claim], lease_s: float) -> list[bool]:
    """Hold on to them."""
    return [_change(turn, each, "lease_until = ?", turn.now + lease_s) for each in claims]


def mark(turn: Turn, held: Claim, text: bytes) -> bool:
    """Write down what is about to be sent."""
    return _change(turn, held, "mark = ?", text)


def report(turn: Turn, held: Claim, progress: float) -> bool:
    """Write down how far it is."""
    return _change(turn, held, "progress = ?", progress)


def _change(turn: Turn, held: Claim, what: str, value: object) -> bool:
    sql = f"UPDATE fairlead_jobs SET {what} WHERE {_HELD}"  # noqa: S608
    return bool(turn.db.execute(sql, (value, held.id, held.owner, held.generation)).rowcount)


_FINISH = (
    f"UPDATE fairlead_jobs SET state = ?, result = ?, error = {_MAYBE}, run_at = coalesce({_MAYBE}, run_at), "  # noqa: S608
    f"finished_at = {_MAYBE}, failures = failures + ?, mark = CASE WHEN ? THEN mark ELSE ? END, owner = NULL, "
    f"lease_until = NULL WHERE {_HELD} RETURNING kind, source, name, subject, position"
)


def finish(turn: Turn, ending: Ending) -> bool:
    """End a job, and do what is to happen with it."""
    held, state = ending.claim, ending.state
    if state is JobState.RUNNING:
        raise InvalidArgumentError("A job does not end by running.")
    for effect in ending.effects:
        check_effect(effect.sql)
    row = turn.db.execute(
        _FINISH,
        (
            int(state),
            bytearray(ending.result),
            _NOTHING if ending.error is None else ending.error,
            _NOTHING if state.is_over else ending.run_at,
            turn.now if state.is_over else _NOTHING,
            int(ending.has_failed),
            int(ending.mark is None),
            bytearray(ending.mark or b""),
            held.id,
            held.owner,
            held.generation,
        ),
    ).fetchone()
    if row is None:
        return False
    kind, source, name, subject, position = row
    if state in {JobState.DONE, JobState.DEAD}:
        turn.count(kind, source, name, state.name.lower())
    if state is JobState.DONE and subject is not None and position is not None:
        turn.db.execute(
            "INSERT INTO fairlead_subjects (kind, source, subject, newest) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET newest = max(newest, excluded.newest)",
            (kind, source, subject, position),
        )
    lift(turn, (kind, source, subject))
    for effect in ending.effects:
        turn.db.execute(effect.sql, effect.parameters)
    return True


# --- By hand ------------------------------------------------------------------------------------------------------


def cancel(turn: Turn, identifier: int) -> bool:
    """Cancel what is not over."""
    row = turn.db.execute(
        "UPDATE fairlead_jobs SET state = 4, parked = 0, owner = NULL, lease_until = NULL, finished_at = ? "
        "WHERE id = ? AND state < 2 RETURNING kind, source, subject",
        (turn.now, identifier),
    ).fetchone()
    if row:
        lift(turn, row)
    return bool(row)


def again(turn: Turn, query: Query, run_at: float) -> int:
    """Make what is over wait again."""
    found = [(run_at, identifier) for identifier in find_ids(turn.db, query, OVER)]
    turn.db.executemany(
        "UPDATE fairlead_jobs SET state = 0, run_at = ?, failures = 0, crashes = 0, error = NULL, finished_at = NULL, "
        "progress = 0, mark = CASE WHEN state = 2 THEN x'' ELSE mark END WHERE id = ?",
        found,
    )
    return len(found)


def prune(turn: Turn, ages_s: Mapping[tuple[str, JobState], float], limit: int) -> int:
    """Delete what was over for longer; what is known of a subject goes with its last job."""
    left = limit
    for (kind, state), age_s in sorted(ages_s.items()):
        if not state.is_over:
            raise InvalidArgumentError("Only jobs that are over are deleted.")
        gone = turn.db.execute(
            "DELETE FROM fairlead_jobs WHERE id IN (SELECT id FROM fairlead_jobs INDEXED BY fairlead_jobs_over "
            "WHERE kind = ? AND state = ? AND state >= 2 AND finished_at < ? ORDER BY finished_at LIMIT ?) "
            "RETURNING kind, source, subject",
            (kind, int(state), turn.now - age_s, left),
        ).fetchall()
        turn.db.executemany(
            "DELETE FROM fairlead_subjects WHERE kind = ?1 AND source = ?2 AND subject = ?3 AND NOT EXISTS "
            "(SELECT 1 FROM fairlead_jobs WHERE kind = ?1 AND subject = ?3 AND source = ?2)",
            sorted({row for row in gone if row[2] is not None}),
        )
        left -= len(gone)
    return limit - left


def count_rejects(turn: Turn, rejects: Sequence[Reject]) -> None:
    """Add to the counts."""
    turn.db.executemany(
        "INSERT INTO fairlead_rejects (hour, source, reason, count, last_at, sample) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count, last_at = max(last_at, excluded.last_at), "
        "sample = CASE WHEN excluded.last_at >= last_at THEN excluded.sample ELSE sample END",
        [(each.hour, each.source, each.reason, each.count, each.last_at, each.sample) for each in rejects],
    )


def find_ids(db: Any, query: Query, states: Sequence[JobState]) -> list[int]:
    """Return the ids of what fits, newest first."""
    found: list[int] = []
    for part in sqlite_parts(query, states):
        found += [identifier for (identifier,) in db.execute(select_part(part), (*part.values, query.limit))]
    return sorted(found, reverse=True)[: query.limit]


def sqlite_parts(query: Query, states: Sequence[JobState]) -> Iterator[Part]:
    """Yield the parts of a query."""
    return parts_of(query, _DIALECT, states)


def select_part(part: Part) -> str:
    """Return the statement for the ids of a part; its last value is how many."""
    return (
        f"SELECT id FROM fairlead_jobs INDEXED BY fairlead_jobs_{part.index} "  # noqa: S608  # our own words
        f"WHERE {part.where} ORDER BY {_DIALECT.order} LIMIT ?"
    )


def check(turn: Turn) -> None:
    """Write something that is read by nobody."""
    turn.db.execute("INSERT OR REPLACE INTO fairlead_health (id, checked_at) VALUES (1, ?)", (turn.now,))
