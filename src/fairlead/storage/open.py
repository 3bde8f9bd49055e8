"""Open the store of jobs that a setting names."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.model.ports import Clock
from fairlead.model.secret import Secret
from fairlead.storage.jobs import JobStore
from fairlead.storage.sqlite import SqliteJobs


def open_store(
    url: str, *, clock: Clock, password: Secret | None = None, now: Callable[[], float] | None = None
) -> JobStore:
    """Return the store; nothing is opened before its first call."""
    del password
    return SqliteJobs(url.removeprefix("sqlite:///"), clock=clock, now=now)
