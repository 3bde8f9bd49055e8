"""Play an outage: what an application saw of it, beside what its vendors did.

An application asks, a few calls at a time. For each of its calls, every vendor is asked the same thing directly, once,
by a client that waits as long and does nothing else: what the application would have seen without Fairlead.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking once; `seconds` until it came."""

    is_ok: bool
    seconds: float
    served_by: str | None = None
    is_stale: bool = False


Ask = Callable[[str], Awaitable[Seen]]


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the story: `prepare` brings the vendors into their state, then every query is asked once."""

    name: str
    title: str
    prepare: Callable[[], Awaitable[None]]
    queries: Sequence[str]


class VendorFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How one vendor did when asked directly. Times are those of its good answers, in milliseconds."""

    success_rate: float
    p50_ms: float | None
    p99_ms: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One phase in numbers. `p50_ms` and `p99_ms` are what the application waited."""

    name: str
    title: str
    calls: int
    app_success_rate: float
    #: Over all vendors together.
    vendor_success_rate: float
    served_by: Mapping[str, int]
    stale: int
    p50_ms: float | None
    p99_ms: float | None
    vendors: Mapping[str, VendorFigures]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The whole story in numbers."""

    phases: Sequence[Figures]
    calls: int
    app_success_rate: float
    #: Counting stale answers as failures.
    app_success_rate_fresh: float
    vendor_success_rate: float
    seconds: float


async def play(
    phases: Sequence[Phase],
    application: Ask,
    vendors: Mapping[str, Ask],
    *,
    at_once: int,
    on_progress: Callable[[Phase, int], None] = lambda _phase, _done: None,
) -> Outcome:
    """Play the phases one after the other, with so many calls under way at once."""
    started = time.monotonic()
    figures = [await _play_phase(phase, application, vendors, at_once, on_progress) for phase in phases]
    calls = sum(each.calls for each in figures)
    good = sum(each.app_success_rate * each.calls for each in figures)
    return Outcome(
        phases=figures,
        calls=calls,
        app_success_rate=round(good / calls, 6),
        app_success_rate_fresh=round((good - sum(each.stale for each in figures)) / calls, 6),
        vendor_success_rate=round(sum(each.vendor_success_rate * each.calls for each in figures) / calls, 6),
        seconds=round(time.monotonic() - started, 3),
    )


async def _play_phase(
    phase: Phase, application: Ask, vendors: Mapping[str, Ask], at_once: int, on_progress: Callable[[Phase, int], None]
) -> Figures:
    await phase.prepare()
    seen: list[Seen] = []
    direct: dict[str, list[Seen]] = {name: [] for name in vendors}
    queue = iter(phase.queries)

    async def work() -> None:
        for query in queue:  # one iterator for all workers: each takes the next query
            answer, *answers = await asyncio.gather(application(query), *(ask(query) for ask in vendors.values()))
            seen.append(answer)
            for name, each in zip(vendors, answers, strict=True):
                direct[name].append(each)
            on_progress(phase, len(seen))

    await asyncio.gather(*(work() for _ in range(at_once)))
    everything = [each for answers in direct.values() for each in answers]
    good = [each for each in seen if each.is_ok]
    return Figures(
        name=phase.name,
        title=phase.title,
        calls=len(seen),
        app_success_rate=_share(seen),
        vendor_success_rate=_share(everything),
        served_by=dict(Counter(each.served_by for each in good if each.served_by)),
        stale=sum(each.is_stale for each in good),
        p50_ms=_percentile(seen, 0.50),
        p99_ms=_percentile(seen, 0.99),
        vendors={name: _vendor(answers) for name, answers in direct.items()},
    )


def _vendor(answers: Sequence[Seen]) -> VendorFigures:
    good = [each for each in answers if each.is_ok]
    return VendorFigures(success_rate=_share(answers), p50_ms=_percentile(good, 0.50), p99_ms=_percentile(good, 0.99))


def _share(answers: Sequence[Seen]) -> float:
    return sum(each.is_ok for each in answers) / len(answers)


def _percentile(answers: Sequence[Seen], share: float) -> float | None:
    """Return the nearest-rank percentile of the times, in milliseconds."""
    times = sorted(each.seconds for each in answers)
    return round(times[min(len(times) - 1, int(share * len(times)))] * 1000, 1) if times else None
