"""What things at vendors were like when they were last looked at: the newest look wins, whichever is written first."""

from __future__ import annotations

import msgspec


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One thing. `kind` is ours, `source` the connection, `key` the vendor's id, `subject` whose it is.

    `position` tells looks apart: one that is lower than what is there changes nothing. Times are in seconds since 1970.
    """

    kind: str
    source: str
    key: str
    subject: str = ""
    position: float
    #: When it should be looked at again.
    due_at: float | None = None
    body: bytes = b""
    #: When it was written: the store says.
    changed_at: float = 0.0


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Which snapshots of a kind: whose, or due by then, or written since then; one of the three."""

    kind: str
    subject: str | None = None
    due_by: float | None = None
    changed_since: float | None = None
    limit: int = 1000


#: In the order of the rows of every statement here.
COLUMNS = ("kind", "source", "key", "subject", "position", "due_at", "body", "changed_at")
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM"


def statement_of_one(table: str) -> str:
    """Return the statement that finds one by its kind, its source and its key, with `?` for them."""
    return f"{_SELECT} {table} WHERE kind = ? AND source = ? AND key = ?"


def statement(sought: Sought, table: str) -> tuple[str, list[object]]:
    """Return the statement that finds them, with `?` for its values."""
    begin = f"{_SELECT} {table} WHERE kind = ? AND "
    if sought.subject is not None:
        return f"{begin}subject = ? ORDER BY source, key LIMIT ?", [sought.kind, sought.subject, sought.limit]
    if sought.due_by is not None:
        return f"{begin}due_at <= ? ORDER BY due_at LIMIT ?", [sought.kind, sought.due_by, sought.limit]
    since = sought.changed_since or 0.0
    return f"{begin}changed_at >= ? ORDER BY changed_at LIMIT ?", [sought.kind, since, sought.limit]


def read(row: object) -> Snapshot:
    """Return the snapshot of a row of `COLUMNS`."""
    return Snapshot(**dict(zip(COLUMNS, row, strict=True)))  # type: ignore[call-overload]  # a row of either driver
