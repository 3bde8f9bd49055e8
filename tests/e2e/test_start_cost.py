"""Starting costs next to nothing: in CPU time, which other work on the machine does not change."""

from __future__ import annotations

import resource
import subprocess
import sys
from statistics import median

RUNS = 5
MOST_FOR_IMPORT_S = 0.120
MOST_FOR_HELP_S = 0.200


def cpu_s(*arguments: str) -> float:
    """Return the median CPU time of some runs of Python."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def run() -> float:
        before = used()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return used() - before

    run()  # the first writes what later ones read
    return median(run() for _ in range(RUNS))


def test_importing_costs_next_to_nothing() -> None:
    assert cpu_s("-c", "import fairlead") - cpu_s("-c", "pass") < MOST_FOR_IMPORT_S


def test_help_comes_at_once() -> None:
    assert cpu_s("-m", "fairlead", "--help") < MOST_FOR_HELP_S
