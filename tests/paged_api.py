"""A list behind an API that pages it, as a pure function of the request, in each style a vendor may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.spec.pagination import ByCursor, ByLink, ByOffset, ByPage, ByUrl, Pagination, Style

BASE = "https://shop.test/v1"
ITEMS_AT = ("data", "items")


def reply(content: Any, **headers: str) -> Response:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status=200, headers=Headers(fields), body=msgspec.json.encode(content))


class Api(NamedTuple):
    """An API, and how it pages; `Serve` is told the number of the first item of a page, and of all."""

    name: str
    style: Style
    #: From the request, the place of the first item wanted.
    start: Callable[[Request, int], int]
    #: What the answer has beside the items: in the body, and in its headers. `after` is None on the last page.
    rest: Callable[[int | None, int, Sequence[int], int], tuple[dict[str, Any], dict[str, str]]]

    def pagination(self, **changes: Any) -> Pagination:
        return Pagination(style=self.style, items_at=ITEMS_AT, **changes)

    def serve(self, items: Sequence[int], size: int) -> Callable[[Request], Response]:
        """Return the API with these items, so many on a page."""

        def answer(request: Request) -> Response:
            at = self.start(request, size)
            page = items[at : at + size]
            after = at + size if at + size < len(items) else None
            more, headers = self.rest(after, size, page, len(items))
            body = {"data": {"items": [{"id": each} for each in page]}, **more}
            return reply(body, **headers)

        return answer


def parameter(request: Request, name: str, default: int = 0) -> int:
    return int(dict(request.query).get(name, default))


APIS = (
    Api(
        "offset until empty",
        ByOffset(param="skip"),
        lambda request, _: parameter(request, "skip"),
        lambda *_: ({}, {}),
    ),
    Api(
        "offset with a total",
        ByOffset(total_at=("total",)),
        lambda request, _: parameter(request, "offset"),
        lambda _after, _size, _page, total: ({"total": total}, {}),
    ),
    Api(
        "page until empty",
        ByPage(),
        lambda request, size: (parameter(request, "page") - 1) * size,
        lambda *_: ({}, {}),
    ),
    Api(
        "page from 0 with a number of pages",
        ByPage(param="p", first=0, pages_at=("meta", "pages")),
        lambda request, size: parameter(request, "p") * size,
        lambda _after, size, _page, total: ({"meta": {"pages": -(-total // size)}}, {}),
    ),
    Api(
        "page with has_more",
        ByPage(has_more_at=("has_more",)),
        lambda request, size: (parameter(request, "page") - 1) * size,
        lambda after, *_: ({"has_more": after is not None}, {}),
    ),
    Api(
        "cursor in the body",
        ByCursor(at=("meta", "next")),
        lambda request, _: int(dict(request.query).get("cursor", "c0")[1:]),
        lambda after, *_: ({"meta": {"next": after and f"c{after}"}}, {}),
    ),
    Api(
        "cursor in a header",
        ByCursor(param="after", header="X-Next"),
        lambda request, _: parameter(request, "after"),
        lambda after, *_: ({}, {"x_next": str(after)} if after else {}),
    ),
    Api(
        "cursor of the last item",
        ByCursor(param="starting_after", of_last=("id",), has_more_at=("has_more",)),
        lambda request, _: parameter(request, "starting_after", -1) + 1,
        lambda after, *_: ({"has_more": after is not None}, {}),
    ),
    Api(
        "a token on every page",
        ByCursor(param="token", at=("token",), until_empty=True),
        lambda request, _: parameter(request, "token"),
        lambda after, _size, _page, total: ({"token": after or total}, {}),
    ),
    Api(
        "Link header",
        ByLink(),
        lambda request, _: parameter(request, "from"),
        lambda after, *_: (
            {},
            {"link": f'<{BASE}/things?q=x&from=0>; rel="first", <?q=x&from={after}>; rel="next"'} if after else {},
        ),
    ),
    Api(
        "address in the body",
        ByUrl(at=("links", "next")),
        lambda request, _: parameter(request, "from"),
        lambda after, *_: ({"links": {"next": after and f"{BASE}/things?q=x&from={after}"}}, {}),
    ),
)
