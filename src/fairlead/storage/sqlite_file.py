"""A SQLite file: which library opens it, how it is opened, and what its errors mean.

One library everywhere in a process: two different ones on a file in WAL mode destroy it, for each drops the locks of
the other when it closes. And it must be new enough: up to 3.51.2, a file in WAL mode that several write to can be
corrupted (https://www.sqlite.org/wal.html#walresetbug).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairlead.errors import InvalidArgumentError, StorageError
from fairlead.storage.migrations import read_steps, steps_after

OLDEST_SQLITE = (3, 51, 3)
#: Not everywhere: where it is missing, whose turn it is falls to chance.
_FCNTL: Any = import_module("fcntl") if find_spec("fcntl") else None
# How often a lock is tried for.
_TRY_S = 0.001

_HINTS = {
    "SQLITE_FULL": ("There is no room left", "Make room on the disk; it goes on by itself."),
    "SQLITE_IOERR": ("The disk does not read or write", "Look at the disk and its room; it goes on by itself."),
    "SQLITE_READONLY": ("It cannot be written to", "Let this user write to the file and to its folder."),
    "SQLITE_PERM": ("It cannot be written to", "Let this user write to the file and to its folder."),
    "SQLITE_CANTOPEN": ("It cannot be opened", "Does its folder exist, and may this user write there?"),
    "SQLITE_BUSY": ("Another process kept it locked for too long", "Which program has it open?"),
    "SQLITE_LOCKED": ("Another process kept it locked for too long", "Which program has it open?"),
    "SQLITE_PROTOCOL": ("Another process kept it locked for too long", "Which program has it open?"),
    "SQLITE_CORRUPT": ("The file is damaged", "Keep a copy of it, and restore the last good one."),
    "SQLITE_NOTADB": ("It is no SQLite file", "Name another file, or move this one away."),
    "SQLITE_NOMEM": ("There is no memory left", "Give the process more."),
    "SQLITE_SCHEMA": ("Its tables have changed", "Is another version of Fairlead at work?"),
}


def load_sqlite() -> Any:
    """Return the module for SQLite; raise `StorageError` where there is none that is safe."""
    with suppress(ModuleNotFoundError):
        return import_module("pysqlite3.dbapi2")
    return check_version(import_module("sqlite3"))


def check_version(module: Any) -> Any:
    """Return the module, or raise `StorageError` where its library is too old to be safe."""
    if module.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise StorageError(
            f"Python's own SQLite is {module.sqlite_version}, and files are safe from {wanted} on.",
            hint="Run: pip install pysqlite3",
        )
    return module


class SqliteFile:
    """Opens connections to one file, and says what its errors mean.

    Another process may keep it locked for `locked_s` seconds; `options` are further pragmas.
    """

    def __init__(self, path: Path, *, locked_s: float, options: tuple[str, ...]) -> None:
        self.sqlite = load_sqlite()
        self.path = path
        #: Opened by the parent, and not closed before the fork: this process can do nothing with it.
        self.is_inherited = False
        self._locked_s = locked_s
        self._options = options
        self._pause = threading.Event()  # never set: something to wait on

    def open(self, *, writes: bool) -> Any:
        """Return a connection, with the tables of this version; raise what SQLite raises, or `StorageError`."""
        if self.is_inherited:
            raise StorageError(
                f"The file {self.path} was being written to when this process was forked.",
                hint="Fork before it is used, or while it rests.",
            )
        with self._doorway():  # only one at a time can make a file one with a WAL, and its tables
            connection = self.sqlite.connect(
                str(self.path),
                timeout=self._locked_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                for each in ("synchronous = FULL", "cache_size = -16000", "temp_store = MEMORY", *self._options):
                    connection.execute(f"PRAGMA {each}")
                self._migrate(connection)
                connection.execute("PRAGMA busy_timeout = 0" if writes else "PRAGMA query_only = ON")
            except BaseException:
                connection.close()
                raise
        return connection

    def _migrate(self, connection: Any) -> None:
        steps = read_steps("sqlite")
        known = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'fairlead_migrations'"

        def version() -> int:
            if not connection.execute(known).fetchone()[0]:
                return 0
            return int(connection.execute("SELECT coalesce(max(version), 0) FROM fairlead_migrations").fetchone()[0])

        if not steps_after(version(), steps, f"The file {self.path}"):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS fairlead_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL)"
            )
            for step in steps_after(version(), steps, f"The file {self.path}"):
                for statement in self._statements(step.sql):
                    connection.execute(statement)
                connection.execute("INSERT INTO fairlead_migrations VALUES (?, ?)", (step.number, step.name))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _statements(self, sql: str) -> Iterator[str]:
        """Yield one statement after the other, for a script as a whole would commit before it begins."""
        text = ""
        for line in sql.splitlines(keepends=True):
            text += line
            if self.sqlite.complete_statement(text):
                yield text
                text = ""

    def begin(self, connection: Any) -> None:
        """Begin a transaction that writes, one process after the other.

        A process that always has something to write would begin again before others notice that it has ended. So
        whoever wants to begin is first let into a doorway, where one waits for the lock, and leaves it with the lock.
        """
        with self._doorway() as tries:
            while not self._begin(connection):
                next(tries)

    def _begin(self, connection: Any) -> bool:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except self.sqlite.OperationalError as error:
            if _family(error) != "SQLITE_BUSY":
                raise
            return False
        return True

    @contextmanager
    def _doorway(self) -> Iterator[Iterator[None]]:
        tries = self._tries()
        if _FCNTL is None:
            yield tries
            return
        door = os.open(f"{self.path}-turn", os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            while True:
                try:
                    _FCNTL.flock(door, _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
                except BlockingIOError:
                    next(tries)
                else:
                    break
            yield tries
        finally:
            os.close(door)

    def _tries(self) -> Iterator[None]:
        for _ in range(int(self._locked_s / _TRY_S)):
            self._pause.wait(_TRY_S)
            yield
        raise self.explain_code("SQLITE_BUSY")

    def explain(self, error: BaseException) -> StorageError | None:
        """Return what an error says of the file; None where it is about the statement, or what was to be written."""
        if isinstance(error, StorageError):
            return StorageError(error.message, hint=error.hint)
        if isinstance(error, OSError):
            return StorageError(f"The file {self.path}: {error.strerror}.", hint="May this user write to its folder?")
        code = _family(error)
        return self.explain_code(code) if code in _HINTS else None

    def explain_code(self, code: str) -> StorageError:
        """Return the error for a code of SQLite."""
        what, hint = _HINTS[code]
        return StorageError(f"The file {self.path}: {what[0].lower()}{what[1:]}.", hint=hint)


def _family(error: BaseException) -> str:
    """Return the primary code of SQLite's error."""
    name = str(getattr(error, "sqlite_errorname", None) or "")
    return "_".join(name.split("_")[:2])


def refuse(error: BaseException) -> Exception:
    """Return the error for what SQLite cannot take: a value that is none of its own, a statement that fails."""
    if isinstance(error, InvalidArgumentError):
        return error
    return InvalidArgumentError(f"It cannot be written down: {error}.")


Now = Callable[[], float]
