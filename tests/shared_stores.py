"""Clients of the servers that tests start."""

from __future__ import annotations

from typing import Any

from fairlead.model.secret import Secret
from fairlead.runtime.ports import SystemClock
from fairlead.storage.redis import Redis, parse_url
from redis_server import RedisServer


def half() -> float:
    return 0.5


class OpenedOnUse(Redis):
    """A client that connects with its first command, whichever test's event loop that is in."""

    async def call(self, *parts: str | bytes | float) -> Any:
        self.open()
        await self.wait_first_try(5.0)
        return await super().call(*parts)


def client_of(server: RedisServer) -> OpenedOnUse:
    password = Secret(server.password) if server.password else None
    return OpenedOnUse(parse_url(server.url, password=password, answer_s=5.0), clock=SystemClock(), random=half)
