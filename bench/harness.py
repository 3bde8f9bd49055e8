"""What every measurement shares: rounds that alternate, medians, ratios of one run, and the limits beside the figures.

A machine that others use as well is slow at times. So what is compared is measured in turn, ratios are taken round by
round, and a limit is for their median. A figure of another day, or of another machine, is never compared.
"""

from __future__ import annotations

import multiprocessing
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Limit(NamedTuple):
    """What a figure shall keep: `at_most` or `at_least`."""

    at_most: float | None = None
    at_least: float | None = None

    def is_kept(self, value: float) -> bool:
        """Whether a value is within it."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        low = [] if self.at_least is None else [f"at least {self.at_least:g}"]
        high = [] if self.at_most is None else [f"at most {self.at_most:g}"]
        return ", ".join(low + high)


class Sheet:
    """Prints figures as they are found, and knows which limits were missed. A quick one only shows that all runs."""

    def __init__(self, *, is_quick: bool = False, is_large: bool = False) -> None:
        self.is_quick = is_quick
        self.is_large = is_large
        self.missed: list[str] = []

    def pick(self, usual: T, *, quick: T) -> T:
        """Return the number of rounds, calls or bytes that this run is worth."""
        return quick if self.is_quick else usual

    def begin(self, title: str, *packages: str) -> None:
        """Print what is measured, and with which versions."""
        versions = ", ".join(f"{name} {version(name)}" for name in ("fairlead", *packages))
        print(f"\n{title}\nPython {platform.python_version()}, {versions}")

    def note(self, text: str) -> None:
        """Print a remark."""
        print(f"  {text}")

    def row(
        self, title: str, values: Sequence[float], unit: str, limit: Limit | None = None, *, digits: int = 2
    ) -> None:
        """Print the median of a figure with its range, and whether its limit is kept."""
        median = statistics.median(values)
        spread = f"({min(values):,.{digits}f} to {max(values):,.{digits}f})" if len(values) > 1 else ""
        verdict = ""
        if limit is not None:
            verdict = f"{limit}: {'ok' if limit.is_kept(median) else 'missed'}"
            if not limit.is_kept(median):
                self.missed.append(title)
        print(f"  {title:46} {median:12,.{digits}f} {unit:14} {spread:28} {verdict}".rstrip())

    def ratio(self, title: str, ours: Sequence[float], theirs: Sequence[float], limit: Limit | None = None) -> None:
        """Print the median of the ratios of each round."""
        self.row(title, [one / other for one, other in zip(ours, theirs, strict=True)], "x", limit)


def in_turn(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Return each measure's figures: one of each in every round, after a round that does not count."""
    for measure in measures.values():
        measure()
    found: dict[str, list[float]] = {title: [] for title in measures}
    for _ in range(rounds):
        for title, measure in measures.items():
            found[title].append(measure())
    return found


@contextmanager
def elsewhere(serve: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """Run a server in a process of its own, so that its work is not counted; yield its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        if not ours.poll(30):
            sys.exit("The server of the measurement did not start.")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()
