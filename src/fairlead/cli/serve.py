"""`fairlead serve`."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click
import msgspec
import uvicorn

from fairlead.cli.console import err, plain, print_json
from fairlead.cli.options import with_config, with_json
from fairlead.config.read import read_settings
from fairlead.config.sources import ProcessSources
from fairlead.errors import InvalidSettingError
from fairlead.gateway.app import build_app
from fairlead.gateway.reload import read_keys, reload_gateway
from fairlead.gateway.server import build_server
from fairlead.observe.events import EventStream
from fairlead.observe.logs import Logs
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports


@click.command("serve")
@click.option("--host", help="Listen here instead of gateway.host (127.0.0.1 unless set).")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen here instead of gateway.port; 0 takes a free one.")
@with_config
@with_json
def command(config: str, host: str | None, port: int | None, *, as_json: bool) -> None:
    """Run the gateway. It needs gateway.api_keys, and tells where it listens; events are logged as JSON lines.

    Ctrl-C and SIGTERM end it in good order: calls that are under way have ten seconds to finish. SIGHUP reads the
    configuration anew: no call is dropped, and a file with a mistake changes nothing.
    """
    settings = read_settings(config)
    keys = read_keys(settings, config, ProcessSources())
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
    gc.set_threshold(10_000, 20, 50)  # nor look after every few requests for circles, of which they leave none
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:  # which is uvloop's, where it is
        runner.run(_serve(server, listener, lambda: reload_gateway(fl, keys, config)))
    if not as_json:
        err.print("[dim]stopped[/]")
    sys.exit(0 if server.started else 1)


async def _serve(
    server: uvicorn.Server, listener: socket.socket, reload: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Serve, and read the configuration anew at SIGHUP, one time after the other."""
    wishes: asyncio.Queue[None] = asyncio.Queue()

    async def obey() -> None:
        while True:
            await wishes.get()
            await reload()

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wishes.put_nowait, None)
    obeying = asyncio.create_task(obey())
    try:
        await server.serve([listener])
    finally:
        obeying.cancel()


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
