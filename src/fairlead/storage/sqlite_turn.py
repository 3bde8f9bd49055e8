"""One transaction of the store of jobs on SQLite: its connection, its time, and what is counted in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fairlead.storage.job_rows import hour_of

Tallies = Counter[tuple[str, int, str, str, str]]


class Turn:
    """One transaction: its connection, its time, and what is counted in it. `tallies` are written when it ends."""

    def __init__(self, connection: Any, now: float) -> None:
        self.db = connection
        self.now = now
        self.tallies: Tallies = Counter()

    def count(self, kind: str, source: str, name: str, what: str) -> None:
        """Count one."""
        self.tallies[kind, hour_of(self.now), source, name, what] += 1

    def count_all(self, what: str, whose: Iterable[tuple[str, str, str]]) -> None:
        """Count one for each kind, source and name."""
        for (kind, source, name), count in Counter(whose).items():
            self.tallies[kind, hour_of(self.now), source, name, what] += count

    def write_tallies(self) -> None:
        """Write down what was counted."""
        self.db.executemany(
            "INSERT INTO fairlead_tallies (kind, hour, source, name, what, count) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in sorted(self.tallies.items())],
        )
