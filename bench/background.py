"""Measure calls in the background: how many are on disk in a second, and how soon one is begun.

All goes through the library's own face, onto SQLite that waits for the disk. What is enqueued is not due yet, so that
making the calls does not mix with keeping them; then single calls are made at once, to a server of their own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fairlead.config.read import parse_settings
from fairlead.observe.events import Event, EventStream, JobEnded
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from harness import Limit, Sheet, elsewhere
from server import serve

CALLERS = 64
CALLS = 20_000
SINGLE = 200
ROUNDS = 5
LATER_S = 86_400.0
RATE, START = Limit(at_least=5000), Limit(at_most=20)
CONFIG = """
[connections.shop]
base_url = "{url}"
allow_private = true

[storage]
url = "{path}"
"""


def measure(sheet: Sheet) -> None:
    """Print calls a second that were kept, and the time from keeping one to its beginning."""
    sheet.begin(f"Calls in the background, {CALLERS} callers, SQLite with synchronous=FULL", "pysqlite3")
    with elsewhere(serve) as port:
        url = f"http://127.0.0.1:{port}"
        rates = [asyncio.run(_enqueue(url, sheet.pick(CALLS, quick=200))) for _ in range(sheet.pick(ROUNDS, quick=1))]
        waits = asyncio.run(_start(url, sheet.pick(SINGLE, quick=5)))
    sheet.row("kept", rates, "calls/s", RATE, digits=0)
    sheet.row("from keeping one to its beginning", [each * 1000 for each in waits], "ms", START)


async def _enqueue(url: str, number: int) -> float:
    """Keep so many calls for later; return how many a second."""
    async with _opened(url, []) as fl:
        http = fl.http("shop")
        later = time.time() + LATER_S  # noqa: TID251  # a date
        left = iter(range(number))

        async def keep() -> None:
            for at in left:
                await http.post("/things", json={"number": at, "text": "x" * 300}, background=True, run_at=later)

        await http.post("/things", json={}, background=True, run_at=later)  # the file is open
        started = time.perf_counter()
        await asyncio.gather(*(keep() for _ in range(CALLERS)))
        return number / (time.perf_counter() - started)


async def _start(url: str, number: int) -> list[float]:
    """Make single calls, one after the other; return the seconds from keeping each to its beginning."""
    events: list[Event] = []
    async with _opened(url, events) as fl:
        for _ in range(number):
            call = await fl.http("shop").post("/things", json={}, background=True)
            await fl.calls.wait(call)
    return [each.waited_s for each in events if isinstance(each, JobEnded) and each.kind == "call"]


@asynccontextmanager
async def _opened(url: str, events: list[Event]) -> AsyncIterator[Fairlead]:
    """Open a Fairlead over a file of its own."""
    with tempfile.TemporaryDirectory() as place:
        settings = parse_settings(CONFIG.format(url=url, path=Path(place) / "jobs.db"))
        ports = Ports(events=EventStream((events.append,)))
        async with Fairlead(settings, environment={}, ports=ports) as fl:
            yield fl
