"""Single flight: callers that ask the same at the same time share one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from copy import copy
from functools import partial
from typing import Any

from fairlead.errors import FairleadError


class _Flight:
    __slots__ = ("callers", "note", "task")

    def __init__(self, task: asyncio.Task[Any], note: object) -> None:
        self.task = task
        self.note = note
        self.callers = 0


class Coalescing:
    """Runs one task a key. It outlives any caller that is cancelled, and is cancelled when the last one is."""

    __slots__ = ("_ending", "_flights")

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight] = {}
        self._ending: set[asyncio.Task[Any]] = set()

    def is_under_way(self, key: Hashable) -> bool:
        """Whether somebody is asking this just now."""
        return key in self._flights

    def note(self, key: Hashable) -> Any:
        """Return what the one who asks left for those who join; raise `KeyError` where nobody asks."""
        return self._flights[key].note

    def part(self) -> None:
        """Let nobody join what is under way: what it brings may be outdated. Who has joined already waits on."""
        self._flights.clear()

    async def come_to_rest(self) -> None:
        """Wait until what was cancelled has ended."""
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def run(
        self, key: Hashable, start: Callable[[], Coroutine[Any, Any, Any]], *, note: object = None
    ) -> tuple[Any, bool]:
        """Return the answer, and whether somebody else had asked for it already.

        An error reaches everybody, each with an object of their own: one that many raise would collect the
        tracebacks of all.
        """
        flight = self._flights.get(key)
        is_shared = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(start()), note)
            flight.task.add_done_callback(partial(self._forget, key, flight))
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task), is_shared
        except FairleadError as error:
            if is_shared:
                raise copy(error) from error
            raise
        finally:
            flight.callers -= 1
            if not flight.callers and not flight.task.done():
                self._forget(key, flight)
                self._ending.add(flight.task)
                flight.task.add_done_callback(self._ending.discard)
                flight.task.cancel()

    def _forget(self, key: Hashable, flight: _Flight, _task: object = None) -> None:
        if self._flights.get(key) is flight:  # and not one that took off since
            del self._flights[key]
