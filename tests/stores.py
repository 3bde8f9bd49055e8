"""A store of jobs that can be made to fail, and that remembers what it was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from fairlead.errors import StorageError
from fairlead.runtime.packing import unpack
from fairlead.runtime.rows import Mark
from fairlead.storage.sqlite import SqliteJobs
from fairlead.testing.clock import FakeClock

_METHODS = ("add", "claim", "renew", "mark", "report", "finish", "find", "find_key", "list", "cancel", "again")


def file_store(path: Path, clock: FakeClock) -> SqliteJobs:
    return SqliteJobs(path, clock=clock)


class Marked(NamedTuple):
    """One mark that is on disk."""

    done: Mark


class Marking:
    """A store around another. `refuses` are the methods that fail; `before` is awaited before, `after` after it."""

    def __init__(self, inner: SqliteJobs) -> None:
        self.inner: Any = inner
        self.refuses: set[str] = set()
        self.before: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.asked: Counter[str] = Counter()
        self.marks: list[bytes] = []

    @property
    def marked(self) -> list[Marked]:
        return [Marked(unpack(each, Mark)) for each in self.marks]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in _METHODS:
            return method

        async def ask(*arguments: Any, **more: Any) -> Any:
            self.asked[name] += 1
            if name in self.before:
                await self.before[name](arguments[0])
            if name in self.refuses:
                raise StorageError("The store is full.")
            result = await method(*arguments, **more)
            if name == "mark":
                self.marks.append(arguments[1])
            if name in self.after:
                self.after[name]()
            return result

        return ask
