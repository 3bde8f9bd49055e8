"""The gateway as an ASGI application, and the server that runs it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from fairlead.errors import FairleadError
from fairlead.gateway import health, recipes
from fairlead.gateway.access import Access
from fairlead.gateway.answers import render_error, render_problem
from fairlead.model.secret import Secret
from fairlead.observe.metrics import Metrics
from fairlead.runtime.fairlead import Fairlead


def build_app(fl: Fairlead, metrics: Metrics, *, keys: Sequence[Secret] | None) -> Starlette:
    """Return the application. Without `keys` it is open to everybody: for demonstrations on loopback."""
    app = Starlette(
        routes=[*health.ROUTES, *recipes.ROUTES],
        middleware=[] if keys is None else [Middleware(Access, keys=keys)],
        exception_handlers={FairleadError: _tell, HTTPException: _tell_no_such_page, Exception: _tell_nothing},
        lifespan=_closing,
    )
    app.router.redirect_slashes = False  # a path that does not exist is told so
    app.state.fairlead = fl
    app.state.metrics = metrics
    return app


def build_server(app: Starlette, *, handles_signals: bool = True) -> uvicorn.Server:
    """Return a server that is ready to `serve([socket])`.

    It ends in good order on SIGINT and SIGTERM, unless whoever started it sees to signals.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=10
    )
    return _Server(config) if handles_signals else _Tenant(config)


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
    yield
    await app.state.fairlead.close()
