"""`fairlead` as a process of its own, on an empty environment, with warnings as errors."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fairlead.testing.fakes import edamam, spoonacular

#: Nobody waits longer for the command to say or do something.
PATIENCE_S = 30.0
COMMAND = (sys.executable, "-W", "error", "-m", "fairlead")
KEYS = {
    "SPOONACULAR_API_KEY": spoonacular.API_KEY,
    "EDAMAM_APP_ID": edamam.APP_ID,
    "EDAMAM_APP_KEY": edamam.APP_KEY,
    "FAIRLEAD_KEY": "canary-gateway-key",
}

CONFIG = """
[connections.spoonacular]
provider = "spoonacular"
base_url = "{first}"
allow_private = true
credentials = {{ api_key = "env:SPOONACULAR_API_KEY" }}
retry = {{ max_attempts = 1 }}

[connections.edamam]
provider = "edamam"
base_url = "{second}"
allow_private = true
credentials = {{ app_id = "env:EDAMAM_APP_ID", app_key = "env:EDAMAM_APP_KEY" }}
retry = {{ max_attempts = 1 }}

[gateway]
api_keys = ["env:FAIRLEAD_KEY"]
"""


class Ended(NamedTuple):
    """How the command ended, and what it said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read what it printed: one JSON document on one line, and nothing else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    def error(self) -> dict[str, str]:
        """Read the error that it printed as JSON; nothing else was said."""
        assert self.err.strip() == "", self.err
        document = self.json()
        assert document.keys() == {"error"}
        error: dict[str, str] = document["error"]
        assert error["code"]
        assert error["message"]
        return error


@asynccontextmanager
async def running(
    *arguments: str, cwd: Path | None = None, environment: Mapping[str, str] = KEYS
) -> AsyncIterator[Process]:
    """Start the command; it is gone when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, cwd=cwd, env=dict(environment), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: Process) -> Ended:
    """Wait for the end."""
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def fairlead(*arguments: str, cwd: Path | None = None, environment: Mapping[str, str] = KEYS) -> Ended:
    """Run the command to its end."""
    async with running(*arguments, cwd=cwd, environment=environment) as process:
        return await ended(process)


async def interrupted(process: Process, how: signal.Signals = signal.SIGINT) -> Ended:
    """Send a signal, and wait for the end."""
    process.send_signal(how)
    return await ended(process)
