"""Lists over plain HTTP, page by page: each page is a call of its own through the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from fairlead.errors import InvalidArgumentError, UnsupportedFeatureError
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.page import ListPage
from fairlead.runtime.connection import Connection
from fairlead.spec.mapping import Shape
from fairlead.spec.pagination import Pager, Position
from fairlead.spec.provider import Place

T = TypeVar("T")

# What is shorter (a user's name, a test key) may well be something else where it stands as a value: a page's number.
_SHORTEST_SECRET = 8

#: Makes the call that drives an operation to its page; it is told the page before, if there was one.
Ask = Callable[[Callable[[], Operation[ListPage[T]]], ListPage[T] | None], Awaitable[ListPage[T]]]


def open_pager(
    connection: Connection, first: Request, *, items_at: str | None, position: Mapping[str, Any] | None
) -> Pager:
    """Return the walk through a list; raise `UsageError` for one that cannot be begun or gone on with."""
    pagination = connection.provider.pagination
    if pagination is None:
        raise UnsupportedFeatureError(
            f"The connection {connection.name!r} does not say how its lists are paged.",
            hint=f"Add [connections.{connection.name}.pagination] to the configuration.",
        )
    if position is not None and position.get("connection") != connection.name:
        raise InvalidArgumentError(
            f"The position is not one of the connection {connection.name!r}.",
            hint="A list goes on only where it began.",
        )
    keys = None if items_at is None else tuple(items_at.split(".")) if items_at else ()
    if keys and not all(keys):
        raise InvalidArgumentError("items_at is not a place in a body.", hint="Write it as data.items.")
    return Pager(
        pagination,
        first,
        base_url=connection.provider.base_url,
        items_at=keys,
        position=cast("Position | None", position),
        is_credential=_detector(connection),
    )


async def iter_pages(pager: Pager, connection: Connection, shape: Shape[T], ask: Ask[T]) -> AsyncIterator[ListPage[T]]:
    """Yield page after page; each is asked for only when wanted."""

    def read_page() -> Operation[ListPage[T]]:
        response = yield pager.request()
        items = pager.take(response, shape)
        position = {"connection": connection.name, **pager.position()}
        return ListPage(items=items, position=position, is_last=pager.is_over)

    page: ListPage[T] | None = None
    while not pager.is_over:
        page = await ask(read_page, page)
        yield page


def _detector(connection: Connection) -> Callable[[str, str], bool]:
    """Return what knows the connection's credentials in an address: by the parameter's name, or by its value."""
    auth = connection.provider.auth
    keys = auth if isinstance(auth, tuple) else ()
    names = {key.name for key in keys if key.place is Place.QUERY}
    found = {secret.reveal() for secret in connection.credentials.values()}
    values = {value for value in found if len(value) >= _SHORTEST_SECRET}

    def is_credential(name: str, value: str) -> bool:
        return name in names or value in values or value.replace(" ", "+") in values  # a plus that was not encoded

    return is_credential
