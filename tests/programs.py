"""Programs of their own: started with warnings as errors, waited for within bounds, and gone when the block is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

#: Nobody waits longer for a program to say or do something.
PATIENCE_S = 30.0
#: Python 3.12 and newer warn of every fork beside a thread; what comes of it is what the tests look at.
PYTHON = (sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning")


class Ended(NamedTuple):
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str


@asynccontextmanager
async def running(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Start a program on an environment of its own; it is killed, with those that it has started, at the end."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=dict(environment or {}),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def script(text: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a text as a program."""
    return (*PYTHON, "-c", dedent(text), *arguments)


async def ended(process: Process) -> Ended:
    """Wait for the end."""
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def run(*command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a program to its end."""
    async with running(*command, cwd=cwd, environment=environment) as process:
        return await ended(process)


async def next_line(process: Process) -> str:
    """Return the next line that it prints; empty at its end."""
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        return (await process.stdout.readline()).decode().rstrip()


async def tell(process: Process, line: str = "") -> None:
    """Write a line to its standard input."""
    assert process.stdin
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()
