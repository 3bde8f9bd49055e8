"""Kill an application again and again in the middle of its work, and count what became of what it had accepted.

The vendor sends while the application lives, and sends again what was not acknowledged, as vendors do; some of it comes
twice on purpose. After the last crash the application may finish in peace.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import asyncpg
import msgspec

from acme_shop import ENVIRONMENT, VENDORS
from fairlead.model.message import Response, build_request
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.transport.http import HttpOptions, HttpTransport
from postgres_server import running
from vendors.acme import signed

_APP = Path(__file__).parent / "crash_app.py"
_CONFIG = """
[connections.shop]
provider = "acme"
credentials = {{ webhook_secret = "env:ACME" }}

[storage]
url = "{url}"

[webhooks]
lease_s = 1
waits_s = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
"""
_SENDERS = 16
# How long the application lives between two crashes, in seconds.
_LIVES_S = (0.02, 0.4)
# What died several times with its process waits before it is tried again: looked for so often at most.
_LOOKS = 80
# Longer than a lease, after which somebody else does what was not ended.
_QUIET_S = 2.5


class Tally(NamedTuple):
    """What became of it."""

    crashes: int
    acknowledged: int
    lost: int
    doubled: int

    @property
    def is_good(self) -> bool:
        """Whether everything that was acknowledged had its effect, once."""
        return self.acknowledged > 0 and not self.lost and not self.doubled

    def __str__(self) -> str:
        return (
            f"{self.crashes} crashes, {self.acknowledged} events acknowledged: "
            f"{self.lost} without effect, {self.doubled} with two"
        )


class Store(NamedTuple):
    """A store under test: its address, and how the effects are read."""

    url: str
    effects: Callable[[], Awaitable[list[str]]]


@asynccontextmanager
async def sqlite(home: Path) -> AsyncIterator[Store]:
    """Make the file, and the table of the effects in it."""
    path = home / "jobs.db"
    module = load_sqlite()

    async def effects() -> list[str]:
        database = module.connect(str(path))
        try:
            return [row[0] for row in database.execute("SELECT key FROM effects")]
        finally:
            database.close()

    database = module.connect(str(path))
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE effects (key TEXT)")
    database.close()
    yield Store(str(path), effects)


@asynccontextmanager
async def postgres(url: str) -> AsyncIterator[Store]:
    """Make the table of the effects in a database."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE effects (key TEXT)")

    async def effects() -> list[str]:
        return [row["key"] for row in await connection.fetch("SELECT key FROM effects")]

    try:
        yield Store(url, effects)
    finally:
        await connection.close()


class Vendor:
    """Sends events, and remembers which were acknowledged."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers = count(1)
        self.acknowledged: set[str] = set()
        self._unsure: list[str] = []

    async def send(self, port: int) -> None:
        """Send until nobody answers any more."""
        transport = HttpTransport(HttpOptions(base_url=f"http://127.0.0.1:{port}", allow_private=True))
        try:
            await asyncio.gather(*(self._send_some(transport) for _ in range(_SENDERS)))
        finally:
            await transport.close()

    async def _send_some(self, transport: HttpTransport) -> None:
        while True:
            key = self._next()
            body = msgspec.json.encode([{"id": key, "type": "order.paid", "subject": f"o{key[-1]}"}])
            fields = signed(body, at=time.time(), secret=ENVIRONMENT["ACME"])  # noqa: TID251  # the vendor's clock
            request = build_request("POST", "/webhooks/shop", body=body, headers=fields)
            answer = await transport.exchange(request, timeout_s=10)
            if not isinstance(answer, Response):
                self._unsure.append(key)
                return
            assert answer.status == 200, answer
            self.acknowledged.add(key)

    def _next(self) -> str:
        """Choose: mostly something new, at times what may have been lost, or what was sent already."""
        if self._unsure and self._random.random() < 0.5:
            return self._unsure.pop()
        if self.acknowledged and self._random.random() < 0.05:
            return next(iter(self.acknowledged))
        return f"evt_{next(self._numbers)}"


async def crash(store: Store, home: Path, *, times: int, seed: int) -> Tally:
    """Kill the application that often, let it finish, and return what became of what it had accepted."""
    config = home / "fairlead.toml"
    config.write_text(_CONFIG.format(url=store.url))
    random = Random(seed)  # noqa: S311  # repeatable
    vendor = Vendor(random)
    for _ in range(times):
        async with application(config) as (process, port):
            sending = asyncio.create_task(vendor.send(port))
            await asyncio.wait({sending}, timeout=random.uniform(*_LIVES_S))
            os.kill(process.pid, signal.SIGKILL)
            await sending
    async with application(config):
        handled = await _finished(store, vendor.acknowledged)
    effects = Counter(handled)
    return Tally(
        crashes=times,
        acknowledged=len(vendor.acknowledged),
        lost=len(vendor.acknowledged - effects.keys()),
        doubled=sum(number > 1 for number in effects.values()),
    )


async def _finished(store: Store, wanted: set[str]) -> list[str]:
    """Wait until all that was acknowledged has had its effect, and then until a second one would have come."""
    handled: list[str] = []
    for _ in range(_LOOKS):
        before, handled = len(handled), await store.effects()
        if wanted <= set(handled) and len(handled) == before:
            break
        await asyncio.sleep(_QUIET_S)
    return handled


@asynccontextmanager
async def application(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run it until the block ends."""
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": f"{VENDORS}{os.pathsep}{Path(__file__).parent}"}  # noqa: TID251
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_APP), str(config), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def survive(opened: AbstractAsyncContextManager[Store], home: Path, *, times: int, seed: int) -> Tally:
    """Run it on one store."""
    async with opened as store:
        return await crash(store, home, times=times, seed=seed)


def main(arguments: Any) -> int:
    """Run it on both stores, and print what became of everything."""
    is_good = True
    with tempfile.TemporaryDirectory() as place, running(is_durable=True) as server:
        home = Path(place)
        for name, opened in (("SQLite", sqlite(home)), ("PostgreSQL", postgres(server.new_url()))):
            tally = asyncio.run(survive(opened, home, times=arguments.kills, seed=arguments.seed))
            print(f"{name}, seed {arguments.seed}: {tally}", flush=True)  # noqa: T201  # it is a program, too
            is_good &= tally.is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill an application again and again, and count what was lost.")
    parser.add_argument("--kills", type=int, default=100, help="how often, on each store")
    parser.add_argument("--seed", type=int, default=1, help="what the times of the kills are drawn from")
    sys.exit(main(parser.parse_args()))
