"""The body of a proxied request: read whole where it is short, so that it can be sent again, and else passed on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing

from fairlead.errors import SignatureError
from fairlead.gateway.exchange import Exchange
from fairlead.model.headers import Pairs


class PassedOn:
    """A body that comes from the caller as it is sent to the vendor. It is a `Content`, and can be read once."""

    def __init__(self, exchange: Exchange, begun: bytes, length: int | None) -> None:
        self._exchange = exchange
        self._begun = begun
        self.length = length
        self._is_begun = False
        #: The SHA-256, in hex, that the caller has signed: a body with another is not passed on to its end.
        self.signed_hash: str | None = None
        #: Set when all of it has come.
        self.over = asyncio.Event()
        #: Leaves, of the fields after it, those that may pass.
        self.keep: Callable[[Pairs], Pairs] = _none

    @property
    def is_spent(self) -> bool:
        """Whether a part of it is gone already."""
        return self._is_begun

    async def open(self) -> AsyncGenerator[bytes, None]:
        """Yield the pieces as they come; raise `CallerGone`, and `SignatureError` in place of a wrong end."""
        self._is_begun = True
        async with aclosing(self._come()) as pieces:
            if self.signed_hash is None:
                async for piece in pieces:
                    yield piece
                return
            held, seen = b"", hashlib.sha256()
            async for piece in pieces:
                if held:
                    yield held
                seen.update(piece)
                held = piece
            if seen.hexdigest() != self.signed_hash:
                raise SignatureError("The body is not the one that was signed.", hint="Send what was signed.")
            if held:
                yield held

    async def _come(self) -> AsyncGenerator[bytes, None]:
        if self._begun:
            yield self._begun
            self._begun = b""
        while not self.over.is_set():
            piece = await self._exchange.read()
            if self._exchange.is_read:
                self.over.set()
            if piece:
                yield piece

    def trailers(self) -> Pairs:
        """Return those of the fields after the body that may pass."""
        return self.keep(decode_fields(self._exchange.trailing))


async def take_body(exchange: Exchange, fields: Mapping[str, str], bound: int) -> bytes | PassedOn:
    """Return a body of at most `bound` bytes as it is; any other, and one with fields after it, as a stream."""
    claimed = fields.get("content-length", "")
    length = int(claimed) if claimed.isdigit() else None
    if (length is not None and length > bound) or "trailer" in fields:
        return PassedOn(exchange, b"", length)
    pieces: list[bytes] = []
    size = 0
    while size <= bound:
        piece = await exchange.read()
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    return PassedOn(exchange, b"".join(pieces), length)


def decode_fields(fields: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Return fields as text from which the transport makes the same bytes."""
    return tuple([(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in fields])


def _none(_: Pairs) -> Pairs:
    return ()
