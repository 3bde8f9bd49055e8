"""What is read of the store of jobs on SQLite, on a connection that cannot write and waits for no writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.errors import StorageError
from fairlead.storage.job_rows import COLUMNS, LONG_COLUMNS, STATES, read_job
from fairlead.storage.jobs import Job, Query, Reject, Tally
from fairlead.storage.lane import Task
from fairlead.storage.sqlite_file import SqliteFile, refuse
from fairlead.storage.sqlite_jobs import find_ids

_ALL = ", ".join(COLUMNS)
_SHORT = ", ".join("X''" if name in LONG_COLUMNS else name for name in COLUMNS)


class Reader:
    """Runs reads for a lane."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._db: Any = None

    def leave(self) -> None:
        """Close the file."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def forget(self) -> object:
        """Return the connection, and let go of it without closing: a child of a fork must not touch the parent's."""
        db, self._db = self._db, None
        return db

    def run(self, tasks: Sequence[Task]) -> None:
        """Do one after the other; where one finds something wrong with the file, it is opened anew for the next."""
        for task in tasks:
            try:
                if self._db is None:
                    self._db = self._file.open(writes=False)
                task.result = task.work(self._db)
            except Exception as error:  # noqa: BLE001  # whatever it is, who asked must hear of it
                task.error = self._file.explain(error) or refuse(error)
                if isinstance(task.error, StorageError):
                    self.leave()


def find(db: Any, identifier: int) -> Job | None:
    """Return one job, whole."""
    row = db.execute(f"SELECT {_ALL} FROM fairlead_jobs WHERE id = ?", (identifier,)).fetchone()  # noqa: S608
    return read_job(row) if row else None


def find_key(db: Any, kind: str, source: str, key: str) -> Job | None:
    """Return the job that has a key, whole."""
    sql = f"SELECT {_ALL} FROM fairlead_jobs WHERE kind = ? AND key = ? AND source = ?"  # noqa: S608  # our own words
    row = db.execute(sql, (kind, key, source)).fetchone()
    return read_job(row) if row else None


def list_jobs(db: Any, query: Query) -> list[Job]:
    """Return what fits, newest first."""
    sql = f"SELECT {_SHORT} FROM fairlead_jobs WHERE id = ?"  # noqa: S608  # our own words
    rows = [db.execute(sql, (identifier,)).fetchone() for identifier in find_ids(db, query, STATES)]
    return [read_job(row) for row in rows if row]


def first_due(db: Any, kinds: Sequence[str]) -> float | None:
    """Return when the first job is due, or its lease ends, in seconds since 1970."""
    times = []
    for kind in kinds:
        times += db.execute(
            "SELECT min(run_at) FROM fairlead_jobs INDEXED BY fairlead_jobs_due "
            "WHERE kind = ? AND state = 0 AND parked = 0",
            (kind,),
        ).fetchone()
        times += db.execute(
            "SELECT min(lease_until) FROM fairlead_jobs INDEXED BY fairlead_jobs_lease WHERE kind = ? AND state = 1",
            (kind,),
        ).fetchone()
    return min((time for time in times if time is not None), default=None)


def list_rejects(db: Any, since_hour: int, source: str | None) -> list[Reject]:
    """Return the counts, newest hour first."""
    rows = db.execute(
        "SELECT hour, source, reason, count, last_at, sample FROM fairlead_rejects "
        "WHERE hour >= ?1 AND (?2 IS NULL OR source = ?2) ORDER BY hour DESC, source, reason",
        (since_hour, source),
    )
    return [Reject(hour=h, source=s, reason=r, count=c, last_at=at, sample=text) for h, s, r, c, at, text in rows]


def tallies(db: Any, kind: str, since_hour: int, until_hour: int) -> list[Tally]:
    """Return the counts by hour."""
    rows = db.execute(
        "SELECT hour, kind, source, name, what, count FROM fairlead_tallies "
        "WHERE kind = ? AND hour >= ? AND hour < ? ORDER BY hour, source, name, what",
        (kind, since_hour, until_hour),
    )
    return [Tally(hour=h, kind=k, source=s, name=n, what=w, count=c) for h, k, s, n, w, c in rows]
