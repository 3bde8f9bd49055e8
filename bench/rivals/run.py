"""Run the cases of tests/conformance/resilience on the libraries of the field, and write the page from what came out.

`make rivals` runs it. Time is a number here (clock.py), so that hours pass at once and nothing waits for ever.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import itertools
import platform
import random
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "rivals.md"
TODAY = dt.datetime.now(dt.UTC).date()
# The wall-clock bound of a case, for what spins without end.
LONGEST_S = 3

sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests")]

import clock  # noqa: E402  # in this order: the clocks come first

clock.install()

from _pytest.assertion import install_importhook  # noqa: E402  # so that a failed case says what it saw
from _pytest.config import get_config  # noqa: E402

install_importhook(get_config()).mark_rewrite("conformance")

import subjects  # noqa: E402

from conformance.resilience import (  # noqa: E402
    test_breaker_faults,
    test_bulkhead_faults,
    test_rate_faults,
    test_retry_faults,
    test_sharing_faults,
)
from conformance.resilience.engine import Engine  # noqa: E402
from conformance.resilience.strategies import Strategies  # noqa: E402

PARTS: dict[str, ModuleType] = {
    "Circuit breaker": test_breaker_faults,
    "Bulkhead": test_bulkhead_faults,
    "Retry": test_retry_faults,
    "Rate limit": test_rate_faults,
    "Shared answers": test_sharing_faults,
}
OURS: dict[str, Callable[[], Any]] = {"fairlead, its engine": Engine, "fairlead, its strategies": Strategies}


class Result(NamedTuple):
    """What a case came to: `pass`, `fails` or nothing, where it is not offered."""

    verdict: str
    what: str = ""


def cases(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the cases of a module in their order."""
    for name, case in vars(module).items():
        if name.startswith("test_") and inspect.iscoroutinefunction(case):
            yield name.removeprefix("test_").replace("_", " "), case


def parameters(case: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield what a case is run with; most have one run."""
    marks = [mark for mark in getattr(case, "pytestmark", ()) if mark.name == "parametrize"]
    yield from (
        dict(pairs)
        for pairs in itertools.product(*([(mark.args[0], value) for value in mark.args[1]] for mark in marks))
    )


def run(case: Callable[..., Any], make: Callable[[], Any]) -> Result:
    """Run a case with all its parameters; the first that fails decides."""
    verdict = Result("")
    for options in parameters(case):
        verdict = run_once(case, make, options)
        if verdict.verdict != "pass":
            return verdict
    return verdict


def run_once(case: Callable[..., Any], make: Callable[[], Any], options: dict[str, Any]) -> Result:
    """Run a case once, on a loop of its own."""
    random.seed(1)
    loop = clock.Loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        subject = make()
        if "budgeted" in inspect.signature(case).parameters:
            if not getattr(subject, "has_budget", True):
                return Result("")
            options = {"budgeted": subject, **options}
        else:
            options = {"subject": subject, **options}
        loop.run_until_complete(case(**options))
    except subjects.NotOfferedError:
        return Result("")
    except Exception as error:  # noqa: BLE001  # whatever a library does is the result
        return Result("fails", happened(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.close()
    return Result("pass")


def give_up(_signal: int, _frame: FrameType | None) -> None:
    """End a case that spins."""
    raise TimeoutError("it did not end")


def happened(error: Exception) -> str:
    """Say in one line what was seen."""
    lines = str(error.args[0] if error.args else "").splitlines() or [""]
    if not isinstance(error, AssertionError):
        return f"{type(error).__name__}: {lines[0]}".rstrip(": ")
    frame = next(each for each in reversed(traceback.extract_tb(error.__traceback__)) if "conformance" in each.filename)
    wanted = (frame.line or "").removeprefix("assert ").split("  #")[0].split(', "')[0]
    seen = lines[0].removeprefix("assert ")
    if seen == lines[0]:  # a sentence of the case's own
        return seen
    return f"`{wanted}`" if seen == wanted else f"`{wanted}`: `{seen[:80]}`"


def write(results: dict[str, dict[str, dict[str, Result]]]) -> None:
    """Put the tables between the marks of the page."""
    names = {rival.package: version(rival.package) for rival in subjects.RIVALS}
    lines = [
        f"Run on {TODAY}, Python {platform.python_version()}, fairlead {version('fairlead')}: "
        + ", ".join(f"{name} {number}" for name, number in names.items())
        + "."
    ]
    for part, by_case in results.items():
        offering = [name for name in (*OURS, *names) if any(row[name].verdict for row in by_case.values())]
        lines += ["", f"### {part}", "", f"| case | {' | '.join(offering)} |", "|---" * (len(offering) + 1) + "|"]
        for case, row in by_case.items():
            lines.append(f"| {case} | {' | '.join(mark(row[name]) for name in offering)} |")
        lines += ["", "What was seen:", ""]
        lines += [
            f"- {name}, *{case}*: {row[name].what}"
            for name in offering
            for case, row in by_case.items()
            if row[name].verdict == "fails"
        ]
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition("<!-- rivals -->\n")
    _, end, after = rest.partition("<!-- /rivals -->")
    if not (begin and end):
        raise ValueError("The page has lost its marks.")
    PAGE.write_text(before + begin + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


def mark(result: Result) -> str:
    """Write a cell."""
    return {"fails": "**fails**", "pass": "pass", "": "not offered"}[result.verdict]


def main() -> None:
    """Run all, print what fails, and write the page."""
    warnings.simplefilter("ignore")
    everybody: dict[str, Callable[[], Any]] = OURS | {rival.package: rival for rival in subjects.RIVALS}
    results: dict[str, dict[str, dict[str, Result]]] = {}
    for part, module in PARTS.items():
        results[part] = {
            title: {name: run(case, make) for name, make in everybody.items()} for title, case in cases(module)
        }
    for name in everybody:
        verdicts = [row[name].verdict for by_case in results.values() for row in by_case.values()]
        print(f"{name:28} {verdicts.count('pass'):3} pass {verdicts.count('fails'):3} fail {verdicts.count(''):3} -")
        for part, by_case in results.items():
            for case, row in by_case.items():
                if row[name].verdict == "fails":
                    print(f"    {part}: {case}: {row[name].what}")
    write(results)


if __name__ == "__main__":
    main()
