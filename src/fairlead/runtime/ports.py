"""The real clock, chance and names, and the bundle in which they travel."""

from __future__ import annotations

import asyncio
import random
import secrets
import time

import msgspec

from fairlead.model.ports import Clock, Ids, Random
from fairlead.observe.events import EventStream


class SystemClock:
    """The machine's time."""

    #: Return seconds that never go back. Asked several times a call, so it is the clock itself.
    monotonic = staticmethod(time.monotonic)

    def wall(self) -> float:
        """Return seconds since 1970 in UTC."""
        return time.time()  # noqa: TID251  # the clock that everything else is given

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def new_id() -> str:
    """Return a name that nothing else has."""
    return secrets.token_hex(16)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine takes from the world, and the stream in which it tells what it does."""

    clock: Clock = msgspec.field(default_factory=SystemClock)
    random: Random = random.random
    ids: Ids = new_id
    events: EventStream = msgspec.field(default_factory=EventStream)
