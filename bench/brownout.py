"""Play a brown-out on a clock that is a number: a vendor that fails, or is slow, for a minute of steady traffic.

What is printed is what the vendor is asked meanwhile, as a share of what the callers ask, and how long after the end it
takes until calls are served again; beside it, the same callers with three naive tries. Nothing takes real time, and
every run prints the same.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from itertools import count

from fairlead import errors
from fairlead.config.read import parse_settings
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Failure, Phase
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports

PER_S = 20
BEGINS_S, LASTS_S, ENDS_S = 60.0, 60.0, 240.0
QUICK_S, SLOW_S, ATTEMPT_S = 0.05, 30.0, 5.0
DEADLINE_S = 10.0
#: What no change may exceed: what is asked of the vendor, for each that is asked of us, beside the budget's `burst`;
#: and the seconds to recover, which are those of the longest probe.
LIMIT_LOAD, BURST, LIMIT_RECOVERY_S = 1.2, 10, 65.0
CONFIG = """
[connections.vendor]
base_url = "http://vendor.test"
timeouts = {{ attempt_s = {attempt_s}, connect_s = {attempt_s}, read_s = {attempt_s} }}
concurrency = {{ limit = 200, queue = 1000 }}
{settings}
"""
#: Everything as it is by default; and without the breaker, to see what the retry budget does by itself.
WITH_BREAKER = ""
BUDGET_ALONE = "breaker = { window = 1000000, min_attempts = 1000000 }"

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


async def play(title: str, make: Callable[[Time, Vendor], Ask], *, is_slow: bool) -> tuple[float, float]:
    """Play it; print and return the load during the brown-out, and the seconds to recover."""
    time = Time()
    vendor = Vendor(time, is_slow=is_slow)
    ask = make(time, vendor)
    served: list[tuple[float, bool]] = []

    async def call() -> None:
        asked_at = time.monotonic()
        served.append((asked_at, await ask()))

    async def traffic() -> None:
        calls = []
        for _ in range(int(ENDS_S * PER_S)):
            calls.append(asyncio.create_task(call()))
            await time.sleep(1 / PER_S)
        await asyncio.gather(*calls)

    await time.run(traffic())
    over_s = BEGINS_S + LASTS_S
    load = sum(BEGINS_S <= at < over_s for at in vendor.asked_at) / (LASTS_S * PER_S)
    recovered_s = max((at for at, is_good in served if not is_good), default=over_s) - over_s
    good = sum(is_good for _, is_good in served) / len(served)
    print(f"{title:44} {load:6.2f}x asked of the vendor, {max(0.0, recovered_s):5.1f} s to recover, {good:6.1%} served")
    return load, recovered_s


def main() -> None:
    """Print the figures."""
    print(f"fairlead {version('fairlead')}, {PER_S} calls a second, ill for {LASTS_S:.0f} s")
    for name, is_slow in (("fails at once", False), ("is slow", True)):
        for title, settings in (("by default", WITH_BREAKER), ("the retry budget alone", BUDGET_ALONE)):
            load, recovered_s = asyncio.run(
                play(f"{name}: {title}", lambda time, vendor, s=settings: ours(time, vendor, s), is_slow=is_slow)
            )
            calls = LASTS_S * PER_S
            is_kept = load * calls <= LIMIT_LOAD * calls + BURST and recovered_s <= LIMIT_RECOVERY_S
            verdict = "ok" if is_kept else "ABOVE"
            print(f"{'':44} at most {LIMIT_LOAD}x and {BURST} more, and {LIMIT_RECOVERY_S:.0f} s: {verdict}")
        asyncio.run(play(f"{name}: three naive tries", naive, is_slow=is_slow))


if __name__ == "__main__":
    main()
