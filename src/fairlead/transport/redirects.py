"""Redirects, where a connection declares that it follows them: within its own origin, and only where that is harmless.

A redirect with 307 or 308 says that the request was not done here, so it is sent as it is to where the answer points
(RFC 9110 §15.4.8, §15.4.9). After 301, 302 and 303 a request that acts may have been done: the answer is handed on as
it is, and stays in doubt. Reads are followed; a POST that reads becomes a GET (§15.4.2 to §15.4.4). Nothing is ever
sent to another scheme, host or port, so no credential can leave.
"""

from __future__ import annotations

import asyncio
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from fairlead.model.exchange import Broken, Transport
from fairlead.model.message import Request, Response, is_path
from fairlead.model.outcome import Effect

_PORTS = {"http": 80, "https": 443}


class Redirecting:
    """Follows redirects over another transport, whose base URL is the origin of this one."""

    def __init__(self, inner: Transport, base_url: str, *, limit: int) -> None:
        parts = urlsplit(base_url)
        self._inner = inner
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._limit = limit

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:
        """Send a signed request, and those that it is redirected to, all in `timeout_s`."""
        clock = asyncio.get_running_loop().time
        until = clock() + timeout_s
        request = msgspec.structs.replace(request, path=self._prefix + request.path)
        for _ in range(self._limit):
            answer = await self._inner.exchange(request, timeout_s=max(0.0, until - clock()))
            following = None if isinstance(answer, Broken) else self._follow(request, answer)
            if following is None or isinstance(answer, Broken):
                return answer
            if answer.stream is not None:
                await answer.stream.aclose()
            request = following
        return await self._inner.exchange(request, timeout_s=max(0.0, until - clock()))

    async def close(self) -> None:
        """Close every socket."""
        await self._inner.close()

    def disown(self) -> None:
        """Forget every socket without touching it."""
        self._inner.disown()

    def _follow(self, request: Request, answer: Response) -> Request | None:
        """Return the request that a redirect asks for, or None where it is none or must not be followed."""
        if answer.status not in {301, 302, 303, 307, 308}:
            return None
        if answer.status < 307 and request.effect is not Effect.READ:
            return None
        if request.content is not None and request.content.is_spent:
            return None
        target = self._target(request, answer.headers.get("location", ""))
        if target is None:
            return None
        path = f"{target.path}?{target.query}" if target.query else target.path
        becomes_get = answer.status == 303 or (answer.status < 307 and request.method == "POST")
        if not becomes_get or request.method == "HEAD":
            return msgspec.structs.replace(request, path=path, query=(), raw_query="")
        headers = tuple(pair for pair in request.headers if not pair[0].lower().startswith("content-"))
        return msgspec.structs.replace(
            request, method="GET", path=path, query=(), raw_query="", headers=headers, body=b"", content=None
        )

    def _target(self, request: Request, location: str) -> SplitResult | None:
        """Return where it points, if that is in this origin."""
        if not location.isascii() or any(char <= " " or char == "\x7f" for char in location):
            return None
        try:
            target = urlsplit(urljoin(f"{self._origin}{request.path}", location))
            is_same = _origin(target) == _origin(urlsplit(self._origin)) and "@" not in target.netloc
        except ValueError:
            return None
        if not target.path:
            target = target._replace(path="/")
        return target if location and is_same and is_path(target.path) else None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port (RFC 6454 §4)."""
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
