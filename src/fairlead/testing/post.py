"""How stand-ins send what they tell of their own accord."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fairlead.model.exchange import Broken
from fairlead.model.headers import Pairs
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from fairlead.transport.http import HttpOptions, HttpTransport

_PATIENCE_S = 10.0


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[Callable[[Pairs, bytes], Awaitable[Response | Broken]]]:
    """Give a function that posts headers and a body to a URL, over one connection."""
    parts = urlsplit(url)
    transport = HttpTransport(HttpOptions(base_url=f"{parts.scheme}://{parts.netloc}", allow_private=True))

    def post(headers: Pairs, body: bytes) -> Awaitable[Response | Broken]:
        request = Request(method="POST", path=parts.path or "/", effect=Effect.ONCE, headers=headers, body=body)
        return transport.exchange(request, timeout_s=_PATIENCE_S)

    try:
        yield post
    finally:
        await transport.close()


async def post_notice(url: str, headers: Pairs, body: bytes) -> int:
    """Post a notice; return the status of the answer. Raise `ConnectionError` where there is none."""
    async with posting(url) as post:
        answer = await post(headers, body)
    if not isinstance(answer, Response):
        raise ConnectionError(f"Nobody took the notice: {answer.failure}.")
    return answer.status
