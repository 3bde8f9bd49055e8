"""The door that no card number passes: what is sent to a vendor by a plain request is looked through before it is kept.

On connections whose provider takes payments whatever looks like a card number is refused; on others what is called
one, or is written like one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from fairlead.model.headers import Pairs
from fairlead.model.message import Request
from fairlead.runtime.connection import Connection
from fairlead.spec.card_numbers import LONGEST, find_card_number, is_suspect, refusal

# Longer bodies are files; where nothing is paid, they are not looked through.
_LONGEST = 64 * 1024


def screened(request: Request, connection: Connection) -> Request:
    """Return a request whose parts have been looked through; raise `InvalidArgumentError` naming the field of a card.

    A body that is sent as it comes is looked through on its way, and not passed on to its end.
    """
    is_strict = takes_payments(connection)
    pairs = (*request.query, *request.headers)
    if is_suspect("\n".join([value for _, value in pairs])):
        for name, value in pairs:
            _check(f"{name}={value}", name, is_strict=is_strict)
    _check(request.raw_query, "The query", is_strict=is_strict)
    _check(request.path, "The path", is_strict=is_strict)
    if request.body and (is_strict or len(request.body) <= _LONGEST):
        _check(request.body.decode("latin-1"), "The body", is_strict=is_strict)
    if request.content is not None and is_strict:
        return msgspec.structs.replace(request, content=_Screened(request.content))
    return request


def takes_payments(connection: Connection) -> bool:
    """Whether a connection's vendor takes payments."""
    return "payments" in connection.provider.capabilities


def _check(text: str, place: str, *, is_strict: bool) -> None:
    found = find_card_number(text, is_about_payments=is_strict)
    if found is not None:
        raise refusal(f"{found} in {place.lower()}" if found and found != place else place)


class _Screened:
    """A `Content` that is looked through on its way."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self.length: int | None = content.length

    @property
    def is_spent(self) -> bool:
        """Whether it has been begun and cannot be begun again."""
        spent: bool = self._content.is_spent
        return spent

    async def open(self) -> AsyncGenerator[bytes, None]:
        """Yield the pieces; raise `InvalidArgumentError` in place of the one that ends a card number."""
        tail = ""
        async with aclosing(self._content.open()) as pieces:
            async for piece in pieces:
                text = tail + piece.decode("latin-1")
                _check(text, "The body", is_strict=True)
                tail = text[-LONGEST:]
                yield piece

    def trailers(self) -> Pairs:
        """Return the fields to be sent after the body."""
        trailers: Pairs = self._content.trailers()
        return trailers
