"""Clients that share their state, and what each of them was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.observe.events import Event, EventStream
from fairlead.runtime.ports import Ports

PATIENCE_S = 20.0


class Told:
    """The events of one client."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._came = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._came.set()

    async def wait_for(self, kind: type[Event], fits: Callable[[Event], bool] = lambda _: True) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and fits(event):
                        return event
                self._came.clear()
                await self._came.wait()


def settings(vendor: str, redis: str, *, rate: str = "", state: str = "", breaker: str = "") -> str:
    return f"""
deadline_s = 10
[state]
url = "{redis}"
{state}
[connections.vendor]
base_url = "{vendor}"
allow_private = true
retry = {{ max_attempts = 1 }}
{f"rate = {rate}" if rate else ""}
{f"breaker = {breaker}" if breaker else ""}
"""


@asynccontextmanager
async def clients(number: int, text: str) -> AsyncIterator[list[tuple[Fairlead, Told]]]:
    made = []
    for _ in range(number):
        told = Told()
        made.append((Fairlead(parse_settings(text), ports=Ports(events=EventStream((told,)))), told))
    try:
        yield made
    finally:
        for fl, _ in made:
            await fl.close()


async def get(fl: Fairlead) -> int:
    return (await fl.http("vendor").get("/things")).status
