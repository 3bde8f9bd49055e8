"""Measure what it costs to start: the import, the help, and the demonstration. Prints medians of several runs."""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

RUNS = 7


def cpu_ms(*arguments: str) -> float:
    """Return the CPU time of one run of Python with these arguments, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def median_ms(*arguments: str) -> float:
    """Return the median of several runs."""
    return statistics.median(cpu_ms(*arguments) for _ in range(RUNS))


def main() -> None:
    """Print the figures."""
    print(f"fairlead {version('fairlead')}, Python {platform.python_version()}, aiohttp {version('aiohttp')}")
    bare = median_ms("-c", "pass")
    for title, arguments in {
        "import fairlead": ("-c", "import fairlead"),
        "from fairlead import Fairlead": ("-c", "from fairlead import Fairlead"),
        "fairlead --help": ("-m", "fairlead", "--help"),
    }.items():
        whole = median_ms(*arguments)
        print(f"{title:32} {whole:7.0f} ms CPU, {whole - bare:6.0f} ms over a bare interpreter ({whole / bare:.1f}x)")
    started = time.monotonic()
    command = [sys.executable, "-m", "fairlead", "demo", "--json"]
    played = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603  # our own
    print(
        f"{'fairlead demo --json':32} {time.monotonic() - started:7.1f} s, {played['calls']} calls, "
        f"application {played['app_success_rate']:.4f}, vendors {played['vendor_success_rate']:.4f}"
    )


if __name__ == "__main__":
    main()
