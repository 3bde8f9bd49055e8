"""One request for several things: how it is asked, and how its answer is taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import msgspec

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.spec.answer import decode_at, shown, value_at
from fairlead.spec.mapping import Path

#: What stands for the id in the path of a rule.
PLACEHOLDER = "{id}"
_HEADERS = Headers([("content-type", "application/json")])


class BatchRule(msgspec.Struct, frozen=True, kw_only=True):
    """How single reads of an API become one: `/items/42` and `/items/43` are `/items?ids=42,43`.

    `path` has `{id}` once. Without a `separator` the parameter is repeated for each id.
    """

    path: str
    many: str
    param: str = "ids"
    separator: str = ","
    items_at: Path = ()
    id_at: Path = ("id",)

    def identify(self, request: Request) -> str | None:
        """Return the id that a request asks for, or None where it is not quite such a read, or no id of a list."""
        if request.method != "GET" or request.effect is not Effect.READ:
            return None
        if request.query or request.headers or request.body or request.idempotency_key:
            return None
        before, _, after = self.path.partition(PLACEHOLDER)
        written = request.path[len(before) : len(request.path) - len(after)]
        if request.path != before + written + after or "/" in written:
            return None
        try:
            identifier = unquote(written, errors="strict")
        except UnicodeDecodeError:
            return None
        return None if self.separator and self.separator in identifier else identifier or None

    def ask(self, identifiers: Sequence[str]) -> Operation[Mapping[str, Response]]:
        """Ask for several; what the vendor does not have is left out."""
        texts = [self.separator.join(identifiers)] if self.separator else identifiers
        response = yield Request.get(self.many, query=[(self.param, text) for text in texts])
        return split_answer(response, items_at=self.items_at, id_at=self.id_at)


def split_answer(response: Response, *, items_at: Path = (), id_at: Path = ("id",)) -> dict[str, Response]:
    """Return a list's items by their ids, each as the answer that a request for it alone would have had.

    Raises `UnexpectedAnswerError` where there is no list, or an item has no id: nobody could say whose it is.
    """
    found: dict[str, Response] = {}
    for place, item in enumerate(decode_at(response, items_at, list[msgspec.Raw])):
        part = Response(status=200, headers=_HEADERS, body=bytes(item))
        identifier = value_at(part, id_at)
        if not isinstance(identifier, str | int) or isinstance(identifier, bool):
            path = f"{shown(items_at)}[{place}]{shown(id_at).removeprefix('$')}"
            raise UnexpectedAnswerError(
                f"The answer has no id at {path}.",
                path=path,
                status=response.status,
                hint="The vendor may have changed its API, or the path is misspelt.",
            )
        found[str(identifier)] = part
    return found
