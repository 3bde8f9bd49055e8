"""`fairlead email`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from fairlead.cli.console import new_table, out, plain, print_json
from fairlead.cli.options import with_config, with_json
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.suppressions import REASONS, Suppressions, describe


@click.group("email")
def command() -> None:
    """Look after what concerns email: who may not be written to."""


@command.group("suppressions")
def suppressions() -> None:
    """Addresses that no mail may go to, whichever vendor said so."""


with_tenant = click.option("--tenant", help="Its own list, in place of the one for all.")


@suppressions.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@with_tenant
@with_config
@with_json
def show(config: str, limit: int, tenant: str | None, *, as_json: bool) -> None:
    """List them, newest first."""

    async def read(them: Suppressions) -> list[Any]:
        rows = await them.list(tenant=tenant, limit=limit)
        return [describe(row) for row in rows]

    found = _with(config, read)
    if as_json:
        print_json(found)
        return
    table = new_table("address", "reason")
    for each in found:
        table.add_row(plain(each.email), each.reason)
    out.print(table)


@suppressions.command("add")
@click.argument("email")
@click.option("--reason", type=click.Choice(REASONS), default="by_hand", show_default=True, help="Why.")
@with_tenant
@with_config
def add(config: str, email: str, reason: str, tenant: str | None) -> None:
    """Put an address on the list."""
    is_new = _with(config, lambda them: them.add(email, reason=reason, tenant=tenant))
    out.print("on the list now" if is_new else "on the list already")


@suppressions.command("remove")
@click.argument("email")
@with_tenant
@with_config
def remove(config: str, email: str, tenant: str | None) -> None:
    """Take an address off the list, until it bounces or complains again."""
    was_there = _with(config, lambda them: them.remove(email, tenant=tenant))
    out.print("off the list now" if was_there else "not on the list")


@suppressions.command("export")
@with_tenant
@with_config
def export(config: str, tenant: str | None) -> None:
    """Print the whole list as CSV."""
    click.echo(_with(config, lambda them: them.export(tenant=tenant)), nl=False)


@suppressions.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_tenant
@with_config
def load(config: str, file: Path, tenant: str | None) -> None:
    """Put the addresses of a CSV file on the list: its columns `email` and `reason`."""
    count = _with(config, lambda them: them.load(file.read_text(encoding="utf-8"), tenant=tenant))
    out.print(f"{count} are new")


def _with(config: str, act: Callable[[Suppressions], Awaitable[Any]]) -> Any:
    """Do something with the list of a configuration."""

    async def run() -> Any:
        fl = Fairlead.from_config(config)
        try:  # not entered: it only looks, and does nothing that is due
            return await act(fl.suppressions)
        finally:
            await fl.close()

    return asyncio.run(run())
