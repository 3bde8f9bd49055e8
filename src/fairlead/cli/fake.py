"""`fairlead fake`."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
from typing import Any

import click
import msgspec

from fairlead.cli.console import err, out, plain, print_json
from fairlead.cli.options import completing, with_json
from fairlead.errors import InvalidSettingError
from fairlead.spec.provider import variable_name
from fairlead.testing.faults import Faults, parse_faults
from fairlead.testing.registry import fake_names, load_fake
from fairlead.testing.server import FakeServer

_FAULTS = f"Faults: {', '.join(Faults.__struct_fields__)}. Shares are from 0 to 1, times in seconds."


@click.command("fake", epilog=_FAULTS)
@click.argument("name", shell_complete=completing(fake_names))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Listen here instead of on a free port.")
@click.option("--faults", metavar="JSON", default="{}", help="What is wrong with it from the start.")
@with_json
def command(name: str, port: int, faults: str, *, as_json: bool) -> None:
    """Run a stand-in for the vendor NAME, on loopback, until Ctrl-C.

    It speaks the vendor's contract, with made-up content, and tells which credentials it accepts, how to lead a
    connection to it, and how to break and mend it while it runs. With --faults '{"error_share": 0.5}' it is half
    broken from the start.
    """
    fake = load_fake(name)(port=port, faults=parse_faults(faults))
    asyncio.run(serve(name, fake, port, as_json=as_json))


async def serve(name: str, fake: FakeServer, port: int, *, as_json: bool) -> None:
    """Serve until the process is asked to end."""
    is_asked_to_end = asyncio.Event()
    for how in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(how, is_asked_to_end.set)
    try:
        await fake.start()
    except OSError as error:
        raise InvalidSettingError(
            f"Cannot listen on 127.0.0.1, port {port}: {os.strerror(error.errno or 0)}.",
            hint="Choose another one with --port, or leave it out.",
        ) from None
    try:
        if as_json:
            print_json(document(name, fake))
        else:
            print_welcome(name, fake)
        await is_asked_to_end.wait()
    finally:
        await fake.stop()
    if not as_json:
        err.print("[dim]stopped[/]")


def document(name: str, fake: FakeServer) -> dict[str, Any]:
    """Return what a program needs to use it."""
    return {
        "name": name,
        "url": fake.url,
        "credentials": fake.CREDENTIALS,
        "connection": {"provider": name, **fake.connection},
        "faults": msgspec.to_builtins(fake.faults),
        "admin": {each: f"{fake.admin_url}/_fake/{each}" for each in ("faults", "books", "reset")},
    }


def print_welcome(name: str, fake: FakeServer) -> None:
    """Say where it is, how to reach it, and how to break and mend it."""
    admin = f"{fake.admin_url}/_fake"
    out.print(f"A stand-in for [bold]{plain(name)}[/] runs on [bold]{fake.url}[/].")
    for what, lines in (
        (
            f"Add to [connections.{name}] in fairlead.toml",
            [f"{key} = {json.dumps(value)}" for key, value in fake.connection.items()],
        ),
        (
            "It accepts",
            [f"export {variable_name(name, each)}={shlex.quote(value)}" for each, value in fake.CREDENTIALS.items()],
        ),
        ("Break it, from another terminal", [f"curl -X PUT {admin}/faults -d '{{\"error_share\": 1}}'"]),
        ("Mend it", [f"curl -X PUT {admin}/faults -d '{{}}'"]),
        ("See what it was asked and what it answered", [f"curl {admin}/books"]),
        ("Start anew, with no faults and empty books", [f"curl -X POST {admin}/reset"]),
    ):
        out.print(f"\n# {plain(what)}", style="dim", soft_wrap=True)
        for line in lines:
            out.print(line, markup=False, soft_wrap=True)
    err.print("\n[dim]Ctrl-C ends it.[/]")
