"""`POST /webhooks/{connection}`: what vendors send of their own accord. No key is asked for: the signature is one."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from fairlead.gateway.body import ClientGone, decode_fields, next_piece
from fairlead.model.headers import Headers
from fairlead.model.incoming import Incoming, Reply
from fairlead.runtime.fairlead import Fairlead

PREFIX = "/webhooks/"
# Deliveries come by POST; by GET some vendors ask whether the address is ours.
_METHODS = frozenset({"POST", "GET", "HEAD"})
_TOO_LARGE, _TOO_SLOW, _WRONG_METHOD = "too_large", "too_slow", "wrong_method"


class Webhooks:
    """The ASGI application, before everything that only people and applications need."""

    def __init__(self, fl: Fairlead) -> None:
        self._fl = fl

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery."""
        name = unquote(scope["path"].removeprefix(PREFIX))
        try:
            reply = await self._take(name, scope, receive)
        except ClientGone:
            return
        headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in reply.headers]
        headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _take(self, name: str, scope: Scope, receive: Receive) -> Reply:
        settings = self._fl.settings.webhooks
        inbox = self._fl.inbox
        if scope["method"] not in _METHODS:
            return inbox.refuse("", _WRONG_METHOD, 405)
        headers = Headers(decode_fields(scope["headers"]))
        claimed = headers.get("content-length", "0")
        if claimed.isdigit() and int(claimed) > settings.max_body_bytes:
            return inbox.refuse(self._known(name), _TOO_LARGE, 413)
        try:
            async with asyncio.timeout(settings.body_s):
                body = await _read(receive, settings.max_body_bytes)
        except TimeoutError:
            return inbox.refuse(self._known(name), _TOO_SLOW, 408)
        if body is None:
            return inbox.refuse(self._known(name), _TOO_LARGE, 413)
        return await inbox.receive(name, Incoming(scope["method"], self._url(scope, headers), headers, body))

    def _known(self, name: str) -> str:
        """Return the name of a connection; whatever else a stranger puts there is not written down."""
        return name if name in self._fl.connections else ""

    def _url(self, scope: Scope, headers: Headers) -> str:
        """Return the address as the vendor called it."""
        place = self._fl.settings.webhooks.public_url or f"{scope['scheme']}://{headers.get('host', '')}"
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1")
        return f"{place.rstrip('/')}{path}{f'?{query}' if query else ''}"


async def _read(receive: Receive, bound: int) -> bytes | None:
    """Return the body; None as soon as it is longer than may be."""
    piece, is_over = await next_piece(receive)
    if is_over:
        return piece if len(piece) <= bound else None
    pieces, size = [piece], len(piece)
    while not is_over:
        piece, is_over = await next_piece(receive)
        pieces.append(piece)
        size += len(piece)
        if size > bound:
            return None
    return b"".join(pieces)
