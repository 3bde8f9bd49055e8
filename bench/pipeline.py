"""Measure what the strategies cost in CPU, without a network: the whole pipeline around a transport that does nothing.

On are a deadline, retries with a budget, the breaker, the concurrency limit, two rate windows, and the events, with
nobody who listens. Where `make rivals` has set up its environment, the usual composition of libraries does the same
there, round by round beside ours: stamina, purgatory, a semaphore, aiolimiter and asyncio.timeout.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairlead.config.read import parse_settings
from fairlead.model.call import Call
from fairlead.model.deadline import Deadline
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Failure, Phase
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.pipeline import perform
from fairlead.runtime.ports import Ports, SystemClock
from fairlead.runtime.trail import Trail

ROUNDS = 31
CALLS = 1500
RIVALS = Path(__file__).parents[1] / ".venv-rivals" / "bin" / "python"
#: What no change may exceed: microseconds of CPU, and the share of the composition where neither suspends.
LIMITS_US = {"succeeds": 6.0, "succeeds, suspending once (added)": 8.0, "fails, repeats, succeeds": 20.0}
LIMIT_SHARE = 0.15

OK = Response(status=200, headers=Headers())
LOST = Broken(Failure.RESET, Phase.CONNECTING, "lost")
REQUEST = Request.get("/things")
CONFIG = """
[connections.local]
base_url = "http://vendor.test"
retry = { budget = { share = 1.0, burst = 1000000 } }
breaker = { window = 100, failure_share = 0.9 }
rates = [
  { requests = 1000000, per_s = 1, burst = 1000000 },
  { requests = 100000000, per_s = 86400, burst = 100000000 },
]
"""
Run = Callable[[], Awaitable[object]]


class Vendor:
    """A transport without a socket. It may suspend once, and fail every other time."""

    def __init__(self, *, suspends: bool = False, fails: bool = False) -> None:
        self._suspends = suspends
        self._fails = fails
        self._asked = 0

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:  # noqa: ARG002  # its port
        """Answer."""
        if self._suspends:
            await asyncio.sleep(0)
        if self._fails:
            self._asked += 1
            if self._asked % 2:
                return LOST
        return OK

    async def close(self) -> None:
        """Do nothing."""

    def disown(self) -> None:
        """Do nothing."""


class QuickClock(SystemClock):
    """The machine's time; no wait takes any. Beside others, whose wait of 0 s lets the loop turn, ours does so too."""

    def __init__(self, *, turns: bool) -> None:
        self._turns = turns

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002  # however long
        """Return at once."""
        if self._turns:
            await asyncio.sleep(0)


def ours(vendor: Vendor, *, turns: bool = False) -> Run:
    """Return one call through the pipeline."""
    ports = Ports(clock=QuickClock(turns=turns))
    fl = Fairlead(parse_settings(CONFIG), environment={}, connect=lambda _options: vendor, ports=ports)
    candidates = (fl.connection("local"),)
    deadline = Deadline.after(1e6, now=ports.clock.monotonic())
    call = Call(id="1", correlation_id="1", operation="things", deadline=deadline)

    def operation(_connection: Connection) -> Operation[Response]:
        return (yield REQUEST)

    def run() -> Awaitable[object]:
        return perform(call, candidates, operation, Trail(), ports)

    return run


def composed(vendor: Vendor) -> Run:
    """Return one call through the composition of libraries, each as its documentation shows it."""
    stamina, purgatory, aiolimiter = (import_module(name) for name in ("stamina", "purgatory", "aiolimiter"))
    stamina.instrumentation.set_on_retry_hooks([])
    breakers = purgatory.AsyncCircuitBreakerFactory(default_threshold=1000, default_ttl=5)
    places = asyncio.Semaphore(50)
    second, day = aiolimiter.AsyncLimiter(1e6, 1), aiolimiter.AsyncLimiter(1e8, 86400)

    @stamina.retry(on=ConnectionError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)
    @breakers("vendor")
    async def ask() -> Response:
        async with places, second, day, asyncio.timeout(10):
            answer = await vendor.exchange(REQUEST, timeout_s=10)
        if isinstance(answer, Broken):
            raise ConnectionResetError
        return answer

    async def run() -> object:
        async with asyncio.timeout(30):
            return await ask()

    return run


async def cpu_us(run: Run) -> float:
    """Return the CPU time of one call in microseconds, over a round of them."""
    gc.collect()
    started = time.process_time()
    for _ in range(CALLS):
        await run()
    return (time.process_time() - started) / CALLS * 1e6


def kinds() -> dict[str, dict[str, Any]]:
    """Return the vendors of the three ways to go."""
    return dict(zip(LIMITS_US, ({}, {"suspends": True}, {"fails": True}), strict=True))


async def measure() -> None:
    """Print what ours costs."""
    added = list(LIMITS_US)[1]
    for title, options in kinds().items():
        run, vendor = ours(Vendor(**options)), Vendor(suspends=True)

        async def bare(vendor: Vendor = vendor) -> object:
            return await vendor.exchange(REQUEST, timeout_s=1)

        await cpu_us(run)
        costs = []
        for _ in range(ROUNDS):
            own = await cpu_us(bare) if title == added else 0.0
            costs.append(await cpu_us(run) - own)
        show(title, costs, LIMITS_US[title], "us CPU")


async def compare() -> None:
    """Print what ours costs of the composition."""
    print("\n" + ", ".join(f"{name} {version(name)}" for name in ("stamina", "purgatory", "aiolimiter")))
    for title, options in kinds().items():
        one, other = ours(Vendor(**options), turns=True), composed(Vendor(**options))
        await cpu_us(one)
        await cpu_us(other)
        rounds = [(await cpu_us(one), await cpu_us(other)) for _ in range(ROUNDS)]
        name = title.removesuffix(" (added)")
        print(f"{name + ', composed':44} {statistics.median(theirs for _, theirs in rounds):8.2f} us CPU")
        limit = None if options else LIMIT_SHARE  # a turn of the event loop costs both the same
        show(f"{name}, our share of it", [mine / theirs for mine, theirs in rounds], limit, "")


def show(title: str, values: list[float], limit: float | None, unit: str) -> None:
    """Print a median, its range and its limit."""
    low, middle, high = min(values), statistics.median(values), max(values)
    verdict = "" if limit is None else f", at most {limit:g}: {'ok' if middle <= limit else 'ABOVE'}"
    print(f"{title:44} {middle:8.2f} {unit:7} ({low:.2f} to {high:.2f}){verdict}")


def main() -> None:
    """Measure ours; and, where they are installed, the others beside it."""
    if "--compare" in sys.argv:
        asyncio.run(compare())
        return
    print(f"fairlead {version('fairlead')}, Python {platform.python_version()}, medians of {ROUNDS} rounds")
    asyncio.run(measure())
    if RIVALS.exists():
        sys.stdout.flush()
        subprocess.run([RIVALS, __file__, "--compare"], check=True)  # noqa: S603  # our own file
    else:
        print("`make rivals` sets up what the composition of other libraries is measured with.")


if __name__ == "__main__":
    main()
