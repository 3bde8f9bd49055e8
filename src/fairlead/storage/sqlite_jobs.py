"""The statements of the store of jobs on SQLite. Each function runs within a transaction that others share.

A job that is due but must wait for another of its subject is *parked* when a claim comes across it, so that the next
claim does not: a subject with a hundred thousand jobs holds up nobody. Whoever ends a job lifts the next of its
subject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.errors import InvalidArgumentError
from fairlead.storage.job_rows import (
    COLUMNS,
    CRASHED,
    OVER,
    Dialect,
    begin_job,
    check_effect,
    hour_of,
    parts_of,
    read_job,
)
from fairlead.storage.jobs import MOST_CRASHES, Added, Claim, Ending, Job, JobState, NewJob, Query, Reject

# A claim looks at so many jobs that are due at most; where all of them had to be parked, the next claim goes on.
_MOST_LOOKS = 1000

Tallies = Counter[tuple[str, int, str, str, str]]
_ALL = ", ".join(COLUMNS)
_NEW = (
    "id, kind, source, name, state, key, fingerprint, subject, position, created_at, run_at, generation, owner, "
    "lease_until, payload"
)
_INSERT = f"INSERT INTO fairlead_jobs ({_NEW}) VALUES ({', '.join('?' * 15)})"  # noqa: S608  # our own words
_BY_KEY = f"SELECT {_ALL} FROM fairlead_jobs WHERE kind = ? AND key = ? AND source = ?"  # noqa: S608
_HELD = "id = ? AND owner = ? AND generation = ? AND state = 1"
_OF_SUBJECT = "kind = ? AND source = ? AND subject = ?"
_TAKE = (
    "UPDATE fairlead_jobs SET state = 1, parked = 0, generation = generation + 1, owner = ?, lease_until = ? "  # noqa: S608
    f"WHERE id = ? RETURNING {_ALL}"
)
_DIALECT = Dialect(
    order="id DESC",
    before="id < ?",
    first="id >= (SELECT id FROM fairlead_jobs WHERE created_at >= ? ORDER BY created_at, id LIMIT 1)",
    last="id <= (SELECT id FROM fairlead_jobs WHERE created_at < ? ORDER BY created_at DESC, id DESC LIMIT 1)",
)


class Turn:
    """One transaction: its connection, its time, and what is counted in it. `tallies` are written when it ends."""

    def __init__(self, connection: Any, now: float) -> None:
        self.db = connection
        self.now = now
        self.tallies: Tallies = Counter()

    def count(self, kind: str, source: str, name: str, what: str) -> None:
        """Count one."""
        self.tallies[kind, hour_of(self.now), source, name, what] += 1

    def write_tallies(self, tallies: Tallies) -> None:
        """Write down what was counted."""
        self.db.executemany(
            "INSERT INTO fairlead_tallies (kind, hour, source, name, what, count) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in sorted(tallies.items())],
        )


# --- Adding -------------------------------------------------------------------------------------------------------


def add(turn: Turn, jobs: Sequence[NewJob]) -> list[Added]:
    """Keep jobs; what is merged from several callers comes in one piece."""
    (last,) = turn.db.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'fairlead_jobs'"
    ).fetchone()
    here: dict[tuple[str, str, str], Job] = {}
    rows: list[tuple[Any, ...]] = []
    added = []
    for new in jobs:
        known = _known(turn, new, here)
        turn.count(new.kind, new.source, new.name, "repeated" if known else "added")
        if known:
            added.append(Added(job=known, is_new=False))
            continue
        last += 1
        begins = new.owner is not None
        if begins and new.subject is not None:  # those before it must be there to be seen
            turn.db.executemany(_INSERT, rows)
            rows.clear()
            begins = _is_next(turn, new)
        job = begin_job(new, last, turn.now, begins=begins)
        if begins:
            job = _with_newest(turn, job)
        if new.key is not None:
            here[new.kind, new.source, new.key] = job
        rows.append(_row(job))
        added.append(Added(job=job, is_new=True))
    turn.db.executemany(_INSERT, rows)
    return added


def _known(turn: Turn, new: NewJob, here: Mapping[tuple[str, str, str], Job]) -> Job | None:
    if new.key is None:
        return None
    known = here.get((new.kind, new.source, new.key))
    if known is None:
        row = turn.db.execute(_BY_KEY, (new.kind, new.key, new.source)).fetchone()
        known = read_job(row) if row else None
    return known


def _row(job: Job) -> tuple[Any, ...]:
    return (
        job.id,
        job.kind,
        job.source,
        job.name,
        int(job.state),
        job.key,
        job.fingerprint,
        job.subject,
        job.position,
        job.created_at,
        job.run_at,
        job.generation,
        job.owner,
        job.lease_until,
        job.payload,
    )


def _is_next(turn: Turn, new: NewJob) -> bool:
    """Whether nothing of its subject runs, or is due before it."""
    subject = (new.kind, new.source, new.subject)
    if _is_running(turn, subject):
        return False
    head = _head(turn, subject)
    if head is None:
        return True
    position = head[1]
    return position is not None and new.position is not None and new.position < position


# --- Claiming -----------------------------------------------------------------------------------------------------


def claim(turn: Turn, kinds: Sequence[str], owner: str, lease_s: float, limit: int) -> list[Job]:
    """Take what is due, in the order in which it became due."""
    for kind in kinds:
        _take_back(turn, kind, limit)
    taken: list[Job] = []
    looks = 0
    while len(taken) < limit and looks < _MOST_LOOKS:
        due = _due(turn, kinds, max(limit - len(taken), 16))
        if not due:
            break
        looks += len(due)
        for identifier, kind, source, subject, _ in due:
            if len(taken) == limit:
                break
            first = identifier if subject is None else _choose(turn, identifier, (kind, source, subject))
            if first is not None:
                row = turn.db.execute(_TAKE, (owner, turn.now + lease_s, first)).fetchone()
                taken.append(_with_newest(turn, read_job(row)))
    return taken


def _due(turn: Turn, kinds: Sequence[str], most: int) -> list[tuple[int, str, str, str | None, float]]:
    found: list[tuple[int, str, str, str | None, float]] = []
    for kind in kinds:
        found += turn.db.execute(
            "SELECT id, kind, source, subject, run_at FROM fairlead_jobs INDEXED BY fairlead_jobs_due "
            "WHERE kind = ? AND state = 0 AND parked = 0 AND run_at <= ? ORDER BY run_at, id LIMIT ?",
            (kind, turn.now, most),
        )
    return sorted(found, key=lambda each: (each[4], each[0]))[:most]


def _choose(turn: Turn, identifier: int, subject: tuple[str, str, str]) -> int | None:
    """Return which of a subject is to begin now; park the one that was found where it is not that one.

    Something must be left that will lift what is parked: one that runs, or that is about to.
    """
    (state,) = turn.db.execute("SELECT state FROM fairlead_jobs WHERE id = ?", (identifier,)).fetchone()
    if state != JobState.WAITING:  # begun in this turn already, before others of its subject
        return None
    first = None
    if not _is_running(turn, subject):
        head = _head(turn, subject)
        first = head[0] if head else identifier
    if first != identifier:
        turn.db.execute("UPDATE fairlead_jobs SET parked = 1 WHERE id = ?", (identifier,))
    return first


def _is_running(turn: Turn, subject: tuple[Any, ...]) -> bool:
    sql = (
        "SELECT 1 FROM fairlead_jobs INDEXED BY fairlead_jobs_open "  # noqa: S608  # our own words
        f"WHERE {_OF_SUBJECT} AND state = 1 AND state < 2 LIMIT 1"
    )
    return turn.db.execute(sql, subject).fetchone() is not None


def _head(turn: Turn, subject: tuple[Any, ...]) -> tuple[int, int | None] | None:
    """Return the id and the position of what is due first of a subject: what is parked is due."""
    sql = (
        "SELECT id, position FROM fairlead_jobs INDEXED BY fairlead_jobs_open "  # noqa: S608
        f"WHERE {_OF_SUBJECT} AND state = 0 AND state < 2 AND parked = ? AND run_at <= ? ORDER BY position, id LIMIT 1"
    )
    heads = [row for parked in (0, 1) if (row := turn.db.execute(sql, (*subject, parked, turn.now)).fetchone())]
    return min(heads, key=lambda head: (head[1] is not None, head[1] or 0, head[0]), default=None)


def _with_newest(turn: Turn, job: Job) -> Job:
    if job.subject is None:
        return job
    sql = f"SELECT newest FROM fairlead_subjects WHERE {_OF_SUBJECT}"  # noqa: S608
    row = turn.db.execute(sql, (job.kind, job.source, job.subject)).fetchone()
    if row is None:
        return job
    fields = {name: getattr(job, name) for name in COLUMNS}
    return Job(**fields, newest=row[0])


def _take_back(turn: Turn, kind: str, most: int) -> None:
    """Let what a dead process left wait again, or set it aside where that happened too often."""
    lost = turn.db.execute(
        "SELECT id, kind, source, name, subject, crashes FROM fairlead_jobs INDEXED BY fairlead_jobs_lease "
        "WHERE kind = ? AND state = 1 AND lease_until <= ? ORDER BY lease_until LIMIT ?",
        (kind, turn.now, most),
    ).fetchall()
    for identifier, _, source, name, subject, crashes in lost:
        is_dead = crashes + 1 >= MOST_CRASHES
        turn.db.execute(
            "UPDATE fairlead_jobs SET crashes = crashes + 1, owner = NULL, lease_until = NULL, state = ?, error = ?, "
            "finished_at = ? WHERE id = ?",
            (
                int(JobState.DEAD if is_dead else JobState.WAITING),
                CRASHED if is_dead else None,
                turn.now if is_dead else None,
                identifier,
            ),
        )
        if is_dead:
            turn.count(kind, source, name, "dead")
            _lift(turn, (kind, source, subject))


def _lift(turn: Turn, subject: tuple[Any, ...]) -> None:
    """Let the first of a subject that is parked be found again."""
    if subject[2] is not None:
        turn.db.execute(
            "UPDATE fairlead_jobs SET parked = 0 WHERE id = (SELECT id FROM fairlead_jobs "  # noqa: S608
            f"INDEXED BY fairlead_jobs_open WHERE {_OF_SUBJECT} AND state = 0 AND state < 2 AND parked = 1 "
            "ORDER BY position, id LIMIT 1)",
            subject,
        )


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
    "UPDATE fairlead_jobs SET state = ?, result = ?, error = ?, run_at = coalesce(?, run_at), finished_at = ?, "  # noqa: S608
    "failures = failures + ?, mark = coalesce(?, mark), owner = NULL, lease_until = NULL "
    f"WHERE {_HELD} RETURNING kind, source, name, subject, position"
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
            ending.result,
            ending.error,
            None if state.is_over else ending.run_at,
            turn.now if state.is_over else None,
            int(ending.has_failed),
            ending.mark,
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
    _lift(turn, (kind, source, subject))
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
        _lift(turn, row)
    return bool(row)


def again(turn: Turn, query: Query, run_at: float) -> int:
    """Make what is over wait again."""
    found = [(run_at, identifier) for identifier in find_ids(turn.db, query, OVER)]
    turn.db.executemany(
        "UPDATE fairlead_jobs SET state = 0, run_at = ?, failures = 0, crashes = 0, error = NULL, finished_at = NULL, "
        "progress = 0 WHERE id = ?",
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
    for part in parts_of(query, _DIALECT, states):
        sql = (
            f"SELECT id FROM fairlead_jobs INDEXED BY fairlead_jobs_{part.index} "  # noqa: S608  # our own words
            f"WHERE {part.where} ORDER BY {_DIALECT.order} LIMIT ?"
        )
        found += [identifier for (identifier,) in db.execute(sql, (*part.values, query.limit))]
    return sorted(found, reverse=True)[: query.limit]


def check(turn: Turn) -> None:
    """Write something that is read by nobody."""
    turn.db.execute("INSERT OR REPLACE INTO fairlead_health (id, checked_at) VALUES (1, ?)", (turn.now,))
