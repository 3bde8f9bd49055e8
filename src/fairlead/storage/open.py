"""Which store keeps the jobs, by its address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from fairlead.errors import InvalidSettingError
from fairlead.model.ports import Clock, Ids
from fairlead.model.secret import Secret
from fairlead.storage.jobs import JobStore
from fairlead.storage.postgres import PostgresJobs
from fairlead.storage.postgres_link import parse_url
from fairlead.storage.sqlite import SqliteJobs


def open_store(
    address: str | Path,
    *,
    clock: Clock,
    ids: Ids,
    password: Secret | None = None,
    schema: str | None = None,
    now: Callable[[], float] | None = None,
) -> JobStore:
    """Return the store at a path, at `sqlite:///path`, or at `postgresql://user@host:port/db`; nothing is opened yet.

    `password` and `schema` are PostgreSQL's. Raises `InvalidSettingError`, which never shows the address, and
    `StorageError` where there is no SQLite that is safe.
    """
    if isinstance(address, Path) or "://" not in address:
        return SqliteJobs(address, clock=clock, now=now)
    scheme, _, rest = address.partition("://")
    if scheme in {"postgresql", "postgres"}:
        return PostgresJobs(parse_url(address, password=password, schema=schema), clock=clock, ids=ids, now=now)
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteJobs(unquote(rest[1:]), clock=clock, now=now)
    raise InvalidSettingError(
        "The store's address is none of SQLite or PostgreSQL.",
        hint="Write a path, sqlite:///jobs.db, or postgresql://user@host:5432/database.",
    )
