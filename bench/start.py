"""Measure what it costs to start: the import, the help, and the demonstration."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from functools import partial

from harness import Sheet, in_turn


def cpu_ms(*arguments: str) -> float:
    """Return the CPU time of one run of Python with these arguments, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def measure(sheet: Sheet) -> None:
    """Print the figures."""
    sheet.begin("Start, in CPU time")
    python = ("-c", "pass")
    starts = {
        "import fairlead": ("-c", "import fairlead"),
        "from fairlead import Fairlead": ("-c", "from fairlead import Fairlead"),
        "fairlead --help": ("-m", "fairlead", "--help"),
    }
    measures = {title: partial(cpu_ms, *arguments) for title, arguments in {"python": python, **starts}.items()}
    found = in_turn(sheet.pick(7, quick=1), measures)
    for title, values in found.items():
        sheet.row(title, values, "ms", digits=0)
    for title in starts:
        sheet.ratio(f"{title}, to a bare interpreter", found[title], found["python"])
    started = time.monotonic()
    command = [sys.executable, "-m", "fairlead", "demo", "--json"]
    played = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603  # our own
    sheet.row("fairlead demo --json", [time.monotonic() - started], "s", digits=1)
    sheet.note(
        f"{played['calls']} calls, application {played['app_success_rate']:.4f}, "
        f"vendors {played['vendor_success_rate']:.4f}"
    )
