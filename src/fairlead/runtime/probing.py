"""Probes in the background: they find out when a vendor that was not well serves again.

There is one task for each connection that is not up, and none for the others. The first call that finds one so starts
it; it ends by itself when the connection is up, and by `close` at the latest. Every process sees to its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context

from fairlead.resilience.health import Condition
from fairlead.runtime.connection import Connection
from fairlead.runtime.ports import Ports

#: How long a probe may take, in seconds.
PROBE_S = 15.0


class Prober:
    """Probes what is not well; `probe` makes the call, and raises nothing."""

    def __init__(self, ports: Ports, probe: Callable[[Connection], Awaitable[None]]) -> None:
        self._ports = ports
        self._probe = probe
        self._tasks: dict[Connection, asyncio.Task[None]] = {}
        self._is_closed = False

    def look_at(self, connections: Iterable[Connection]) -> None:
        """See to it that those that are not well, and may be probed, are."""
        for each in connections:
            if each.health.condition is Condition.UP or not each.policy.is_probed or self._is_closed:
                continue
            task = self._tasks.get(each)
            if task is None or task.done():
                # In a context of its own: the deadline of the call that comes by is not the probe's.
                self._tasks[each] = asyncio.get_running_loop().create_task(self._bring_back(each), context=Context())

    async def _bring_back(self, connection: Connection) -> None:
        clock = self._ports.clock
        while (at := connection.health.next_probe_at(clock.monotonic(), self._ports.random)) is not None:
            await clock.sleep(at - clock.monotonic())
            await self._probe(connection)
            connection.health.share(clock.monotonic())  # a ramp may be over

    async def forget(self, connection: Connection) -> None:
        """Probe this one no longer."""
        task = self._tasks.pop(connection, None)
        if task is not None:
            await _end([task])

    async def close(self) -> None:
        """Probe no longer."""
        self._is_closed = True
        tasks, self._tasks = [*self._tasks.values()], {}
        await _end(tasks)

    def disown(self) -> None:
        """Know of no probe: after a fork, they are the parent's."""
        self._tasks = {}


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for them; those of an event loop that is over are over too."""
    loop = asyncio.get_running_loop()
    ours = [task for task in tasks if task.get_loop() is loop]
    for task in ours:
        task.cancel()
    await asyncio.gather(*ours, return_exceptions=True)
