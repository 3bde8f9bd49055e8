"""git itself through the gateway: a clone of thousands of commits, and a push back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from clients.gateway import gateway
from clients.git_server import GitServer, history, serve_git
from gateway.proxied import KEY

TOKEN = "canary-git-token"
COMMITS = 3000
PATIENCE_S = 120.0
#: More than git sends in one piece (`http.postBuffer`).
LARGE = 3 * 1024 * 1024


class Git:
    """The program, in surroundings of its own: nobody's settings, no questions, no way but to loopback."""

    def __init__(self, home: Path) -> None:
        path = shutil.which("git")
        if path is None:
            pytest.fail("git is not installed: install the package 'git'.")
        self._path: str = path
        self.environment = {
            "PATH": str(Path(path).parent),
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "NO_PROXY": "127.0.0.1",
            "GIT_AUTHOR_NAME": "Cook", "GIT_AUTHOR_EMAIL": "cook@kitchen.test",
            "GIT_COMMITTER_NAME": "Cook", "GIT_COMMITTER_EMAIL": "cook@kitchen.test",
        }  # fmt: skip

    async def __call__(self, *words: str | Path, given: Iterable[bytes] = (), fails: bool = False) -> str:
        """Run a command; return what it says."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            self._path, *words, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, said = await process.communicate(b"".join(given))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode != 0) == fails, said.decode()
        return (said if fails else out).decode().strip()


class Place(NamedTuple):
    """A repository behind the gateway."""

    git: Git
    server: GitServer
    bare: Path
    url: str


def noise() -> Iterator[bytes]:
    """Yield contents that cannot be packed any further."""
    random = Random(7)  # noqa: S311  # not for secrets
    while True:
        yield random.randbytes(10_000)


@asynccontextmanager
async def place(home: Path) -> AsyncIterator[Place]:
    git, root = Git(home), home / "served"
    bare = root / "repo.git"
    await git("init", "--quiet", "--bare", "--initial-branch=main", bare)
    await git("-C", bare, "config", "http.receivepack", "true")
    await git("-C", bare, "fast-import", "--quiet", given=history(COMMITS, noise()))
    with serve_git(root, git.environment, TOKEN) as server:
        settings = f"""
[connections.git]
base_url = "{server.url}"
allow_private = true
auth = {{ scheme = "bearer" }}
credentials = {{ token = "env:TOKEN" }}
timeouts = {{ read_s = 60, attempt_s = 60 }}
"""
        async with gateway(settings, key=KEY, environment={"TOKEN": TOKEN}) as url:
            yield Place(git, server, bare, f"{url}/git/repo.git")


def with_key(key: str) -> tuple[str, str]:
    return "-c", f"http.extraHeader=fairlead-key: {key}"


async def test_a_large_repository_is_cloned_whole_and_pushed_to(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        git, copy = here.git, tmp_path / "copy"
        await git(*with_key(KEY), "clone", "--quiet", here.url, copy)
        await git("-C", copy, "fsck", "--full", "--strict")
        assert await git("-C", copy, "rev-list", "--count", "HEAD") == str(COMMITS)
        assert await git("-C", copy, "rev-parse", "HEAD") == await git("-C", here.bare, "rev-parse", "main")
        assert sum(1 for path in copy.glob("shelf-*/*") if path.stat().st_size == 10_000) == COMMITS

        (copy / "large").write_bytes(Random(8).randbytes(LARGE))  # noqa: S311  # not for secrets
        await git("-C", copy, "add", "large")
        await git("-C", copy, "commit", "--quiet", "--message", "Add a large file")
        await git("-C", copy, *with_key(KEY), "push", "--quiet", "origin", "HEAD:refs/heads/branch")
        assert await git("-C", copy, "rev-parse", "HEAD") == await git("-C", here.bare, "rev-parse", "branch")
        await git("-C", here.bare, "fsck", "--full", "--strict")
        assert await git("-C", here.bare, "cat-file", "-s", "branch:large") == str(LARGE)
    assert ("POST", "/repo.git/git-receive-pack", "chunked") in here.server.asked
    assert ("POST", "/repo.git/git-upload-pack", "whole") in here.server.asked


async def test_without_a_key_of_the_gateways_git_gets_nothing(tmp_path: Path) -> None:
    git = Git(tmp_path)
    with serve_git(tmp_path, git.environment, TOKEN) as server:
        settings = f"""
[connections.git]
base_url = "{server.url}"
allow_private = true
auth = {{ scheme = "bearer" }}
credentials = {{ token = "env:TOKEN" }}
"""
        async with gateway(settings, key=KEY, environment={"TOKEN": TOKEN}) as url:
            for key in ("wrong", TOKEN):
                said = await git(
                    *with_key(key), "clone", "--quiet", f"{url}/git/repo.git", tmp_path / "copy", fails=True
                )
                assert "could not read Username" in said or "Authentication failed" in said
                assert TOKEN not in said
    assert not server.asked
