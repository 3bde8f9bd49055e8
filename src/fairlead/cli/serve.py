"""`fairlead serve`."""

from __future__ import annotations

import gc
import socket
import sys

import click
import msgspec

from fairlead.cli.console import err, plain, print_json
from fairlead.cli.options import with_config, with_json
from fairlead.config.read import read_settings
from fairlead.config.sources import ProcessSources
from fairlead.errors import InvalidSettingError
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.observe.events import EventStream
from fairlead.observe.logs import Logs
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.vault.references import resolve


@click.command("serve")
@click.option("--host", help="Listen here instead of gateway.host (127.0.0.1 unless set).")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen here instead of gateway.port; 0 takes a free one.")
@with_config
@with_json
def command(config: str, host: str | None, port: int | None, *, as_json: bool) -> None:
    """Run the gateway. It needs gateway.api_keys, and tells where it listens; events are logged as JSON lines.

    Ctrl-C and SIGTERM end it in good order: calls that are under way have ten seconds to finish.
    """
    settings = read_settings(config)
    if not settings.gateway.api_keys:
        raise InvalidSettingError(
            f"{config}: gateway.api_keys is empty, and the gateway serves nobody without a key.",
            hint='Add [gateway] api_keys = ["env:FAIRLEAD_KEY"], and set that variable.',
        )
    sources = ProcessSources()
    keys = [resolve(reference, sources, where=f"{config}: gateway.api_keys") for reference in settings.gateway.api_keys]
    metrics = Metrics()
    fl = Fairlead(settings, source=config, ports=Ports(events=EventStream((metrics, Logs()))))
    place = msgspec.structs.replace(
        settings.gateway, host=host or settings.gateway.host, port=settings.gateway.port if port is None else port
    )
    listener = listen(place.host, place.port)
    url = f"http://{f'[{place.host}]' if ':' in place.host else place.host}:{listener.getsockname()[1]}"
    if as_json:
        print_json({"url": url, "connections": list(fl.connections), "routes": list(fl.routes)})
    else:
        err.print(f"[bold green]Fairlead[/] serves on [bold]{plain(url)}[/]  [dim]Ctrl-C ends it[/]")
    server = build_server(build_app(fl, metrics, keys=keys))
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not go through it again and again
    server.run([listener])
    if not as_json:
        err.print("[dim]stopped[/]")
    sys.exit(0 if server.started else 1)


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; raise `InvalidSettingError` where the place is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a name, as `a..b`
        reason = (getattr(error, "strerror", None) or "not a host name").partition(" (while")[0]
        raise InvalidSettingError(
            f"Cannot listen on {host}, port {port}: {reason}.", hint="Choose another place with --host or --port."
        ) from None
    # What it accepts inherits this. Without it, head and body of an answer wait 40 ms for each other: asyncio sets it
    # only on sockets that name their protocol, and these do not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
