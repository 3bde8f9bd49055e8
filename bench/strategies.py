"""Measure the strategies that stand in the way of every call: time on the success path, and memory for each key."""

from __future__ import annotations

import statistics
import timeit
import tracemalloc
from collections.abc import Callable

from fairlead.model.headers import Headers
from fairlead.resilience.fair import FairLine
from fairlead.resilience.keyed import KeyedLimit
from fairlead.resilience.learned import Learned
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import Gcra, SlidingWindow
from fairlead.spec.limits import parse_limits
from harness import Sheet

ROUNDS = 11
CALLS = 50_000
KEYS = 1_000_000
STEP_S = 1e-6
# More than is asked for, so that every call is let go.
PLENTY = 1e8


def cost(sheet: Sheet, title: str, call: Callable[[float], object]) -> None:
    """Print what one call costs; the time it is given goes on by a microsecond a call."""
    now = 0.0

    def once() -> None:
        nonlocal now
        now += STEP_S
        call(now)

    def nothing(_now: float) -> None:
        pass

    calls, repeat = sheet.pick(CALLS, quick=100), sheet.pick(ROUNDS, quick=1)
    rounds = timeit.repeat(once, number=calls, repeat=repeat)
    measured, call = call, nothing
    empty = statistics.median(timeit.repeat(once, number=calls, repeat=repeat))
    call = measured
    sheet.row(title, [(each - empty) / calls * 1e6 for each in rounds], "us")


def measure_keys(sheet: Sheet) -> None:
    """Print what a million keys take, each a text of 24 characters that counts as well."""
    keys = sheet.pick(KEYS, quick=1000)
    keyed = KeyedLimit(Gcra(10, 1.0), Gcra(1000, 86_400.0))
    tracemalloc.start()
    for at in range(keys):
        keyed.admit(f"stripe-eu:tenant-{at:07d}", 0.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sheet.row(f"a key of two windows, of {keys:,}", [size / keys], "bytes", digits=0)
    names = [f"stripe-eu:tenant-{at:07d}" for at in range(0, keys, 97)]
    at = 0

    def admit(now: float) -> None:
        nonlocal at
        at = (at + 1) % len(names)
        keyed.admit(names[at], now + 1.0, longest_wait_s=1e9)

    cost(sheet, "a turn for one of them", admit)


def measure(sheet: Sheet) -> None:
    """Print the figures."""
    sheet.begin("Rate limits: a turn, and a key")
    bucket = RateLimit(Gcra(PLENTY, 1.0))
    buckets = RateLimit(Gcra(PLENTY, 1.0), Gcra(PLENTY * 1000, 86_400.0))
    sliding = RateLimit(SlidingWindow(1000, 1000 * STEP_S), SlidingWindow(PLENTY, 86_400.0))
    heard = Learned()
    limits = Headers(
        (("content-type", "application/json"), ("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "59"),
         ("x-ratelimit-reset", "1377013266"), ("date", "Tue, 20 Aug 2013 14:50:41 GMT"))
    )  # fmt: skip
    silent = Headers((f"x-header-{at}", "value") for at in range(12))
    line = FairLine(RateLimit(Gcra(PLENTY, 1.0)))
    cost(sheet, "a turn in one bucket", bucket.admit)
    cost(sheet, "a turn in two buckets", buckets.admit)
    cost(sheet, "a turn in two sliding windows", sliding.admit)
    cost(sheet, "a turn in a bucket and what was learned", RateLimit(Gcra(PLENTY, 1.0), heard).admit)
    cost(sheet, "a turn at the fair line", lambda now: line.join("key", now))
    cost(sheet, "an answer that says nothing of limits", lambda now: parse_limits(silent, now=now))
    cost(sheet, "an answer that does", lambda now: heard.note(parse_limits(limits, now=now), now))
    measure_keys(sheet)
