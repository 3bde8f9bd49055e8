"""Clients of the servers that tests start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.model.secret import Secret
from fairlead.runtime.ports import SystemClock
from fairlead.storage.redis import Redis, Script, parse_url
from redis_server import RedisServer


def half() -> float:
    return 0.5


class OpenedOnUse(Redis):
    """A client that connects with its first command, whichever test's event loop that is in."""

    async def call(self, *parts: str | bytes | float) -> Any:
        await self._connected()
        return await super().call(*parts)

    async def run(self, script: Script, keys: Sequence[str], *args: str | bytes | float) -> Any:
        await self._connected()
        return await super().run(script, keys, *args)

    async def _connected(self) -> None:
        self.open()
        await self.wait_first_try(5.0)


def client_of(server: RedisServer) -> OpenedOnUse:
    password = Secret(server.password) if server.password else None
    return OpenedOnUse(parse_url(server.url, password=password, answer_s=5.0), clock=SystemClock(), random=half)
