"""How a vendor splits a list into pages, as data, and the state machine that walks through them without any I/O.

A `Pager` is told each answer and says the next request. It notices a vendor that goes round in circles: the last 1024
cursors or addresses are compared one by one, and one further back, moved at every power of two (Brent's cycle
detection), finds longer circles, at the latest after two rounds. Its memory stays the same over any number of pages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

import msgspec

from fairlead.errors import FairleadError, HostBlockedError, InvalidArgumentError, UnexpectedAnswerError
from fairlead.model.message import Request, Response, encode_query, is_path
from fairlead.spec.answer import decode_at, decode_each, raw_at, shown, value_at
from fairlead.spec.links import link_to
from fairlead.spec.mapping import Path, Shape

T = TypeVar("T")

_REMEMBERED = 1024
_PORTS = {"http": 80, "https": 443}
# RFC 6750 §2.3: a bearer token in an address. No position may keep one.
_TOKEN_PARAMETER = "access_token"  # noqa: S105  # the name of a parameter


class ByOffset(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for what follows the first so many items: over at a page without items, or when `total_at` is reached.

    The offset grows by the items that came: a vendor that caps the size of a page skips none.
    """

    param: str = "offset"
    first: int = 0
    total_at: Path = ()
    has_more_at: Path = ()


class ByPage(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a page by its number: over at a page without items, or after the last one that `pages_at` tells."""

    param: str = "page"
    first: int = 1
    pages_at: Path = ()
    has_more_at: Path = ()


class ByCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Hand back what the answer gave: over when it gave nothing (missing, null, empty, 0).

    The cursor stands at `at`, in the response header `header`, or at `of_last` within the last item. With
    `until_empty` the vendor gives one on every page, and it is also over at a page without items.
    """

    param: str = "cursor"
    at: Path = ()
    header: str | None = None
    of_last: Path = ()
    has_more_at: Path = ()
    until_empty: bool = False


class ByLink(msgspec.Struct, frozen=True, kw_only=True):
    """Follow the Link header with rel=next (RFC 8288) until there is none."""


class ByUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Follow the address in the body until there is none."""

    at: Path = ("next",)


Style = ByOffset | ByPage | ByCursor | ByLink | ByUrl
_NAMES: Mapping[type[Style], str] = {
    ByOffset: "offset", ByPage: "page", ByCursor: "cursor", ByLink: "link", ByUrl: "next_url",
}  # fmt: skip


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor's lists are split."""

    style: Style
    #: Where the items of a page are; empty for a body that is the list itself.
    items_at: Path = ()
    #: Whether the vendor leaves the list out where it is empty.
    may_lack_items: bool = False
    size_param: str | None = None
    size: int | None = None
    #: Pages of one run; a list that is longer is refused there.
    max_pages: int = 100_000


class Position(TypedDict, total=False):
    """Where a list goes on, as plain JSON. Without `next` and not `is_over` it is the beginning."""

    connection: str
    path: str
    style: str
    next: int | str
    is_over: bool


def _is_nothing(_name: str, _value: str) -> bool:
    return False


class Pager:
    """Walks through one list. `request()` says what to ask, `take()` reads the answer, `position()` where that left us.

    `take` changes nothing when it raises, so an answer may be asked for again. `is_credential` is told the name and
    value of each parameter in an address of the vendor's, and an empty name for each segment of its path.
    """

    def __init__(
        self,
        pagination: Pagination,
        first: Request,
        *,
        base_url: str,
        items_at: Path | None = None,
        position: Position | None = None,
        is_credential: Callable[[str, str], bool] = _is_nothing,
    ) -> None:
        self._rules = pagination
        self._style = pagination.style
        self._first = self._opened(first)
        self._base = urlsplit(base_url.rstrip("/"))
        self._items_at = pagination.items_at if items_at is None else items_at
        self._is_credential = is_credential
        self._trouble: FairleadError | None = None
        self._pages = 0
        self._digest: int | None = None
        self._seen = Seen()
        start = self._start()
        #: What to ask next, None when it is over; and what would ask for the last page again.
        self._next: int | str | None = start if position is None else self._resumed(position, start)
        self._now: int | str | None = self._next
        if isinstance(self._style, ByLink | ByUrl):
            self._seen.note(_target(self._first))
        if self._next != start and isinstance(self._next, str):
            self._seen.note(self._next)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to ask."""
        return self._next is None and self._trouble is None

    def request(self) -> Request:
        """Return the next request; raise for a list that goes in circles, leads elsewhere or does not end."""
        if self._trouble is not None:
            raise self._trouble
        if self._pages >= self._rules.max_pages:
            raise UnexpectedAnswerError(
                f"The list has more than {self._rules.max_pages} pages.",
                hint="Raise pagination.max_pages, or go on from the last page's position.",
            )
        if self._next is None:
            raise InvalidArgumentError("The list is over.", hint="Ask `is_over` first.")
        return self._asking(self._next)

    def take(self, response: Response, shape: Shape[T]) -> tuple[T, ...]:
        """Return the page's items, and move on; raise `UnexpectedAnswerError` for what cannot be read."""
        items, digest = self._items(response, shape)
        if digest is not None and digest == self._digest and isinstance(self._style, ByOffset | ByPage):
            raise UnexpectedAnswerError(
                f"The vendor sent the same page twice: it seems to pass over {self._style.param!r}.",
                path=shown(self._items_at),
                status=response.status,
                hint="Check pagination.param against the vendor's documentation.",
            )
        following, trouble = self._following(response, len(items)), None
        if isinstance(following, FairleadError):
            following, trouble = None, following
        elif isinstance(following, str) and self._seen.note(following):
            trouble = UnexpectedAnswerError(
                "The list goes in circles: the vendor names a page that was there before.",
                hint="Check pagination.style and its keys; the vendor may be at fault.",
            )
        self._now, self._next, self._trouble = self._next, following, trouble
        self._digest = digest
        self._pages += 1
        return items

    def position(self) -> Position:
        """Return the place after the last page: plain JSON, free of credentials.

        After a page whose successor cannot be had, it is that page's own place: it has to be asked for again.
        """
        place: Position = {"path": self._first.path, "style": _NAMES[type(self._style)]}
        value = self._now if self._trouble else self._next
        if value is None:
            place["is_over"] = True
        elif value != "":
            place["next"] = value
        return place

    # What is asked.

    def _opened(self, first: Request) -> Request:
        """Return the first request with the size of a page, unless it says its own."""
        names = {name for name, _ in first.query}
        style = self._style
        if isinstance(style, ByOffset | ByPage | ByCursor) and style.param in names:
            raise InvalidArgumentError(
                f"The query has {style.param!r}, which the pagination sets itself.", hint="Give `position=` to go on."
            )
        if self._rules.size_param is None or self._rules.size_param in names:
            return first
        return _with(first, (self._rules.size_param, str(self._rules.size)))

    def _start(self) -> int | str:
        return self._style.first if isinstance(self._style, ByOffset | ByPage) else ""

    def _resumed(self, position: Position, start: int | str) -> int | str | None:
        """Return where a saved position goes on; raise `InvalidArgumentError` for one of another list."""
        ours = {"path": self._first.path, "style": _NAMES[type(self._style)]}
        is_over = position.get("is_over") is True
        value = None if is_over else position.get("next", start)
        is_right = is_over or (type(value) is type(start) and (not isinstance(value, int) or value >= 0))
        if isinstance(self._style, ByLink | ByUrl) and isinstance(value, str) and value:
            is_right = is_right and is_path(value.partition("?")[0])
        if not is_right or any(position.get(key) != text for key, text in ours.items()):
            raise InvalidArgumentError(
                "The position is not one of this list.",
                hint="Pass what `page.position` was, with the same path, and the pagination as it was.",
            )
        return value

    def _asking(self, value: int | str) -> Request:
        if isinstance(self._style, ByOffset | ByPage | ByCursor):
            return _with(self._first, (self._style.param, str(value))) if value != "" else self._first
        if value == "":
            return self._first
        path, _, query = str(value).partition("?")
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        return msgspec.structs.replace(self._first, path=path, query=pairs)

    # What is read.

    def _items(self, response: Response, shape: Shape[T]) -> tuple[tuple[T, ...], int | None]:
        """Return the items, and a digest of what they were made of; None for an empty page."""
        found = raw_at(response, self._items_at)
        if self._rules.may_lack_items and (found is None or bytes(found) == b"null"):
            return (), None
        items = decode_each(response, self._items_at, shape)
        return items, hash(bytes(found)) if items and found is not None else None

    def _following(self, response: Response, count: int) -> int | str | FairleadError | None:
        """Return what to ask after this page, None when it is over, or why its successor cannot be had."""
        style = self._style
        if isinstance(style, ByLink | ByUrl):
            link = link_to(response.headers, "next") if isinstance(style, ByLink) else self._cursor(response, style.at)
            return None if link is None else self._stripped(link)
        if style.has_more_at and not decode_at(response, style.has_more_at, bool):
            return None
        if isinstance(style, ByCursor):
            if style.until_empty and not count:
                return None
            if style.header:
                return response.headers.get(style.header) or None
            if not style.of_last:
                return self._cursor(response, style.at)
            return self._cursor_of_last(response, style.of_last) if count else None
        asked = self._next
        if not count or not isinstance(asked, int):
            return None
        if isinstance(style, ByPage):
            is_last = style.pages_at and asked - style.first + 1 >= decode_at(response, style.pages_at, int)
            return None if is_last else asked + 1
        asked += count
        is_last = style.total_at and asked - style.first >= decode_at(response, style.total_at, int)
        return None if is_last else asked

    def _cursor_of_last(self, response: Response, at: Path) -> str:
        last = decode_each(response, self._items_at, msgspec.Raw)[-1]
        item = msgspec.structs.replace(response, body=bytes(last))
        value = value_at(item, at)
        cursor = "0" if type(value) is int and not value else self._cursor(item, at)  # here it is an id like any other
        if cursor is None:
            raise UnexpectedAnswerError(
                f"The last item has nothing at {shown(at)}.", path=shown(self._items_at), status=response.status
            )
        return cursor

    def _cursor(self, response: Response, at: Path) -> str | None:
        value: Any = value_at(response, at)
        if not value:
            return None
        if isinstance(value, str | int) and value is not True:
            return str(value)
        raise UnexpectedAnswerError(
            f"The answer has another shape at {shown(at)}: Expected a text or a number.",
            path=shown(at),
            status=response.status,
        )

    def _stripped(self, link: str) -> str | FairleadError:
        """Return an address of the vendor's as path and query below the base URL, without credentials."""
        here = self._base.geturl() + _target(self._asking("" if self._next is None else self._next))
        unreadable = UnexpectedAnswerError("The address of the next page cannot be read.")
        if any(char <= " " or char == "\x7f" for char in link):
            return unreadable
        try:
            parts = urlsplit(urljoin(here, link))
            origin = _origin(parts)
        except ValueError:
            return unreadable
        if origin != _origin(self._base):
            return HostBlockedError(
                f"The next page is at {origin[0]}://{origin[1]}:{origin[2]}, which is not this connection's server.",
                hint="Set base_url to the server that the vendor names, or page in another style.",
            )
        path = parts.path.removeprefix(self._base.path) or "/"
        is_below = parts.path == self._base.path or parts.path.startswith(f"{self._base.path}/")
        if not (is_below and is_path(path)) or any(self._is_credential("", each) for each in path.split("/") if each):
            return HostBlockedError(
                "The next page is outside the connection's base URL.", hint="Set a base_url with a shorter path."
            )
        pairs = [
            (name, value)
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
            if name.lower() != _TOKEN_PARAMETER and not self._is_credential(name, value)
        ]
        return f"{path}?{encode_query(tuple(pairs))}" if pairs else path


class Seen:
    """Remembers what was there: all of the last, and one from long ago. Its size does not grow."""

    __slots__ = ("_count", "_lap", "_last", "_mark", "_order")

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._last: set[int] = set()
        self._mark: int | None = None
        self._count, self._lap = 0, 1

    def note(self, value: str) -> bool:
        """Return whether it was there before, as far as is remembered; remember it."""
        digest = hash(value)
        if digest in self._last or digest == self._mark:
            return True
        if len(self._order) == _REMEMBERED:
            self._last.discard(self._order.popleft())
        self._order.append(digest)
        self._last.add(digest)
        self._count += 1
        if self._count == self._lap:
            self._mark, self._count, self._lap = digest, 0, self._lap * 2
        return False


def _with(request: Request, *pairs: tuple[str, str]) -> Request:
    return msgspec.structs.replace(request, query=(*request.query, *pairs))


def _target(request: Request) -> str:
    return f"{request.path}?{encode_query(request.query)}" if request.query else request.path


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    """Return scheme, host and port (RFC 6454 §4); raise `ValueError` for a port that is none."""
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
