"""`fairlead calls`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

from fairlead.cli.console import err, new_table, out, plain, print_json
from fairlead.cli.options import with_config, with_json
from fairlead.model.outcome import Outcome
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.later import BackgroundCall
from fairlead.storage.jobs import JobState

T = TypeVar("T")


@click.group("calls")
def command() -> None:
    """Look at the calls that are kept, in the background or with an idempotency key, and decide on them."""


@command.command("list")
@click.option("--state", type=click.Choice([each.name.lower() for each in JobState]), help="Only these.")
@click.option("--operation", help="Only this one, as http.post.")
@click.option("--tenant", help="Only this one's.")
@click.option("--before", help="Those before the call with this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@with_config
@with_json
def list_calls(config: str, *, state: str | None, as_json: bool, **wanted: Any) -> None:
    """List the newest calls."""
    chosen = JobState[state.upper()] if state else None
    found = _ask(config, lambda fl: fl.calls.list(state=chosen, **wanted))
    if as_json:
        print_json({"calls": found})
        return
    _print(found)


@command.command("show")
@click.argument("call_id", metavar="ID")
@with_config
@with_json
def show(call_id: str, config: str, *, as_json: bool) -> None:
    """Show how a call stands."""
    found = _ask(config, lambda fl: fl.calls.get(call_id))
    if as_json:
        print_json(found)
        return
    table = new_table("", "")
    table.show_header = False
    for name, value in msgspec.structs.asdict(found).items():
        if value is not None:
            table.add_row(f"[dim]{name}[/]", plain(_time(value) if name.endswith("_at") else str(value)))
    out.print(table)


@command.command("cancel")
@click.argument("call_id", metavar="ID")
@with_config
@with_json
def cancel(call_id: str, config: str, *, as_json: bool) -> None:
    """Cancel a call that is not over."""
    _tell(_ask(config, lambda fl: fl.calls.cancel(call_id)), "cancelled", "It is over already.", as_json=as_json)


@command.command("retry")
@click.argument("call_id", metavar="ID")
@with_config
@with_json
def retry(call_id: str, config: str, *, as_json: bool) -> None:
    """Try a call again that was given up or cancelled; what may have been done is looked for, and not sent again."""
    _tell(_ask(config, lambda fl: fl.calls.retry(call_id)), "retried", "It was not given up.", as_json=as_json)


@command.command("settle")
@click.argument("call_id", metavar="ID")
@click.argument("outcome", type=click.Choice([Outcome.DONE.value, Outcome.NOT_DONE.value]))
@click.option("--evidence", required=True, help="How that is known.")
@with_config
@with_json
def settle(call_id: str, outcome: str, evidence: str, config: str, *, as_json: bool) -> None:
    """Say what became of a call whose outcome is unknown."""
    said = _ask(config, lambda fl: fl.calls.settle(call_id, Outcome(outcome), evidence=evidence))
    _tell(said, "settled", "It is not in doubt.", as_json=as_json)


def _ask(config: str, ask: Callable[[Fairlead], Awaitable[T]]) -> T:
    """Ask the store of a configuration; this process works off nothing."""

    async def asked() -> T:
        fl = Fairlead.from_config(config)
        fl.desk.wake = lambda: None
        try:
            return await ask(fl)
        finally:
            await fl.close()

    return asyncio.run(asked())


def _tell(has_changed: bool, what: str, why_not: str, *, as_json: bool) -> None:  # an answer, not a switch
    if as_json:
        print_json({what: has_changed})
    elif has_changed:
        out.print(what)
    else:
        err.print(why_not)
    if not has_changed:
        raise SystemExit(1)


def _print(calls: Sequence[BackgroundCall[Any]]) -> None:
    table = new_table("id", "operation", "state", "outcome", "accepted", "failures", "error")
    for each in calls:
        table.add_row(
            each.id, plain(each.operation), each.state, each.outcome or ("in doubt" if each.is_in_doubt else ""),
            _time(each.created_at), str(each.failures or ""), plain(each.error or ""),
        )  # fmt: skip
    out.print(table)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
