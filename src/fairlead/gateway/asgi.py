"""The rest of the gateway, which is an ASGI application, over the connections of its server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from fairlead.gateway.exchange import CallerGone, Exchange, is_sound


class Asgi:
    """A handler that has an application answer (ASGI 3.0, HTTP 2.3). `state` is what its lifespan has left."""

    def __init__(self, app: ASGIApp, state: Mapping[str, Any]) -> None:
        self._app = app
        self._state = state

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.0" if exchange.is_old else "1.1",
            "method": exchange.method,
            "scheme": "http",
            "path": unquote(exchange.path.decode("ascii")),
            "raw_path": exchange.path,
            "query_string": exchange.query,
            "root_path": "",
            "headers": exchange.fields,
            "client": None,
            "server": None,
            "state": dict(self._state),
        }
        talk = _Talk(exchange)
        await self._app(scope, talk.receive, talk.send)


class _Talk:
    """The messages of one request."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._has_all = False

    async def receive(self) -> Message:
        """Return the next piece of the request, and after the last that the caller has left, once it has."""
        exchange = self._exchange
        if self._has_all:
            await exchange.wait_until_left()
            return {"type": "http.disconnect"}
        try:
            piece = await exchange.read()
        except CallerGone:
            return {"type": "http.disconnect"}
        self._has_all = exchange.is_read
        return {"type": "http.request", "body": piece, "more_body": not exchange.is_read}

    async def send(self, message: Message) -> None:
        """Send a piece of the answer."""
        exchange = self._exchange
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
            return
        await exchange.drain()
        if message.get("more_body", False):
            exchange.write(message.get("body", b""))
        else:
            exchange.end(message.get("body", b""))

    def _begin(self, status: int, headers: Any) -> None:
        exchange = self._exchange
        length: int | None = None
        lines: list[bytes] = []
        for name, value in headers:
            key = name.lower()
            if key == b"connection":
                exchange.is_kept = exchange.is_kept and value.lower() != b"close"
                continue
            if key == b"content-length":
                length = int(value)
            lines.append(b"%b: %b\r\n" % (key, value))
        fields = b"".join(lines)
        if not is_sound(fields):
            raise ValueError("The answer has a field that is none.")
        exchange.begin(status, fields, length)
        exchange.flush()
