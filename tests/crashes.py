"""Kill an application again and again in the middle of its work, and count what became of what it had accepted.

The vendor sends while the application lives, and sends again what was not acknowledged, as vendors do; some of it comes
twice on purpose. After the last crash the application may finish in peace.

Each event has two effects: a row of the same database, and a charge at a till that knows no idempotency key. A crash in
the middle of a charge leaves nobody who knows whether it was done: that is told, and it is not charged again.
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
from fairlead.model.outcome import Outcome
from fairlead.runtime.deliver import EVENT
from fairlead.runtime.ports import SystemClock, new_id
from fairlead.runtime.rows import KIND, outcome_of
from fairlead.storage.jobs import Job, JobState, JobStore, Query
from fairlead.storage.open import open_store
from fairlead.storage.sqlite_file import load_sqlite
from fairlead.testing.faults import Faults
from fairlead.transport.http import HttpOptions, HttpTransport
from postgres_server import running
from till import Till
from vendors.acme import signed

_APP = Path(__file__).parent / "crash_app.py"
_CONFIG = """
[connections.shop]
provider = "acme"
credentials = {{ webhook_secret = "env:ACME" }}

[connections.till]
base_url = "{till}"
allow_private = true

[storage]
url = "{url}"

[webhooks]
at_once = {at_once}
lease_s = 1
waits_s = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
"""
_SENDERS = 16
# So many jobs the application does at a time.
_AT_ONCE = 32
# How long the till takes to charge, in seconds, so that a crash may come in the middle of it.
_TILL = Faults(latency_s=0.004, latency_p99_s=0.02)
# How long the application lives between two crashes, in seconds.
_LIVES_S = (0.02, 0.4)
# ... and how much it gets done at least, so that on a busy machine it does not only begin.
_DEEDS = (1, 64)
_PATIENCE_S = 300.0
_PAGE, _MOST = 500, 10_000
# Nothing more happens, once nothing has for so long.
_QUIET_S = 2.5


class Tally(NamedTuple):
    """What became of it. Every event that was acknowledged is `charged`, `unknown` or `untold`."""

    crashes: int
    acknowledged: int
    lost: int
    doubled: int
    #: The till has charged it, once, and the application knows.
    charged: int
    #: It may have been charged when the application was killed: that stands in the ledger, for a person to look at.
    unknown: int
    #: The ledger has no word for it, or one that the till's books deny.
    untold: int
    #: By the till's own books, whether it was acknowledged or not.
    charged_twice: int
    #: The engine stops to try what processes died over again and again, and keeps it; so many were run again by hand.
    set_aside: int

    @property
    def is_good(self) -> bool:
        """Whether everything that was acknowledged had its effects, once, or is told as unknown.

        No crash can leave more in doubt than was under way.
        """
        bad = self.lost + self.doubled + self.untold + self.charged_twice
        return self.charged > 0 and not bad and self.unknown <= self.crashes * _AT_ONCE

    def __str__(self) -> str:
        return (
            f"{self.crashes} crashes, {self.acknowledged} events acknowledged: "
            f"{self.lost} without effect, {self.doubled} with two; "
            f"{self.charged} charged once, {self.unknown} told as unknown, {self.untold} untold, "
            f"{self.charged_twice} charged twice; {self.set_aside} set aside and run again"
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
    random = Random(seed)  # noqa: S311  # repeatable
    vendor = Vendor(random)
    async with Till(faults=_TILL, random=Random(seed)) as till:  # noqa: S311  # likewise
        config = home / "fairlead.toml"
        config.write_text(_CONFIG.format(url=store.url, till=till.url, at_once=_AT_ONCE))
        for _ in range(times):
            async with application(config) as (process, port):
                sending = asyncio.create_task(vendor.send(port))
                enough = till.charges.total() + random.randint(*_DEEDS)
                await asyncio.wait({sending}, timeout=random.uniform(*_LIVES_S))
                await _until(lambda enough=enough: till.charges.total() >= enough)  # type: ignore[misc]
                os.kill(process.pid, signal.SIGKILL)
                await sending
        async with application(config):
            handled, calls = await _finished(store)
        if set_aside := await _run_again(store):
            async with application(config):
                handled, calls = await _finished(store)
    effects = Counter(handled)
    outcomes = {(call.key or "").partition(":")[2]: outcome_of(call) for call in calls}
    charged = {key for key, outcome in outcomes.items() if outcome is Outcome.DONE and till.charges[key] == 1}
    unknown = {key for key, outcome in outcomes.items() if outcome is Outcome.UNKNOWN}
    return Tally(
        crashes=times,
        acknowledged=len(vendor.acknowledged),
        lost=len(vendor.acknowledged - effects.keys()),
        doubled=sum(number > 1 for number in effects.values()),
        charged=len(vendor.acknowledged & charged),
        unknown=len(vendor.acknowledged & unknown),
        untold=len(vendor.acknowledged - charged - unknown),
        charged_twice=sum(number > 1 for number in till.charges.values()),
        set_aside=set_aside,
    )


async def _until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, or for as long as patience lasts."""
    last = time.monotonic() + _PATIENCE_S
    while not is_so() and time.monotonic() < last:  # noqa: ASYNC110  # the till tells nobody
        await asyncio.sleep(0.001)


async def _run_again(store: Store) -> int:
    """Do what a person would: run again what was set aside because processes died over it; return how many.

    What is in doubt is run again with it, which comes to the same as before: nobody can be asked.
    """
    count = 0
    async with _opened(store) as jobs:
        for kind in (EVENT, KIND):
            dead = Query(kind=kind, state=JobState.DEAD, limit=_MOST)
            count += sum(not (each.kind == KIND and each.mark) for each in await jobs.list(dead))
            await jobs.again(dead, run_at=SystemClock().wall())
    return count


async def _finished(store: Store) -> tuple[list[str], list[Job]]:
    """Wait until nothing more happens: for longer than a lease, after which somebody else would have done it.

    Return the effects, and the calls to the till, all of which are over.
    """
    handled: list[str] = []
    last = time.monotonic() + _PATIENCE_S
    while True:
        before, handled = len(handled), await store.effects()
        if handled and len(handled) == before:
            calls = await _calls(store)
            rest = [call for call in calls if not call.state.is_over]
            if not rest:
                return handled, calls
            assert time.monotonic() < last, f"Nothing becomes of {len(rest)} calls, as of {rest[0]}"
        await asyncio.sleep(_QUIET_S)


async def _calls(store: Store) -> list[Job]:
    """Return every call that the application has kept."""
    found: list[Job] = []
    async with _opened(store) as jobs:
        while more := await jobs.list(Query(kind=KIND, before=found[-1].id if found else None, limit=_PAGE)):
            found += more
    return found


@asynccontextmanager
async def _opened(store: Store) -> AsyncIterator[JobStore]:
    jobs = open_store(store.url, clock=SystemClock(), ids=new_id)
    try:
        yield jobs
    finally:
        await jobs.close()


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
