"""`POST /webhooks/{connection}`: what vendors send of their own accord. No key is asked for: the signature is one."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

from fairlead.gateway.body import decode_fields
from fairlead.gateway.exchange import Exchange
from fairlead.gateway.lane import written
from fairlead.gateway.veil import Veil
from fairlead.model.headers import Headers
from fairlead.model.incoming import Incoming, Reply
from fairlead.runtime.fairlead import Fairlead

PREFIX = "/webhooks/"
# Deliveries come by POST; by GET some vendors ask whether the address is ours.
_METHODS = frozenset({"POST", "GET", "HEAD"})
_TOO_LARGE, _TOO_SLOW, _WRONG_METHOD = "too_large", "too_slow", "wrong_method"
_BARE = Veil(())


class Webhooks:
    """A handler."""

    def __init__(self, fl: Fairlead) -> None:
        self._fl = fl

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one delivery."""
        reply = await self._take(unquote(exchange.path[len(PREFIX) :].decode("latin-1")), exchange)
        if not exchange.is_read:  # whoever was refused in the middle need not send the rest
            exchange.is_kept = False
        length = len(reply.body)
        exchange.begin(reply.status, written((*reply.headers, ("content-length", str(length))), _BARE), length)
        exchange.end(reply.body)

    async def _take(self, name: str, exchange: Exchange) -> Reply:
        settings = self._fl.settings.webhooks
        inbox = self._fl.inbox
        if exchange.method not in _METHODS:
            return inbox.refuse("", _WRONG_METHOD, 405)
        headers = Headers(decode_fields(exchange.fields))
        claimed = headers.get("content-length", "0")
        if not claimed.isdigit() or int(claimed) > settings.max_body_bytes:
            return inbox.refuse(self._known(name), _TOO_LARGE, 413)
        try:
            body = await _read(exchange, settings.max_body_bytes, settings.body_s)
        except TimeoutError:
            return inbox.refuse(self._known(name), _TOO_SLOW, 408)
        if body is None:
            return inbox.refuse(self._known(name), _TOO_LARGE, 413)
        return await inbox.receive(name, Incoming(exchange.method, self._url(exchange, headers), headers, body))

    def _known(self, name: str) -> str:
        """Return the name of a connection; whatever else a stranger puts there is not written down."""
        return name if name in self._fl.connections else ""

    def _url(self, exchange: Exchange, headers: Headers) -> str:
        """Return the address as the vendor called it."""
        place = self._fl.settings.webhooks.public_url or f"http://{headers.get('host', '')}"
        query = f"?{exchange.query.decode('latin-1')}" if exchange.query else ""
        return f"{place.rstrip('/')}{exchange.path.decode('latin-1')}{query}"


async def _read(exchange: Exchange, bound: int, within_s: float) -> bytes | None:
    """Return the body; None as soon as it is longer than may be. It has so many seconds: `TimeoutError`."""
    if exchange.is_whole:  # as it mostly is by now
        body = await exchange.read()
        return body if len(body) <= bound else None
    pieces: list[bytes] = []
    size = 0
    async with asyncio.timeout(within_s):
        while piece := await exchange.read():
            pieces.append(piece)
            size += len(piece)
            if size > bound:
                return None
    return b"".join(pieces)
