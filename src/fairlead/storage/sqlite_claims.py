"""Claiming on SQLite, and the order within a subject.

A job that is due but must wait for another of its subject is *parked* when a claim comes across it, so that the next
claim does not: a subject with a hundred thousand jobs holds up nobody. Whoever ends a job lifts the next of its
subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.storage.job_rows import COLUMNS, CRASHED, read_job
from fairlead.storage.jobs import MOST_CRASHES, Job, JobState, wait_after
from fairlead.storage.sqlite_turn import Turn

# A claim looks at so many jobs that are due at most; where all of them had to be parked, the next claim goes on.
_MOST_LOOKS = 1000
_ALL = ", ".join(COLUMNS)
_OF_SUBJECT = "kind = ? AND source = ? AND subject = ?"
_TAKE = (
    "UPDATE fairlead_jobs SET state = 1, parked = 0, generation = generation + 1, owner = ?, lease_until = ? "  # noqa: S608
    f"WHERE id = ? RETURNING {_ALL}, "
    "(SELECT newest FROM fairlead_subjects AS s WHERE (s.kind, s.source, s.subject) = "
    "(fairlead_jobs.kind, fairlead_jobs.source, fairlead_jobs.subject))"
)
_DUE_OF_SUBJECT = (
    "SELECT id, position FROM fairlead_jobs INDEXED BY fairlead_jobs_open WHERE kind = ?1 AND source = ?2 "
    "AND subject = ?3 AND state = 0 AND state < 2 AND parked = {} AND run_at <= ?4 ORDER BY position, id LIMIT 1"
)
# What is parked is due; where there is no position, it comes first.
_HEAD = (
    f"SELECT id, position FROM (SELECT * FROM ({_DUE_OF_SUBJECT.format(0)}) UNION ALL "  # noqa: S608  # our own words
    f"SELECT * FROM ({_DUE_OF_SUBJECT.format(1)})) ORDER BY position, id LIMIT 1"
)


def claim(turn: Turn, kinds: Sequence[str], owner: str, lease_s: float, limit: int) -> list[Job]:
    """Take what is due, in the order in which it became due."""
    for kind in kinds:
        _take_back(turn, kind, limit)
    taken: dict[int, Job] = {}
    looks = 0
    while len(taken) < limit and looks < _MOST_LOOKS:
        due = _due(turn, kinds, max(limit - len(taken), 16))
        if not due:
            break
        looks += len(due)
        for identifier, kind, source, subject, _ in due:
            if len(taken) == limit:
                break
            if identifier in taken:  # before others of its subject
                continue
            first = identifier if subject is None else _choose(turn, identifier, (kind, source, subject))
            if first is not None:
                *row, newest = turn.db.execute(_TAKE, (owner, turn.now + lease_s, first)).fetchone()
                taken[first] = read_job(row, newest)
    return list(taken.values())


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
    first = None
    if not is_running(turn, subject):
        head = head_of(turn, subject)
        first = head[0] if head else identifier
    if first != identifier:
        turn.db.execute("UPDATE fairlead_jobs SET parked = 1 WHERE id = ?", (identifier,))
    return first


def is_running(turn: Turn, subject: tuple[Any, ...]) -> bool:
    """Whether one of a subject runs."""
    sql = (
        "SELECT 1 FROM fairlead_jobs INDEXED BY fairlead_jobs_open "  # noqa: S608  # our own words
        f"WHERE {_OF_SUBJECT} AND state = 1 AND state < 2 LIMIT 1"
    )
    return turn.db.execute(sql, subject).fetchone() is not None


def head_of(turn: Turn, subject: tuple[Any, ...]) -> tuple[int, int | None] | None:
    """Return the id and the position of what is due first of a subject."""
    head: tuple[int, int | None] | None = turn.db.execute(_HEAD, (*subject, turn.now)).fetchone()
    return head


def with_newest(turn: Turn, job: Job) -> Job:
    """Return the job with what is known of its subject."""
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
        is_dead, wait_s = crashes + 1 >= MOST_CRASHES, wait_after(crashes + 1)
        turn.db.execute(
            "UPDATE fairlead_jobs SET crashes = crashes + 1, owner = NULL, lease_until = NULL, state = ?, error = ?, "
            "finished_at = ?, run_at = max(run_at, ?) WHERE id = ?",
            (
                int(JobState.DEAD if is_dead else JobState.WAITING),
                CRASHED if is_dead else None,
                turn.now if is_dead else None,
                turn.now + wait_s if wait_s else 0.0,
                identifier,
            ),
        )
        if is_dead:
            turn.count(kind, source, name, "dead")
        if is_dead or wait_s:
            lift(turn, (kind, source, subject))


def lift(turn: Turn, subject: tuple[Any, ...]) -> None:
    """Let the first of a subject that is parked be found again."""
    if subject[2] is not None:
        turn.db.execute(
            "UPDATE fairlead_jobs SET parked = 0 WHERE id = (SELECT id FROM fairlead_jobs "  # noqa: S608
            f"INDEXED BY fairlead_jobs_open WHERE {_OF_SUBJECT} AND state = 0 AND state < 2 AND parked = 1 "
            "ORDER BY position, id LIMIT 1)",
            subject,
        )
