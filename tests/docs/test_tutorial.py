"""The tutorial, typed line by line into a shell: every command works, in this order, and answers as the page shows.

In what the page shows, `...` stands for anything. Only the ports are others, as those of the page may be taken.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import tomllib
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from socket import create_server
from typing import NamedTuple

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
FILE = "fairlead.toml"
PORTS = ("4001", "4002", "8080")
PATIENCE_S = 60.0
SERVERS = (["fairlead", "fake"], ["fairlead", "serve"])


class Step(NamedTuple):
    """A command with what it shows, or a file to be written."""

    line: int
    command: str | None
    text: str


def steps(page: str) -> Iterator[Step]:
    """Yield what the reader does, in order."""
    for block in re.finditer(r"^```(console|toml)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        line = page.count("\n", 0, block.start()) + 2
        if block[1] == "toml":
            yield Step(line, None, block[2])
        else:
            for each in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block[2], re.MULTILINE):
                yield Step(line + block[2].count("\n", 0, each.start()), each[1], each[2])


def pattern(shown: str) -> re.Pattern[str]:
    """Return what fits the shown text; spaces at the ends of lines do not count."""
    return re.compile(".*?".join(map(re.escape, shown.strip().split("..."))), re.DOTALL)


def tidy(said: bytes) -> str:
    return re.sub(r"[ \r]+$", "", said.decode(), flags=re.MULTILINE).strip()


class Shell:
    """A terminal in which servers keep running."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self.directory = directory
        self.stack = stack
        programs = directory / "bin"
        programs.mkdir()
        (programs / "fairlead").write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m fairlead "$@"\n')
        (programs / "fairlead").chmod(0o755)
        (directory / ".curlrc").write_text("silent\nshow-error\n")  # which it is on a terminal
        self.environment = {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "CURL_HOME": str(directory)}

    async def type(self, step: Step) -> None:
        """Run a command, and compare what it says."""
        assert step.command
        words = shlex.split(step.command)
        if words[0] == "export":
            self.environment |= dict(word.split("=", 1) for word in words[1:])
        elif words[:2] in SERVERS:
            await self.stack.enter_async_context(self.serving(step))
        else:
            async with self.running(step.command) as process, asyncio.timeout(PATIENCE_S):
                said = tidy((await process.communicate())[0])
            assert pattern(step.text).fullmatch(said), f"line {step.line}: {step.command}\n{said}"
            is_error = step.text.startswith("error ")
            assert process.returncode == is_error, f"line {step.line}: {step.command}\n{said}"

    @asynccontextmanager
    async def running(self, command: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, cwd=self.directory, env=self.environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    @asynccontextmanager
    async def serving(self, step: Step) -> AsyncIterator[None]:
        """Start a server, and wait until it has said what the page shows."""
        async with self.running(f"exec {step.command}") as process, asyncio.timeout(PATIENCE_S * 3):
            assert process.stdout
            said = b""
            while not pattern(step.text).fullmatch(tidy(said)):
                line = await process.stdout.readline()
                assert line, f"line {step.line}: {step.command}\n{tidy(said)}"
                said += line
            yield
            process.terminate()
            rest, _ = await process.communicate()
            assert process.returncode == 0, tidy(rest)
            assert tidy(rest).endswith("stopped")


def write(directory: Path, text: str) -> None:
    """Edit the file as the page asks for; nothing else than what it says may be different."""
    before = tomllib.loads((directory / FILE).read_text())
    after = tomllib.loads(text)
    for connection in after["connections"].values():
        added = {name: connection.pop(name) for name in ("base_url", "allow_private")}
        assert added["allow_private"]
    assert after == before
    (directory / FILE).write_text(text)


def free_ports() -> list[int]:
    with ExitStack() as stack:
        return [stack.enter_context(create_server(("127.0.0.1", 0))).getsockname()[1] for _ in PORTS]


async def test_every_step_works_as_shown(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("$ fairlead serve\n", f"$ fairlead serve --port {PORTS[-1]}\n")
    for theirs, ours in zip(PORTS, free_ports(), strict=True):
        page = re.sub(rf"(:|--port ){theirs}\b", rf"\g<1>{ours}", page)
    async with AsyncExitStack() as stack:
        shell = Shell(tmp_path, stack)
        for step in steps(page):
            if step.command is None:
                write(tmp_path, step.text)
            else:
                await shell.type(step)


def test_the_page_has_every_command_of_a_newcomer() -> None:
    typed = [step.command for step in steps(PAGE.read_text(encoding="utf-8")) if step.command]
    for command in ("fake", "init", "check", "call", "serve"):
        assert any(line.startswith(f"fairlead {command}") for line in typed)


@pytest.mark.parametrize(
    ("shown", "said", "fits"),
    [
        ("a ... c", "a b c", True),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a", "a b", False),
        ("a...", "a b", True),
        ("a.b", "axb", False),
    ],
)
def test_what_is_left_out_may_be_anything(shown: str, said: str, *, fits: bool) -> None:
    assert bool(pattern(shown).fullmatch(said)) is fits
