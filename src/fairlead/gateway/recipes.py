"""`/v1/recipes`: search, one recipe, its nutrients."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.gateway.answers import render_answer
from fairlead.gateway.calls import render_accepted, wants_background
from fairlead.gateway.wishes import read_wishes
from fairlead.model.answer import Answer
from fairlead.model.page import Page
from fairlead.runtime.by_name import call_by_name
from fairlead.runtime.later import BackgroundCall
from fairlead.runtime.wanted import CallOptions

SEARCH = "/v1/recipes/search"


async def search(request: Request) -> Response:
    """Answer a search; `Link: rel="next"` (RFC 8288) leads to the next page."""
    page = await call_by_name(request.app.state.fairlead, "recipes.search", request.query_params, options(request))
    headers = {}
    if isinstance(page, Page) and page.next:
        query = urlencode({"connection": page.next.connection, "cursor": page.next.id})
        headers["link"] = f'<{SEARCH}?{query}>; rel="next"'
    return _render(page, headers=headers)


async def fetch(request: Request) -> Response:
    """Answer with one recipe."""
    return _render(await call_by_name(request.app.state.fairlead, "recipes.fetch", _ref(request), options(request)))


async def nutrition(request: Request) -> Response:
    """Answer with what is in one serving."""
    return _render(await call_by_name(request.app.state.fairlead, "recipes.nutrition", _ref(request), options(request)))


def options(request: Request) -> CallOptions:
    """Read what the caller wishes of the call."""
    found = read_wishes(request.headers, has_key=request.app.state.has_keys)
    if wants_background(request.headers):
        return cast("CallOptions", {**found, "background": True})  # what it gives is looked at by `_render`
    return found


def _render(found: Answer | BackgroundCall[Any], headers: dict[str, str] | None = None) -> Response:
    if isinstance(found, BackgroundCall):
        return render_accepted(found)
    return render_answer(found, headers=headers)


def _ref(request: Request) -> dict[str, str]:
    return {"ref": f"{request.path_params['connection']}:{request.path_params['id']}"}


ROUTES = [
    Route(SEARCH, search),
    Route("/v1/recipes/{connection}/{id}", fetch),
    Route("/v1/recipes/{connection}/{id}/nutrition", nutrition),
]
