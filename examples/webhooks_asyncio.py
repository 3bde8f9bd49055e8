"""asyncio: the same in an ASGI application. The file is opened here with nothing but Fairlead.

$ python webhooks_asyncio.py 8000
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead import Fairlead
from fairlead.runtime.handlers import Received

fl = Fairlead.from_config("webhooks.toml")


@fl.on("payment.*", skip_late=True)
async def show_payment(event: Received) -> None:
    """Act on it. Whatever this raises, it is called again later; `idempotency_key` is the same each time."""
    if event.neutral:
        print(event.neutral.type, event.neutral.subject, event.idempotency_key, flush=True)


async def receive(request: Request) -> Response:
    """Hand a delivery over as it came."""
    reply = await fl.webhooks.receive(
        request.path_params["connection"],
        url=str(request.url),
        headers=request.headers.items(),
        body=await request.body(),
        method=request.method,
    )
    return Response(reply.body, reply.status, dict(reply.headers))


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Handle what waits, from the beginning on."""
    async with fl:
        yield


app = Starlette(routes=[Route("/webhooks/{connection}", receive, methods=["GET", "POST"])], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
