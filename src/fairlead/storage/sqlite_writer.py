"""The one writer of a SQLite file in a process: what came together is one transaction.

It lets go of the file whenever something is wrong with it, and opens it anew for whoever asks next: so it is well again
as soon as the file is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from fairlead.errors import StorageError
from fairlead.storage import sqlite_jobs
from fairlead.storage.jobs import NewJob
from fairlead.storage.lane import Task
from fairlead.storage.sqlite_file import Now, SqliteFile, refuse
from fairlead.storage.sqlite_turn import Tallies, Turn


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
                with self._file.turn(self._db):
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
        turn = Turn(self._db, self._now())
        tallies: Tallies = Counter()
        adds = [task for task in tasks if task.work.jobs is not None]
        merged = [new for task in adds for new in task.work.jobs]
        if len(adds) > 1 and (added := self._try(turn, tallies, partial(sqlite_jobs.add, turn, merged))) is not None:
            start = 0
            for task in adds:
                task.result = added[start : start + len(task.work.jobs)]
                start += len(task.work.jobs)
            adds = []
        for task in adds:
            self._do(turn, tallies, task, partial(sqlite_jobs.add, turn, task.work.jobs))
        for task in tasks:
            if task.work.work is not None:
                self._do(turn, tallies, task, partial(task.work.work, turn))
        turn.write_tallies(tallies)
        self._db.execute("COMMIT")

    def _try(self, turn: Turn, tallies: Tallies, work: Callable[[], Any]) -> Any:
        """Do something within a savepoint; None where it cannot be done, and nothing is left of it."""
        try:
            return self._save(turn, tallies, work)
        except Exception as error:  # what a caller gave may be wrong in any way
            if not self._is_its_own(error):
                raise
            return None

    def _do(self, turn: Turn, tallies: Tallies, task: Task, work: Callable[[], Any]) -> None:
        try:
            task.result = self._save(turn, tallies, work)
        except Exception as error:  # what a caller gave may be wrong in any way
            if not self._is_its_own(error):
                raise
            task.error = refuse(error)

    def _save(self, turn: Turn, tallies: Tallies, work: Callable[[], Any]) -> Any:
        self._db.execute("SAVEPOINT one")
        turn.tallies = Counter()
        try:
            result = work()
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO one")
                self._db.execute("RELEASE one")
            raise
        self._db.execute("RELEASE one")
        if turn.tallies:
            tallies.update(turn.tallies)
        return result

    def _is_its_own(self, error: Exception) -> bool:
        """Whether the fault is in what was to be written, so that the others can be: the transaction still stands."""
        return self._file.explain(error) is None and self._db.in_transaction
