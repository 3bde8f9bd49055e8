"""Measure what the strategies cost a call that goes well: each on its own.

The bytes are what one more call leaves behind, once the strategy is warm: nothing, or it would grow.
"""

from __future__ import annotations

import timeit
import tracemalloc
from collections.abc import Callable

from fairlead.resilience.adaptive import AdaptiveLimit, AdaptiveOptions
from fairlead.resilience.breaker import Breaker, BreakerOptions
from fairlead.resilience.budget import Budget
from fairlead.resilience.chaos import Chaos
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.health import Health
from fairlead.resilience.hedge import Hedge
from fairlead.resilience.pause import FREE, Pause
from harness import Sheet

ROUNDS = 15
CALLS = 50_000
WARM = 2_000


def breaker(options: BreakerOptions) -> Callable[[], None]:
    """Admit, and record a success."""
    machine = Breaker(options)
    admit, record = machine.admit, machine.record

    def call() -> None:
        record(admit(1.0), is_good=True, seconds=0.1, now=1.0)  # type: ignore[arg-type]  # closed, it admits

    return call


def breaker_that_failed() -> Callable[[], None]:
    """Admit, and record a success, once in twenty a failure: the window is never spotless."""
    machine = Breaker(BreakerOptions())
    at = 0

    def call() -> None:
        nonlocal at
        at += 1
        machine.record(machine.admit(1.0), is_good=at % 20 != 0, seconds=0.1, now=1.0)  # type: ignore[arg-type]  # closed

    return call


def concurrency(adaptive: AdaptiveLimit | None = None) -> Callable[[], None]:
    """Take a place, tell how it went, and give it back."""
    machine = Concurrency(limit=50, queue=100, adaptive=adaptive)
    admit, record, release = machine.admit, machine.record, machine.release

    def call() -> None:
        admit()
        if adaptive:
            record(0.1, now=1.0)
        release()

    return call


def budget() -> Callable[[], None]:
    """Earn for a call, with an account that is not full."""
    machine = Budget()
    deposit, withdraw = machine.deposit, machine.withdraw

    def call() -> None:
        withdraw(0.2)
        deposit(1.0)

    return call


def pause() -> Callable[[], None]:
    """Ask, and tell that it was served."""
    machine = Pause()

    def call() -> None:
        if machine.admit(1.0) == FREE:
            machine.end(1.0)

    return call


def hedge() -> Callable[[], None]:
    """Ask for the delay, and tell how long the answer took."""
    machine = Hedge(Budget())

    def call() -> None:
        machine.delay_s()
        machine.record(0.1)

    return call


def health() -> Callable[[], None]:
    """Ask whether it is of the share, and tell how it went."""
    machine = Health()

    def call() -> None:
        if machine.admits(1.0):
            machine.record(is_good=True, seconds=0.1, now=1.0)

    return call


def chaos() -> Callable[[], None]:
    """Ask what shall go wrong, while it is off."""
    machine = Chaos()

    def call() -> None:
        machine.decide("one", "recipes.search", now=1.0, random=lambda: 0.5)

    return call


STRATEGIES: dict[str, Callable[[], Callable[[], None]]] = {
    "nothing: the loop of the measurement": lambda: lambda: None,
    "breaker, by number": lambda: breaker(BreakerOptions()),
    "breaker, by number, one in twenty fails": breaker_that_failed,
    "breaker, by time, with slow answers": lambda: breaker(BreakerOptions(window_s=60, slow_s=2.0)),
    "pause": pause,
    "concurrency": concurrency,
    "concurrency, adaptive": lambda: concurrency(AdaptiveLimit(AdaptiveOptions())),
    "budget: a retry and a call": budget,
    "hedge": hedge,
    "health": health,
    "chaos, off": chaos,
}


def left_behind(call: Callable[[], None]) -> float:
    """Return how many bytes a call leaves behind."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(WARM):
        call()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return max(0, after - before) / WARM


def measure(sheet: Sheet) -> None:
    """Print what each costs."""
    calls = sheet.pick(CALLS, quick=100)
    sheet.begin(f"Strategies, a call that goes well: rounds of {calls} calls")
    for name, make in STRATEGIES.items():
        call = make()
        for _ in range(WARM):
            call()
        rounds = timeit.repeat(call, number=calls, repeat=sheet.pick(ROUNDS, quick=1))
        sheet.row(name, [each / calls * 1e6 for each in rounds], "us", digits=3)
        sheet.row(f"{name}: left behind", [left_behind(call)], "bytes", digits=1)
