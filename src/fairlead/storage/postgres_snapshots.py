"""The statements of snapshots on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.storage.postgres_reads import numbered
from fairlead.storage.postgres_turn import Turn, columns_of
from fairlead.storage.snapshots import Snapshot, Sought, read, statement, statement_of_one

_PUT = """
INSERT INTO {s}.snapshots AS s (kind, source, key, subject, position, due_at, body, changed_at)
SELECT u.*, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::bytea[])
    AS u (kind, source, key, subject, position, due_at, body) ORDER BY kind, source, key
ON CONFLICT (kind, source, key) DO UPDATE SET subject = excluded.subject, position = excluded.position,
    due_at = excluded.due_at, body = excluded.body, changed_at = excluded.changed_at
WHERE excluded.position >= s.position
RETURNING kind, source, key
"""


async def put(turn: Turn, snapshots: Sequence[Snapshot]) -> list[bool]:
    """Write them down; False for those of which something newer is there."""
    newest: dict[tuple[str, str, str], Snapshot] = {}
    for each in snapshots:  # one statement may not touch a row twice
        before = newest.get((each.kind, each.source, each.key))
        if before is None or each.position >= before.position:
            newest[each.kind, each.source, each.key] = each
    rows = [(e.kind, e.source, e.key, e.subject, e.position, e.due_at, e.body) for e in newest.values()]
    written = {tuple(row) for row in await turn.fetch(_PUT, *columns_of(rows, 7), turn.now)}
    return [
        newest[key] is each and key in written for each in snapshots for key in [(each.kind, each.source, each.key)]
    ]


async def find(db: Any, schema: str, kind: str, source: str, key: str) -> Snapshot | None:
    """Return one."""
    rows = await db.fetch(numbered(statement_of_one(f"{schema}.snapshots")), kind, source, key)
    return read(rows[0]) if rows else None


async def seek(db: Any, schema: str, sought: Sought) -> list[Snapshot]:
    """Return what fits."""
    sql, values = statement(sought, f"{schema}.snapshots")
    return [read(row) for row in await db.fetch(numbered(sql), *values)]
