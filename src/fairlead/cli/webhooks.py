"""`fairlead webhooks`: what vendors sent of their own accord."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import reduce
from typing import TypeVar

import click

from fairlead.cli.console import err, new_table, out, plain, print_json
from fairlead.cli.options import Command, with_config, with_json
from fairlead.cli.serve import listen as open_listener
from fairlead.config.read import read_settings
from fairlead.config.settings import Settings
from fairlead.config.sources import ProcessSources
from fairlead.errors import InvalidArgumentError
from fairlead.gateway.app import build_inlet
from fairlead.gateway.server import build_server
from fairlead.observe.events import Event, EventStream, WebhookReceived, WebhookRejected
from fairlead.runtime.event_desk import EventDesk, EventRecord, open_desk
from fairlead.runtime.event_words import (
    FILTERS,
    PLACES,
    event_document,
    parse_filter,
    parse_hours,
    parse_id,
    parse_page,
)
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.runtime.watch import EventWatch, Sight, listening_settings

T = TypeVar("T")
# Nobody is asked about fewer.
_MANY = 10
_COUNTED = 1000


@click.group("webhooks")
def command() -> None:
    """See what vendors sent, have it handled again, and receive it while developing.

    The events are those of the store that the configuration names. It may be in use: the gateway, or the application,
    goes on, and handles what is replayed.
    """


def _with_words(words: Sequence[tuple[str, str]]) -> Callable[[Command], Command]:
    """Return what adds an option for each word, with its help."""
    options = [click.option(f"--{name}", help=f"{said[0].upper()}{said[1:]}.") for name, said in words]
    return lambda act: reduce(lambda inner, option: option(inner), reversed(options), act)


_with_filter = _with_words([*FILTERS.items()])
_with_hours = click.option("--hours", default="24", show_default=True, help="How far to look back.")


@command.command("list")
@_with_words([*FILTERS.items(), *PLACES.items()])
@with_config
@with_json
def list_events(config: str, *, as_json: bool, **words: str | None) -> None:
    """List events, newest first."""
    _list(config, words, as_json=as_json)


@command.command("dead")
@_with_words([(name, said) for name, said in {**FILTERS, **PLACES}.items() if name != "state"])
@with_config
@with_json
def list_dead(config: str, *, as_json: bool, **words: str | None) -> None:
    """List the events that were given up, and why."""
    _list(config, words | {"state": "dead"}, as_json=as_json)


@command.command("show")
@click.argument("identifier", metavar="ID")
@with_config
@with_json
def show_event(identifier: str, config: str, *, as_json: bool) -> None:
    """Show one event, with the headers and the body that came."""
    wanted = parse_id(identifier)
    record = _at_desk(config, lambda desk, _: desk.show(wanted))
    if record is None:
        raise _no_such_event(wanted)
    if as_json:
        print_json(event_document(record))
    else:
        _print_event(record)


@command.command("replay")
@click.argument("identifier", metavar="[ID]", required=False)
@_with_filter
@click.option("--yes", is_flag=True, help=f"Do not ask before more than {_MANY}.")
@with_config
@with_json
def replay(identifier: str | None, config: str, *, yes: bool, as_json: bool, **words: str | None) -> None:
    """Have events handled again that are over: the one with this ID, or all that fit."""
    if identifier is not None and _said(words):
        raise click.UsageError("Give an ID, or say which events, not both.")
    if identifier is None and not _said(words):
        raise click.UsageError("Give an ID, or say which events, as --state dead.")

    async def act(desk: EventDesk, now: float) -> int:
        if identifier is not None:
            wanted = parse_id(identifier)
            if await desk.show(wanted) is None:
                raise _no_such_event(wanted)
            return await desk.replay(wanted)
        asked = parse_filter(_said(words), now=now)
        if not yes:
            _ask(len(await desk.list(**asked, limit=_COUNTED + 1)), as_json=as_json)
        return await desk.replay(**asked)

    replayed = _at_desk(config, act)
    if as_json:
        print_json({"replayed": replayed})
    else:
        out.print(f"{replayed} {'event' if replayed == 1 else 'events'} will be handled again.")


@command.command("rejects")
@click.option("--connection", help="Whose they claimed to be.")
@_with_hours
@with_config
@with_json
def list_rejects(connection: str | None, hours: str, config: str, *, as_json: bool) -> None:
    """Show what was turned away, by hour and reason."""
    wanted = parse_hours(hours)
    found = _at_desk(config, lambda desk, _: desk.rejects(hours=wanted, connection=connection))
    if as_json:
        print_json({"items": found})
        return
    table = new_table("hour", "connection", "reason", "count", "last", numbers=("count",))
    for each in found:
        last = f"{_time(each.last_at)}, {each.sample}" if each.sample else _time(each.last_at)
        table.add_row(_time(each.hour * 3600), plain(each.source), plain(each.reason), str(each.count), plain(last))
    out.print(table if found else "Nothing was turned away.")


@command.command("listen")
@click.option("--connection", help="Receive for this connection only.")
@click.option("--forward", metavar="URL", help="Hand every event to an application, as http://127.0.0.1:8000/hooks.")
@click.option("--secret", metavar="REF", help="With --forward: env:NAME of the secret that signs it (whsec_...).")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="0 takes a free one.")
@with_config
@with_json
def listen(
    connection: str | None, forward: str | None, secret: str | None, port: int, config: str, *, as_json: bool
) -> None:
    """Receive webhooks on this machine, and see each event as it comes, and what becomes of it, until Ctrl-C.

    Deliveries are verified and kept as the gateway does. Events are handed to --forward, or else where the
    configuration forwards them; without either, they wait for the application that shares the store. With --json each
    thing that happens is one JSON document on a line of its own.
    """
    if secret is not None and forward is None:
        raise click.UsageError("--secret is for --forward.")
    settings = listening_settings(read_settings(config), connection=connection, forward=forward, secret=secret)
    listener = open_listener("127.0.0.1", port)
    asyncio.run(_listen(settings, config, listener, connection, as_json=as_json))


async def _listen(settings: Settings, config: str, listener: socket.socket, only: str | None, *, as_json: bool) -> None:
    """Serve until the process is asked to end, and tell what happens meanwhile."""
    show = _print_as_json if as_json else _print_for_people
    ports = Ports()
    async with open_desk(settings, source=config, sources=ProcessSources(), ports=ports) as desk:
        watch = EventWatch(desk, ports.clock, connection=only)

        def note(event: Event) -> None:
            watch.note(event)
            if isinstance(event, WebhookRejected) or (isinstance(event, WebhookReceived) and event.repeated):
                show(event)

        fl = Fairlead(settings, source=config, ports=Ports(events=EventStream((note,))))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        places = {name: f"{url}/webhooks/{name}" for name in fl.connections if fl.connection(name).provider.webhooks}
        await desk.list(limit=1)  # or an error, before anything is received
        if as_json:
            print_json({"url": url, "connections": places})
        else:
            for name, place in places.items():
                err.print(f"[bold green]Fairlead[/] receives for [bold]{plain(name)}[/] at [bold]{plain(place)}[/]")
            err.print("[dim]Ctrl-C ends it[/]")

        async def tell() -> None:
            async for sight in watch.sights():
                show(sight)

        server = build_server(build_inlet(fl))
        telling = asyncio.create_task(tell())
        telling.add_done_callback(lambda _: server.handle_exit(signal.SIGTERM, None))  # where the store is lost
        try:
            await server.serve([listener])
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
    if not as_json:
        err.print("[dim]stopped[/]")


def _print_for_people(seen: Sight | Event) -> None:
    match seen:
        case WebhookRejected(connection=connection, reason=reason):
            out.print(f"[red]refused[/]   {plain(connection or 'nobody')}  {plain(reason)}")
        case WebhookReceived(connection=connection, repeated=repeated):
            out.print(f"[dim]repeated[/]  {plain(connection)}  {repeated} known already")
        case Sight(event=event, is_new=True):
            meaning = f" ({event.neutral.type})" if event.neutral else ""
            told = f"{event.connection}  {event.type}{meaning}  {event.key}"
            out.print(f"[bold]came[/]      {event.id}  {plain(told)}")
        case Sight(event=event, is_late=is_late):
            out.print(f"{_become(event)}  {event.id}  {plain(event.error or '')}{'late' * is_late}".rstrip())
    sys.stdout.flush()


def _become(event: EventRecord) -> str:
    words = {"done": "[green]handled[/] ", "dead": "[red]dead[/]    ", "cancelled": "cancelled"}
    return words.get(event.state, "[yellow]failed[/]  " if event.failures else "[dim]waits[/]   ")


def _print_as_json(seen: Sight | Event) -> None:
    match seen:
        case WebhookRejected(connection=connection, reason=reason):
            print_json({"what": "refused", "connection": connection, "reason": reason})
        case WebhookReceived(connection=connection, repeated=repeated):
            print_json({"what": "repeated", "connection": connection, "count": repeated})
        case Sight(event=event, is_new=is_new, is_late=is_late):
            what = "came" if is_new else "ended"
            print_json({"what": what, "is_late": is_late, "event": event_document(event)})


def _list(config: str, words: dict[str, str | None], *, as_json: bool) -> None:
    """List what fits."""
    found = _at_desk(config, lambda desk, now: desk.list(**parse_page(_said(words), now=now)))
    if as_json:
        print_json({"items": [event_document(each) for each in found]})
        return
    table = new_table("id", "received", "connection", "type", "subject", "state", "failures", "error",
                      numbers=("id", "failures"))  # fmt: skip
    for each in found:
        row = (each.connection, each.type, each.subject or "", each.state, str(each.failures or ""), each.error or "")
        table.add_row(str(each.id), _time(each.received_at), *map(plain, row))
    out.print(table if found else "There are no such events.")


def _print_event(record: EventRecord) -> None:
    """Print all of one event; a body of JSON is indented."""
    table = new_table("", "")
    table.show_header = False
    facts = {
        "id": str(record.id),
        "connection": record.connection,
        "type": record.type,
        "means": record.neutral.type if record.neutral else None,
        "key": record.key,
        "subject": record.subject,
        "state": record.state,
        "received": _time(record.received_at),
        "finished": _time(record.finished_at),
        "next": _time(record.next_at),
        "failures": str(record.failures or ""),
        "error": record.error,
        "handled by": ", ".join(record.handled_by),
    }
    for name, said in facts.items():
        if said:
            table.add_row(f"[dim]{name}[/]", plain(said))
    out.print(table)
    out.print()
    for name, value in record.headers or ():
        out.print(f"[dim]{plain(name)}:[/] {plain(value)}", soft_wrap=True)
    text = (record.body or b"").decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):  # then it is shown as it is
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    out.print()
    for line in text.splitlines():
        out.print(plain(line), soft_wrap=True)


def _at_desk(config: str, act: Callable[[EventDesk, float], Awaitable[T]]) -> T:
    """Open the store that the configuration names, and do something there. `act` is also given the time."""

    async def run() -> T:
        ports = Ports()
        async with open_desk(read_settings(config), source=config, sources=ProcessSources(), ports=ports) as desk:
            return await act(desk, ports.clock.wall())

    return asyncio.run(run())


def _ask(count: int, *, as_json: bool) -> None:
    """Have it confirmed that many are meant."""
    if count <= _MANY:
        return
    told = f"more than {_COUNTED}" if count > _COUNTED else f"up to {count}"
    if as_json:
        raise click.UsageError(f"These are {told} events. Add --yes.")
    click.confirm(f"Have {told} events handled again?", abort=True, err=True)


def _said(words: dict[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in words.items() if text is not None}


def _no_such_event(identifier: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"No event has the id {identifier}.", hint="`fairlead webhooks list` shows those there are."
    )


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
