"""`/v1/recipes`: search, one recipe, its nutrients."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.gateway.answers import render_answer
from fairlead.gateway.wishes import read_wishes
from fairlead.model.page import Page
from fairlead.runtime.by_name import call_by_name
from fairlead.runtime.calls import CallOptions

SEARCH = "/v1/recipes/search"


async def search(request: Request) -> Response:
    """Answer a search; `Link: rel="next"` (RFC 8288) leads to the next page."""
    page = await call_by_name(request.app.state.fairlead, "recipes.search", request.query_params, options(request))
    headers = {}
    if isinstance(page, Page) and page.next:
        query = urlencode({"connection": page.next.connection, "cursor": page.next.id})
        headers["link"] = f'<{SEARCH}?{query}>; rel="next"'
    return render_answer(page, headers=headers)


async def fetch(request: Request) -> Response:
    """Answer with one recipe."""
    return render_answer(
        await call_by_name(request.app.state.fairlead, "recipes.fetch", _ref(request), options(request))
    )


async def nutrition(request: Request) -> Response:
    """Answer with what is in one serving."""
    return render_answer(
        await call_by_name(request.app.state.fairlead, "recipes.nutrition", _ref(request), options(request))
    )


def options(request: Request) -> CallOptions:
    """Read what the caller wishes of the call."""
    return read_wishes(request.headers, has_key=request.app.state.has_keys)


def _ref(request: Request) -> dict[str, str]:
    return {"ref": f"{request.path_params['connection']}:{request.path_params['id']}"}


ROUTES = [
    Route(SEARCH, search),
    Route("/v1/recipes/{connection}/{id}", fetch),
    Route("/v1/recipes/{connection}/{id}/nutrition", nutrition),
]
