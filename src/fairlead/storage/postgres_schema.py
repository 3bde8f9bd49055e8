"""The tables of the store on PostgreSQL, brought to this version."""

from __future__ import annotations

from typing import Any

from fairlead.storage.migrations import read_steps, steps_after

# Asked of the catalogue itself: `to_regclass` answers from a cache that does not see what came while one waited.
_IS_THERE = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'migrations')"


async def migrate(connection: Any, schema: str, place: str) -> None:
    """Do the steps that are missing, all or none. Of processes that start together, one does and the others wait."""
    steps = read_steps("postgres")
    if not steps_after(await _version(connection, schema), steps, _named(schema, place)):
        return
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"fairlead {schema}")
        missing = steps_after(await _version(connection, schema), steps, _named(schema, place))
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS {schema}.migrations (version bigint PRIMARY KEY, name text NOT NULL)"
        )
        await connection.execute(f"SET LOCAL search_path = {schema}")
        for step in missing:
            await connection.execute(step.sql)
            await connection.execute("INSERT INTO migrations VALUES ($1, $2)", step.number, step.name)


def _named(schema: str, place: str) -> str:
    return f"The schema {schema} at {place}"


async def _version(connection: Any, schema: str) -> int:
    if not await connection.fetchval(_IS_THERE, schema):
        return 0
    version: int = await connection.fetchval(
        f"SELECT coalesce(max(version), 0) FROM {schema}.migrations"  # noqa: S608  # a plain name, as was checked
    )
    return version
