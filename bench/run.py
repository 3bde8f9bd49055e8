"""Run the measurements: all of them, or those that are named.

python bench/run.py                  everything
python bench/run.py call proxy       some
python bench/run.py --strict call    exit with 1 where a limit is missed
python bench/run.py --large storage  with as much as a busy year leaves behind
python bench/run.py --quick          a moment of each, to see that it runs; the figures mean nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from harness import Sheet

SCRIPTS = (
    "start",
    "call",
    "proxy",
    "memory",
    "breaker",
    "strategies",
    "cache",
    "shared",
    "pipeline",
    "brownout",
    "storage",
    "background",
    "verification",
    "webhooks",
    "mail",
)


def main(arguments: Sequence[str]) -> int:
    """Measure; return how the process shall end."""
    parser = argparse.ArgumentParser(description="Measure Fairlead. Figures are medians of this run.")
    parser.add_argument("scripts", nargs="*", metavar="script", help=f"of {', '.join(SCRIPTS)}; all unless named")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a limit is missed")
    parser.add_argument("--quick", action="store_true", help="only see that each runs; the figures mean nothing")
    parser.add_argument("--large", action="store_true", help="with stores of millions of jobs, which takes minutes")
    wanted = parser.parse_args(arguments)
    for name in wanted.scripts:
        if name not in SCRIPTS:
            parser.error(f"There is no {name!r}; there are {', '.join(SCRIPTS)}.")
    sheet = Sheet(is_quick=wanted.quick, is_large=wanted.large)
    for name in wanted.scripts or SCRIPTS:
        import_module(name).measure(sheet)
    print(f"\nLimits missed: {', '.join(sheet.missed) or 'none'}.")
    return 1 if sheet.missed and wanted.strict else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
