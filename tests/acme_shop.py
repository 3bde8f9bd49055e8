"""A Fairlead that takes what the test vendor sends, over a store of its own."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fairlead.config.read import parse_settings
from fairlead.config.sources import Sources
from fairlead.config.storage import Storage
from fairlead.model.incoming import Reply
from fairlead.observe.events import Event, EventStream, JobEnded
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.ports import Ports
from fairlead.storage.jobs import JobStore
from fairlead.storage.open import open_store
from timers import HeldClock
from vendors.acme import signed

VENDORS = Path(__file__).parent / "vendors"
ENVIRONMENT = {"ACME": "canary-acme-secret", "ACME_NEXT": "canary-acme-next"}
#: Nobody waits longer.
PATIENCE_S = 20.0
CONFIG = """
[connections.shop]
provider = "acme"
credentials = {{ webhook_secret = "env:ACME" }}

[storage]
url = "{path}"
"""


@contextmanager
def installed() -> Iterator[None]:
    """Have the vendor's package found, as if pip had installed it."""
    sys.path.insert(0, str(VENDORS))
    try:
        yield
    finally:
        sys.path.remove(str(VENDORS))


def on_the_clock(wanted: Storage, *, source: str, sources: Sources, ports: Ports) -> JobStore:
    """Open a store whose time is the engine's, and not that of its server."""
    del source, sources
    return open_store(wanted.url, clock=ports.clock, ids=ports.ids, now=ports.clock.wall)


class Shop(NamedTuple):
    """A Fairlead, and what it knows of the world."""

    fl: Fairlead
    clock: HeldClock
    events: list[Event]

    async def deliver(self, *events: dict[str, Any], **more: Any) -> Reply:
        """Have the vendor send events, signed."""
        return await deliver(self.fl, *events, at=self.clock.wall(), **more)

    def ended(self) -> list[JobEnded]:
        """Return the turns of events that ended."""
        return [each for each in self.told(JobEnded) if each.kind == "event"]

    def told(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]

    async def until(self, has_come: Callable[[], bool], *, step_s: float = 0.0) -> None:
        """Wait until something is so; with `step_s` the engine's time goes on meanwhile."""
        async with asyncio.timeout(PATIENCE_S):
            while not has_come():
                await asyncio.sleep(0.001)
                self.clock.advance(step_s)


async def deliver(fl: Fairlead, *events: dict[str, Any], at: float, secret: str = ENVIRONMENT["ACME"]) -> Reply:
    """Send events to the connection `shop`, signed."""
    body = msgspec.json.encode(list(events))
    url = "https://app.test/webhooks/shop"
    return await fl.webhooks.receive("shop", url=url, headers=signed(body, at=at, secret=secret), body=body)


@asynccontextmanager
async def shop(path: Path | str, settings: str = "") -> AsyncIterator[Shop]:
    """Open one, over a file or at an address; its time stands still unless a test lets it pass."""
    clock, events, numbers = HeldClock(), [], itertools.count(1)  # type: ignore[var-annotated]  # told below
    with installed():
        fl = Fairlead(
            parse_settings(CONFIG.format(path=path) + settings),
            environment=ENVIRONMENT,
            ports=Ports(
                clock=clock,
                random=lambda: 0.5,
                ids=lambda: f"id-{next(numbers)}",
                events=EventStream((events.append,)),
            ),
            open_store=on_the_clock,
        )
        async with asyncio.timeout(PATIENCE_S):
            try:
                yield Shop(fl, clock, events)
            finally:
                await fl.close()
