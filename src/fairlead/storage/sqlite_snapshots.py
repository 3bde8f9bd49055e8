"""The statements of snapshots on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.storage.snapshots import Snapshot, Sought, read, statement, statement_of_one
from fairlead.storage.sqlite_turn import Turn

_PUT = (
    "INSERT INTO fairlead_snapshots AS s (kind, source, key, subject, position, due_at, body, changed_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET subject = excluded.subject, "
    "position = excluded.position, due_at = excluded.due_at, body = excluded.body, changed_at = excluded.changed_at "
    "WHERE excluded.position >= s.position"
)


def put(turn: Turn, snapshots: Sequence[Snapshot]) -> list[bool]:
    """Write them down; False for those of which something newer is there."""
    done = []
    for each in snapshots:
        values = (each.kind, each.source, each.key, each.subject, each.position, each.due_at, each.body, turn.now)
        done.append(turn.db.execute(_PUT, values).rowcount == 1)
    return done


def find(db: Any, kind: str, source: str, key: str) -> Snapshot | None:
    """Return one."""
    row = db.execute(statement_of_one("fairlead_snapshots"), (kind, source, key)).fetchone()
    return read(row) if row else None


def seek(db: Any, sought: Sought) -> list[Snapshot]:
    """Return what fits."""
    sql, values = statement(sought, "fairlead_snapshots")
    return [read(row) for row in db.execute(sql, values)]
