"""A terminal of 100 columns, with `fairlead` on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COLUMNS = 100
#: Nobody waits longer for something to appear.
PATIENCE_S = 60.0
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What has appeared so far is `shown`, without colours."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._raw = b""

    @property
    def shown(self) -> str:
        return _ESCAPE.sub("", self._raw.decode(errors="replace")).replace("\r\n", "\n")

    def read_until(self, text: str) -> None:
        """Read until a text has appeared."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert self._read(until - time.monotonic()), f"{text!r} did not appear in:\n{self.shown}"

    def type(self, text: str) -> None:
        """Type a text, and the return key."""
        os.write(self._master, f"{text}\n".encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        until = time.monotonic() + PATIENCE_S
        while self._read(until - time.monotonic()):
            pass
        return self.process.wait(PATIENCE_S)

    def interrupt(self) -> int:
        """Do what Ctrl-C does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def _read(self, seconds: float) -> bool:
        """Read what comes next; return whether something came before the process ended or the time was over."""
        if seconds <= 0 or not select.select([self._master], [], [], seconds)[0]:
            return False
        with suppress(OSError):  # how Linux says that nobody holds the other end any more
            data = os.read(self._master, 65536)
            self._raw += data
            return bool(data)
        return False


@contextmanager
def terminal(*arguments: str, cwd: Path | None = None) -> Iterator[Terminal]:
    """Run the command on a terminal; it is gone when the block is left."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-W", "error", "-m", "fairlead", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=cwd,
        env={"TERM": "xterm-256color"},
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
