"""A gateway in front of whatever serves at a URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fairlead.cli.serve import listen
from fairlead.config.read import parse_settings
from fairlead.gateway.app import build_app
from fairlead.gateway.server import build_server
from fairlead.model.secret import Secret
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead


@asynccontextmanager
async def gateway(settings: str, *, key: str, environment: Mapping[str, str]) -> AsyncIterator[str]:
    """Serve, and yield the URL of the proxy."""
    fl = Fairlead(parse_settings(settings), environment=environment)
    listener = listen("127.0.0.1", 0)
    server = build_server(build_app(fl, Metrics(), keys=[Secret(key)]), handles_signals=False)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/proxy"
    finally:
        server.should_exit = True
        await serving
