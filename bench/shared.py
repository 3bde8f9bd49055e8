"""What sharing through Redis costs a process: time, processor time and commands, for each turn of a call.

It starts a server of its own on loopback, as the tests do.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fairlead.config.settings import State
from fairlead.config.sources import ProcessSources
from fairlead.resilience.shared_breaker import SharedBreaker
from fairlead.runtime.ports import Ports
from fairlead.runtime.shared import SharedState, open_state
from fairlead.storage.leases import Span
from fairlead.storage.redis import Redis, parse_url
from harness import Sheet
from redis_server import find_program, running

CALLERS = 64
ROUNDS = 5
CALLS = 64_000
PINGS = 32_000
# Far beyond what one process asks for; and just what it gets, so that every call stands in line.
PLENTY = Span(10_000_000, 1.0)
TIGHT = Span(30_000, 1.0)


class _Meter:
    """Makes calls by many callers at once, and prints what one of them costs."""

    def __init__(self, sheet: Sheet, control: Redis) -> None:
        self._sheet = sheet
        self._control = control

    async def read(self, title: str, calls: int, call: Callable[[], Awaitable[object]]) -> None:
        """Print the median of a few rounds of so many calls."""
        walls, costs, asked = [], [], []
        for _ in range(self._sheet.pick(ROUNDS, quick=1)):
            before = await self._commands()
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*(_repeat(call, calls // CALLERS) for _ in range(CALLERS)))
            done = calls // CALLERS * CALLERS
            costs.append((time.process_time() - cpu) / done * 1e6)
            walls.append((time.perf_counter() - wall) / done * 1e6)
            asked.append((await self._commands() - before) / done)
        self._sheet.row(f"{title}: time", walls, "us")
        self._sheet.row(f"{title}: processor", costs, "us")
        self._sheet.row(f"{title}: commands a call", asked, "", digits=4)

    async def _commands(self) -> int:
        """Count the commands that the server was given, but for those of this meter, and those inside a script."""
        told = (await self._control.call("INFO", "commandstats")).decode()
        calls = re.findall(r"cmdstat_([a-z|]+):calls=(\d+)", told)
        return sum(int(number) for name, number in calls if name in {"evalsha", "eval", "ping", "publish"})


async def _repeat(call: Callable[[], Awaitable[object]], times: int) -> None:
    for _ in range(times):
        await call()
        await asyncio.sleep(0)  # as a call gives way to others when it is sent


async def _measure(sheet: Sheet, url: str) -> None:
    ports = Ports()
    control = Redis(parse_url(url, answer_s=5.0), clock=ports.clock, random=random.random)
    control.open()
    await control.wait_first_try(5.0)
    state = open_state(State(url=url, prefix="bench"), source="bench", sources=ProcessSources({}), ports=ports)
    assert isinstance(state, SharedState)  # noqa: S101  # a URL was given
    plenty, tight = state.rate("plenty", (PLENTY,)), state.rate("tight", (TIGHT,))
    breaker = SharedBreaker()
    link = state.link("breaker", breaker)
    await state.ensure()

    async def take_with_room() -> None:
        if not plenty.admit():
            await plenty.take(longest_wait_s=10.0)

    async def take_in_line() -> None:
        if not tight.admit():
            await tight.take(longest_wait_s=30.0)

    async def pass_breaker() -> None:
        await link.prepare()
        ticket = breaker.admit(ports.clock.monotonic())
        assert ticket is not None  # noqa: S101  # it is closed
        breaker.record(ticket, is_good=True, now=ports.clock.monotonic())

    meter = _Meter(sheet, control)
    calls, pings = sheet.pick(CALLS, quick=CALLERS), sheet.pick(PINGS, quick=CALLERS)
    await meter.read("a closed breaker", calls, pass_breaker)
    await meter.read("a command by itself", pings, lambda: control.call("PING"))
    await meter.read("a limit with room", calls, take_with_room)
    await meter.read("a limit of 30,000/s, full", calls, take_in_line)
    await state.close()
    await control.close()


def measure(sheet: Sheet) -> None:
    """Measure a breaker, a command, and a limit with and without room."""
    sheet.begin(f"State shared through Redis, {CALLERS} callers")
    try:
        find_program("redis")
    except RuntimeError as missing:
        sheet.note(f"Not measured: {missing}")
        return
    with running() as server:
        asyncio.run(_measure(sheet, server.url))
