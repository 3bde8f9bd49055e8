"""Measure what the strategies cost in CPU, without a network: the whole pipeline around a transport that does nothing.

On are a deadline, retries with a budget, the breaker, the concurrency limit, two rate windows, and the events, with
nobody who listens. Where `make rivals` has set up its environment, the usual composition of libraries does the same
there, round by round beside ours: stamina, purgatory, a semaphore, aiolimiter and asyncio.timeout.
"""

from __future__ import annotations

import asyncio
import gc
import json
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
from harness import Limit, Sheet, in_turn

RIVALS = Path(__file__).parents[1] / ".venv-rivals" / "bin" / "python"
LIMITS = {
    "succeeds": Limit(at_most=6),
    "suspends once": Limit(at_most=8),
    "fails, repeats, succeeds": Limit(at_most=20),
}
#: Of these, what is added to the bare transport counts.
ADDED = {"suspends once"}
#: Where a call suspends, a turn of the event loop costs both the same.
SHARES = {"succeeds": Limit(at_most=0.15)}

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

    async def attempt() -> Response:
        async with places, second, day, asyncio.timeout(10):
            answer = await vendor.exchange(REQUEST, timeout_s=10)
        if isinstance(answer, Broken):
            raise ConnectionResetError
        return answer

    retried = stamina.retry(on=ConnectionError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)
    ask: Run = retried(breakers("vendor")(attempt))

    async def run() -> object:
        async with asyncio.timeout(30):
            return await ask()

    return run


async def cpu_us(run: Run, calls: int) -> float:
    """Return the CPU time of one call in microseconds, over a round of them."""
    gc.collect()
    started = time.process_time()
    for _ in range(calls):
        await run()
    return (time.process_time() - started) / calls * 1e6


#: The ways that a call may go, and the vendors for it.
WAYS: dict[str, dict[str, Any]] = {
    "succeeds": {},
    "suspends once": {"suspends": True},
    "fails, repeats, succeeds": {"fails": True},
}


def measure(sheet: Sheet) -> None:
    """Print what ours costs; and, where they are installed, its share of what the composition costs."""
    sheet.begin("CPU of the pipeline alone, around a transport that does nothing")
    calls, rounds = sheet.pick(1500, quick=50), sheet.pick(31, quick=2)
    with asyncio.Runner() as runner:
        for way, options in WAYS.items():
            measures = {"ours": timed(runner, ours(Vendor(**options)), calls)}
            if way in ADDED:
                measures["bare"] = timed(runner, bare(Vendor(**options)), calls)
            found = in_turn(rounds, measures)
            added = [mine - own for mine, own in zip(found["ours"], found.get("bare", [0.0] * rounds), strict=True)]
            sheet.row(f"{way}, added" if way in ADDED else way, added, "us", LIMITS[way])
    if not RIVALS.exists():
        sheet.note("Not compared: `make rivals` sets up what the composition of other libraries is measured with.")
        return
    command = [str(RIVALS), __file__, str(calls), str(rounds)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own file
    compared = json.loads(told.stdout)
    sheet.note(f"beside {compared['versions']}")
    for way, found in compared["ways"].items():
        sheet.row(f"{way}, composed", found["composed"], "us")
        sheet.ratio(f"{way}, our share of that", found["ours"], found["composed"], SHARES.get(way))


def timed(runner: asyncio.Runner, run: Run, calls: int) -> Callable[[], float]:
    """Return what measures one way of calling."""
    return lambda: runner.run(cpu_us(run, calls))


def bare(vendor: Vendor) -> Run:
    """Return the transport by itself."""
    return lambda: vendor.exchange(REQUEST, timeout_s=1)


def compare(calls: int, rounds: int) -> None:
    """Measure both in turn, in the environment of the others; print the rounds as JSON."""
    with asyncio.Runner() as runner:
        ways = {
            way: in_turn(
                rounds,
                {
                    "ours": timed(runner, ours(Vendor(**options), turns=True), calls),
                    "composed": timed(runner, composed(Vendor(**options)), calls),
                },
            )
            for way, options in WAYS.items()
        }
    versions = ", ".join(f"{name} {version(name)}" for name in ("stamina", "purgatory", "aiolimiter"))
    print(json.dumps({"versions": versions, "ways": ways}))


if __name__ == "__main__":
    compare(*map(int, sys.argv[1:3]))
