"""The gateway as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from fairlead.errors import FairleadError
from fairlead.gateway import cache, calls, email, events, health, payments, recipes, subscriptions, webhooks
from fairlead.gateway.access import Access
from fairlead.gateway.answers import render_error, render_problem
from fairlead.gateway.proxy import Proxy
from fairlead.model.secret import Secret
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead


class Inlet(Starlette):
    """What vendors call, and nothing else: everybody may reach it. The server leads past it what is for `webhooks`."""

    webhooks: webhooks.Webhooks


class Gateway(Inlet):
    """All that the gateway answers. The server leads past it what is for the `proxy`, too: neither is ASGI."""

    proxy: Proxy


def build_app(fl: Fairlead, metrics: Metrics, *, keys: Sequence[Secret] | None) -> Gateway:
    """Return the application. Without `keys` it is open to everybody: for demonstrations on loopback."""
    app = Gateway(
        routes=[
            *health.ROUTES,
            *recipes.ROUTES,
            *calls.ROUTES,
            *email.ROUTES,
            *cache.ROUTES,
            *events.ROUTES,
            *payments.ROUTES,
            *subscriptions.ROUTES,
        ],
        middleware=[] if keys is None else [Middleware(Access, keys=keys)],
        exception_handlers=_HANDLERS,
        lifespan=_closing,
    )
    app.router.redirect_slashes = False  # a path that does not exist is told so
    app.state.fairlead = fl
    app.state.metrics = metrics
    app.state.has_keys = keys is not None
    app.proxy = Proxy(fl, keys=keys)
    app.webhooks = webhooks.Webhooks(fl)
    return app


def build_inlet(fl: Fairlead) -> Inlet:
    """Return an application that takes deliveries, and tells nobody anything."""
    app = Inlet(exception_handlers=_HANDLERS, lifespan=_closing)
    app.state.fairlead = fl
    app.webhooks = webhooks.Webhooks(fl)
    return app


async def _tell(_: Request, error: Exception) -> Response:
    assert isinstance(error, FairleadError)  # noqa: S101  # it is registered for nothing else
    return render_error(error)


async def _tell_no_such_page(request: Request, error: Exception) -> Response:
    """Answer for a path or a method that the gateway does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for nothing else
    if error.status_code == 405:
        title = "The gateway has no such method here."
        return render_problem(405, "unknown_method", title, f"{request.method} is not allowed.", headers=error.headers)
    return render_problem(error.status_code, "unknown_path", "The gateway has no such path.", headers=error.headers)


async def _tell_nothing(_: Request, __: Exception) -> Response:
    """Answer for a bug of ours: the log has its trace, the caller is told no detail."""
    closing = {"connection": "close"}  # as the server does after a bug, so that nobody sends into a closed socket
    return render_problem(500, "internal", "The gateway failed; its log says why.", headers=closing)


@asynccontextmanager
async def _closing(app: Starlette) -> AsyncIterator[None]:
    async with app.state.fairlead:
        yield


_HANDLERS: Mapping[Any, Any] = {
    FairleadError: _tell,
    HTTPException: _tell_no_such_page,
    Exception: _tell_nothing,
}
