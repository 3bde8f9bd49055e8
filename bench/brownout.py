"""Play a brown-out on a clock that is a number: a vendor that fails, or is slow, for a minute of steady traffic.

What is printed is what the vendor is asked meanwhile, for each call of the callers, and how long after the end it takes
until calls are served again; beside it, the same callers with three naive tries. Nothing takes real time, and
every run prints the same.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable
from itertools import count
from typing import NamedTuple

from fairlead import errors
from fairlead.config.read import parse_settings
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Phase
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from harness import Limit, Sheet

BEGINS_S, LASTS_S, ENDS_S = 60.0, 60.0, 240.0
QUICK_S, SLOW_S, ATTEMPT_S = 0.05, 30.0, 5.0
DEADLINE_S = 10.0
#: What the retry budget promises, and its `burst`; and the longest that a breaker stays open, with the probe.
LOAD, BURST = 1.2, 10
RECOVERY = Limit(at_most=65)
CONFIG = """
[connections.vendor]
base_url = "http://vendor.test"
timeouts = {{ attempt_s = {attempt_s}, connect_s = {attempt_s}, read_s = {attempt_s} }}
concurrency = {{ limit = 200, queue = 1000 }}
{settings}
"""
#: Everything as it is by default; and without the breaker, to see what the retry budget does by itself.
WAYS = {"by default": "", "no breaker": "breaker = { window = 1000000, min_attempts = 1000000 }"}

OK = Response(status=200, headers=Headers())
TIMEOUT = Broken(Failure.TIMEOUT, Phase.WAITING, "timeout")
ILL = Response(status=503, headers=Headers())
Ask = Callable[[], Awaitable[bool]]


class Time:
    """The clock of the play: it jumps to the next waiter once nobody has anything left to do."""

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """Return the seconds since the play began."""
        return self._now

    def wall(self) -> float:
        """Return seconds since 1970."""
        return 1.75e9 + self._now

    async def sleep(self, seconds: float) -> None:
        """Wait for the play to come there."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._now + seconds, next(self._order), future))
        await future

    async def run(self, play: Awaitable[None]) -> None:
        """Let the time pass until the play is over."""
        task = asyncio.ensure_future(play)
        while not task.done():
            for _ in range(12):  # as many turns as it takes from a waiter to the next wait
                await asyncio.sleep(0)
            if self._waiting:
                at, _, future = heapq.heappop(self._waiting)
                self._now = max(self._now, at)
                if not future.done():
                    future.set_result(None)
        task.result()


class Vendor:
    """A transport: well, but for a minute in which it fails at once, or is slower than anybody waits."""

    def __init__(self, time: Time, *, is_slow: bool) -> None:
        self._time = time
        self._is_slow = is_slow
        self.asked_at: list[float] = []

    async def exchange(self, request: Request, *, timeout_s: float) -> Response | Broken:  # noqa: ARG002  # its port
        """Answer."""
        self.asked_at.append(self._time.monotonic())
        is_ill = BEGINS_S <= self._time.monotonic() < BEGINS_S + LASTS_S
        takes_s = SLOW_S if is_ill and self._is_slow else QUICK_S
        await self._time.sleep(min(takes_s, timeout_s))
        if takes_s > timeout_s:
            return TIMEOUT
        return ILL if is_ill else OK

    async def close(self) -> None:
        """Do nothing."""

    def disown(self) -> None:
        """Do nothing."""


def ours(time: Time, vendor: Vendor, settings: str) -> Ask:
    """Return a call through Fairlead."""
    text = CONFIG.format(attempt_s=ATTEMPT_S, settings=settings)
    ports = Ports(clock=time, random=random.Random(1).random)  # noqa: S311  # jitter
    http = Fairlead(parse_settings(text), environment={}, connect=lambda _: vendor, ports=ports).http("vendor")

    async def ask() -> bool:
        try:
            await http.get("/things", deadline_s=DEADLINE_S)
        except errors.FairleadError:
            return False
        return True

    return ask


def naive(time: Time, vendor: Vendor) -> Ask:
    """Return three tries, with a backoff and nothing else."""
    request = Request.get("/things")

    async def ask() -> bool:
        for attempt in range(3):
            answer = await vendor.exchange(request, timeout_s=ATTEMPT_S)
            if isinstance(answer, Response) and answer.status == 200:
                return True
            await time.sleep(0.1 * 2**attempt)
        return False

    return ask


class Played(NamedTuple):
    """What came of a play: the load during the brown-out, the seconds to recover, and the share that was served."""

    load: float
    recovered_s: float
    served: float


async def play(make: Callable[[Time, Vendor], Ask], *, is_slow: bool, per_s: int) -> Played:
    """Play it: so many callers a second, whatever comes of the calls before."""
    time = Time()
    vendor = Vendor(time, is_slow=is_slow)
    ask = make(time, vendor)
    served: list[tuple[float, bool]] = []

    async def call() -> None:
        asked_at = time.monotonic()
        served.append((asked_at, await ask()))

    async def traffic() -> None:
        calls = []
        for _ in range(int(ENDS_S * per_s)):
            calls.append(asyncio.create_task(call()))
            await time.sleep(1 / per_s)
        await asyncio.gather(*calls)

    await time.run(traffic())
    over_s = BEGINS_S + LASTS_S
    load = sum(BEGINS_S <= at < over_s for at in vendor.asked_at) / (LASTS_S * per_s)
    last_s = max((at for at, is_good in served if not is_good), default=over_s)
    return Played(load, max(0.0, last_s - over_s), sum(is_good for _, is_good in served) / len(served))


def measure(sheet: Sheet) -> None:
    """Print what the vendor is asked during the brown-out for each call of ours, and the seconds to recover."""
    sheet.begin(f"A vendor that is ill for {LASTS_S:.0f} s")
    per_s = sheet.pick(20, quick=1)
    #: The budget gives its burst beside the share.
    load = Limit(at_most=round(LOAD + BURST / (LASTS_S * per_s), 3))
    for illness, is_slow in (("fails", False), ("is slow", True)):
        for title, settings in WAYS.items():

            def make(time: Time, vendor: Vendor, settings: str = settings) -> Ask:
                return ours(time, vendor, settings)

            played = asyncio.run(play(make, is_slow=is_slow, per_s=per_s))
            sheet.row(f"{illness}: asked of it, {title}", [played.load], "x", load)
            sheet.row(f"{illness}: time to recover, {title}", [played.recovered_s], "s", RECOVERY)
        played = asyncio.run(play(naive, is_slow=is_slow, per_s=per_s))
        sheet.row(f"{illness}: asked of it, three naive tries", [played.load], "x")
