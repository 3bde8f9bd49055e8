"""The one writer of a SQLite file in a process: what came together is one transaction.

It lets go of the file whenever something is wrong with it, and opens it anew for whoever asks next: so it is well again
as soon as the file is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from fairlead.errors import StorageError
from fairlead.storage import sqlite_jobs
from fairlead.storage.jobs import NewJob
from fairlead.storage.lane import Task
from fairlead.storage.sqlite_file import Now, SqliteFile, refuse
from fairlead.storage.sqlite_turn import Turn


class Write:
    """What is to be written: jobs to be added, some other work, or nothing but a look whether others have written."""

    __slots__ = ("is_look", "jobs", "work")

    def __init__(
        self,
        *,
        jobs: Sequence[NewJob] | None = None,
        work: Callable[[Turn], Any] | None = None,
        is_look: bool = False,
    ) -> None:
        self.jobs = jobs
        self.work = work
        self.is_look = is_look


class Writer:
    """Runs writes for a lane."""

    def __init__(self, file: SqliteFile, now: Now) -> None:
        self._file = file
        self._now = now
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
        """Do all of them, commit once, and say what came of each."""
        try:
            if self._db is None:
                self._db = self._file.open(writes=True)
            for task in tasks:
                if task.work.is_look:
                    (task.result,) = self._db.execute("PRAGMA data_version").fetchone()
            writes = [task for task in tasks if not task.work.is_look]
            if writes:
                self._write(writes)
        except Exception as error:  # noqa: BLE001  # whatever it is: nothing was written, and all must hear of it
            self._give_up(tasks, error)

    def _give_up(self, tasks: Sequence[Task], error: Exception) -> None:
        with suppress(self._file.sqlite.Error):
            self.leave()  # which rolls back
        for task in tasks:
            task.result = None
            task.error = self._file.explain(error) or StorageError(f"The file {self._file.path}: {error}.")

    def _write(self, tasks: Sequence[Task]) -> None:
        """Do all of them in one go; where one cannot be done, begin again, each for itself."""
        turn = self._begin()
        try:
            _do_all(turn, tasks)
        except Exception as error:  # what a caller gave may be wrong in any way
            if not self._is_its_own(error):
                raise
            self._db.execute("ROLLBACK")
            turn = self._begin()
            for task in tasks:
                self._do(turn, task)
        turn.write_tallies()
        self._db.execute("COMMIT")

    def _begin(self) -> Turn:
        self._file.begin(self._db)
        return Turn(self._db, self._now())

    def _do(self, turn: Turn, task: Task) -> None:
        """Do one within a savepoint, so that nothing is left of it where it cannot be done."""
        self._db.execute("SAVEPOINT one")
        before = turn.tallies.copy()
        try:
            _do_all(turn, [task])
        except Exception as error:  # what a caller gave may be wrong in any way
            if not self._is_its_own(error):
                raise
            self._db.execute("ROLLBACK TO one")
            turn.tallies = before
            task.error = refuse(error)
        self._db.execute("RELEASE one")

    def _is_its_own(self, error: Exception) -> bool:
        """Whether the fault is in what was to be written, so that the others can be: the transaction still stands."""
        return self._file.explain(error) is None and self._db.in_transaction


def _do_all(turn: Turn, tasks: Sequence[Task]) -> None:
    """Do all of them; what is to be added is merged."""
    adds = [task for task in tasks if task.work.jobs is not None]
    added = iter(sqlite_jobs.add(turn, [new for task in adds for new in task.work.jobs]) if adds else ())
    for task in adds:
        task.result = list(islice(added, len(task.work.jobs)))
    for task in tasks:
        if task.work.work is not None:
            task.result = task.work.work(turn)
