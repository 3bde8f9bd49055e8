"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fairlead.runtime.health import connection_health, is_ready, storage_health


async def healthz(_: Request) -> Response:
    """Say that the process serves; it stays true while vendors fail."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Say whether every route has a connection that is up, and how each connection and the store is."""
    fl = request.app.state.fairlead
    ready = is_ready(fl)
    told = {"ready": ready, "connections": connection_health(fl)}
    storage = await storage_health(fl)
    if storage is not None:
        told["storage"] = storage
    body = msgspec.json.encode(told)
    return Response(body, 200 if ready else 503, media_type="application/json")


async def metrics(request: Request) -> Response:
    """Return the metrics; rendering thousands of them takes long enough to be kept off the event loop."""
    body = await run_in_threadpool(request.app.state.metrics.render)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


ROUTES = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
