"""Measure the CPU of one call: bare aiohttp, bare httpx, and Fairlead with everything on, against one local server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp  # noqa: TID251  # a yardstick
import httpx  # noqa: TID251  # a yardstick

from fairlead import Fairlead
from fairlead.config.read import parse_settings
from fairlead.observe.events import EventStream
from fairlead.runtime.ports import Ports
from harness import Limit, Sheet, elsewhere, in_turn
from server import serve

AT_ONCE = 16
LIMITS = {"aiohttp": Limit(at_most=1.2), "httpx": Limit(at_most=0.3)}

CONFIG = """
[connections.local]
base_url = "{url}"
allow_private = true
auth = {{ scheme = "bearer" }}
credentials = {{ token = "env:TOKEN" }}
rate = {{ requests = 1000000, per_s = 1 }}
"""


async def cpu_us(call: Callable[[], Awaitable[object]], calls: int) -> float:
    """Return the CPU time of one call in microseconds, over a round of them."""

    async def work() -> None:
        for _ in range(calls // AT_ONCE):
            await call()

    started = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.process_time() - started) / (calls // AT_ONCE * AT_ONCE) * 1e6


class Clients:
    """The three, each open and warm, in one event loop that runs only while one of them is measured."""

    def __init__(self, url: str, runner: asyncio.Runner, calls: int) -> None:
        self._runner = runner
        self._calls = calls
        self._url = f"{url}/things"
        self._events = 0
        runner.run(self._open(url))

    async def _open(self, url: str) -> None:
        headers = {"authorization": "Bearer x"}
        self._aiohttp = aiohttp.ClientSession(headers=headers)
        self._httpx = httpx.AsyncClient(headers=headers, limits=httpx.Limits(max_keepalive_connections=AT_ONCE))
        ports = Ports(events=EventStream((self._count,)))
        self._fairlead = Fairlead(parse_settings(CONFIG.format(url=url)), environment={"TOKEN": "x"}, ports=ports)
        self._http = self._fairlead.http("local")

    def _count(self, _: object) -> None:
        self._events += 1

    def close(self) -> None:
        """Close every socket."""
        self._runner.run(self._close())

    async def _close(self) -> None:
        await self._aiohttp.close()
        await self._httpx.aclose()
        await self._fairlead.close()

    def aiohttp(self) -> float:
        """Call with bare aiohttp."""

        async def call() -> object:
            async with self._aiohttp.get(self._url) as answer:
                return await answer.read()

        return self._runner.run(cpu_us(call, self._calls))

    def httpx(self) -> float:
        """Call with bare httpx."""

        async def call() -> object:
            return (await self._httpx.get(self._url)).content

        return self._runner.run(cpu_us(call, self._calls))

    def fairlead(self) -> float:
        """Call with Fairlead: signed, under breaker, concurrency and rate limit, with its events told."""

        async def call() -> object:
            return await self._http.get("/things")

        return self._runner.run(cpu_us(call, self._calls))


def measure(sheet: Sheet) -> None:
    """Print the three, and the ratios."""
    sheet.begin(f"CPU of a call, {AT_ONCE} at once", "aiohttp", "httpx")
    with elsewhere(serve) as port, asyncio.Runner() as runner:
        clients = Clients(f"http://127.0.0.1:{port}", runner, sheet.pick(1000, quick=AT_ONCE))
        measures = {"aiohttp": clients.aiohttp, "httpx": clients.httpx, "fairlead": clients.fairlead}
        found = in_turn(sheet.pick(9, quick=1), measures)
        clients.close()
    for name, values in found.items():
        sheet.row(
            f"{'bare ' if name in LIMITS else ''}{name}{'' if name in LIMITS else ', everything on'}", values, "us"
        )
    for name, limit in LIMITS.items():
        sheet.ratio(f"fairlead to {name}", found["fairlead"], found[name], limit)
