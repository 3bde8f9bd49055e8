"""Fixtures over real servers: a test module imports those that it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from redis_server import RedisServer


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], RedisServer]]:
    """Start each kind of server once, when it is first asked for; it is empty then, and whenever it is asked for."""
    started: dict[str, RedisServer] = {}

    def server(kind: str) -> RedisServer:
        if kind not in started:
            started[kind] = RedisServer(kind)
            started[kind].start()
        started[kind].say("FLUSHALL")
        return started[kind]

    try:
        yield server
    finally:
        for each in started.values():
            each.close()
