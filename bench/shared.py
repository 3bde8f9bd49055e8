"""Measure what sharing through Redis costs a process: decisions a second, CPU for each, and commands for each.

It starts a server of its own on loopback, as the tests do; or name another's address: `bench/shared.py redis://...`.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import random
import re
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fairlead.config.settings import State
from fairlead.config.sources import ProcessSources
from fairlead.resilience.shared_breaker import SharedBreaker
from fairlead.runtime.ports import Ports
from fairlead.runtime.shared import SharedState, open_state
from fairlead.storage.leases import Span
from fairlead.storage.redis import Redis, parse_url
from redis_server import running

CALLERS = 64
CALLS = 200_000
PINGS = 50_000
# Far beyond what one process asks for; and just what it gets, so that every call stands in line.
PLENTY = Span(10_000_000, 1.0)
TIGHT = Span(30_000, 1.0)


async def measure(title: str, calls: int, call: Callable[[], Awaitable[object]], control: Redis) -> None:
    """Print what one call costs, made by many callers at once."""
    before = await commands(control)

    async def caller() -> None:
        for _ in range(calls // CALLERS):
            await call()
            await asyncio.sleep(0)  # as a call gives way to others when it is sent

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done = calls // CALLERS * CALLERS
    asked = (await commands(control) - before) / done
    print(f"{title:44} {done / wall:10,.0f} /s {cpu / done * 1e6:8.2f} us CPU {asked:8.4f} commands a call")


async def commands(control: Redis) -> int:
    """Count the commands that the server was given, but for those of this script's own questions."""
    told = (await control.call("INFO", "commandstats")).decode()
    calls = re.findall(r"cmdstat_([a-z|]+):calls=(\d+)", told)
    # A script's own commands are counted too; they are the server's affair.
    return sum(int(number) for name, number in calls if name in {"evalsha", "eval", "ping", "publish"})


async def run(url: str) -> None:
    """Print the figures."""
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

    async def shared_rate() -> None:
        if not plenty.admit():
            await plenty.take(longest_wait_s=10.0)

    async def saturated() -> None:
        if not tight.admit():
            await tight.take(longest_wait_s=30.0)

    async def closed_breaker() -> None:
        await link.prepare()
        ticket = breaker.admit(ports.clock.monotonic())
        assert ticket is not None  # noqa: S101  # it is closed
        breaker.record(ticket, is_good=True, now=ports.clock.monotonic())

    await measure("a closed breaker", CALLS, closed_breaker, control)
    await measure("a command by itself", PINGS, lambda: control.call("PING"), control)
    await measure("a turn of a limit with room", CALLS, shared_rate, control)
    await measure("a turn of a limit of 30,000/s, saturated", CALLS // 2, saturated, control)
    await state.close()
    await control.close()


def main() -> None:
    """Start a server, unless one is named."""
    print(f"fairlead {version('fairlead')}, Python {platform.python_version()}, {CALLERS} callers")
    with contextlib.ExitStack() as stack:
        url = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(running()).url
        asyncio.run(run(url))


if __name__ == "__main__":
    main()
