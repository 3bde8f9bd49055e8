"""The server under the gateway: uvicorn, for sockets, signals and an end in good order, with connections of our own.

What is for the proxy, and what vendors send, goes straight there; all else through ASGI.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from fairlead.config.gateway import Gateway as Bounds
from fairlead.gateway.app import Gateway, Inlet
from fairlead.gateway.asgi import Asgi
from fairlead.gateway.caller import CallerLine
from fairlead.gateway.exchange import Exchange, Handler
from fairlead.gateway.lane import PREFIX
from fairlead.gateway.webhooks import PREFIX as WEBHOOKS


def build_server(app: ASGIApp, *, handles_signals: bool = True) -> uvicorn.Server:
    """Return a server that is ready to `serve([socket])`.

    It ends in good order on SIGINT and SIGTERM, unless whoever started it sees to signals.
    """
    config = uvicorn.Config(
        app,
        http=cast("Any", _connections(app)),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        ws="none",
        proxy_headers=False,
    )
    return _Server(config) if handles_signals else _Tenant(config)


def _connections(app: ASGIApp) -> Callable[..., CallerLine]:
    """Return what uvicorn calls for each connection. New settings count for those that come after them."""

    def connect(config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], **_: Any) -> CallerLine:
        handle: Handler = Asgi(config.loaded_app, app_state)
        if not isinstance(app, Inlet):
            return CallerLine(handle, Bounds(), server_state)
        return CallerLine(_leading(app, handle), app.state.fairlead.settings.gateway, server_state)

    return connect


def _leading(app: Inlet, others: Handler) -> Handler:
    """Return the handler that leads a request to the proxy, to the webhooks, or to the others."""
    proxied, sent = PREFIX.encode(), WEBHOOKS.encode()
    proxy, webhooks = app.proxy if isinstance(app, Gateway) else others, app.webhooks

    def lead(exchange: Exchange) -> Awaitable[None]:
        if exchange.path.startswith(proxied):
            return proxy(exchange)
        return webhooks(exchange) if exchange.path.startswith(sent) else others(exchange)

    return lead


class _Server(uvicorn.Server):
    """A server that was asked to end, and ended in good order, has not failed: it does not raise the signal again."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as signal handlers are called
        """Finish what is open; at a second Ctrl-C drop it."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class _Tenant(uvicorn.Server):
    """A server in somebody else's house: it leaves the signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
