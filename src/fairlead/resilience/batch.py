"""Batches: what several callers ask for within a short while is asked in one go, and each gets their own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from copy import copy
from typing import Any

from fairlead.errors import FairleadError
from fairlead.model.ports import Clock

#: Asks for several keys at once. It is given the keys, and the notes of all who wait for them, and returns an answer
#: or an error for each key.
Run = Callable[[Sequence[Any], Sequence[Any]], Coroutine[Any, Any, Mapping[Any, Any]]]


class _Batch:
    __slots__ = ("callers", "full", "members", "task")

    def __init__(self) -> None:
        #: Key -> the notes of those who wait for it, in the order in which they came.
        self.members: dict[Hashable, list[object]] = {}
        self.callers = 0
        self.full = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[Mapping[Any, Any]]


class Batching:
    """Joins keys of a group into batches.

    A batch leaves `window_s` after its first key, or at once when it has `max_size` of them; a key that several ask
    for is in it once. It outlives any caller that is cancelled, and is cancelled when the last one is; what nobody
    waits for any more when it leaves is not asked for.
    """

    __slots__ = ("_clock", "_open")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[Hashable, _Batch] = {}

    async def ask(
        self, group: Hashable, key: Hashable, run: Run, *, window_s: float, max_size: int, note: object = None
    ) -> Any:
        """Return the key's own answer, or raise its own error, or that of the whole batch.

        `run` asks for the batch that this caller opens; all of a group should pass one that does the same. Every
        caller has an error object of their own. Cancel it, or put it under a timeout, to leave.
        """
        batch = self._open.get(group)
        if batch is None:
            batch = self._open[group] = _Batch()
            batch.task = asyncio.create_task(self._lead(group, batch, run, window_s))
        notes = batch.members.setdefault(key, [])
        notes.append(note)
        batch.callers += 1
        if len(batch.members) >= max_size:
            self._close(group, batch)
        try:
            answers = await asyncio.shield(batch.task)
        except FairleadError as error:
            raise copy(error) from error
        finally:
            self._leave(group, batch, key, note)
        answer = answers[key]
        if isinstance(answer, FairleadError):
            raise copy(answer) from answer.__cause__
        return answer

    async def _lead(self, group: Hashable, batch: _Batch, run: Run, window_s: float) -> Mapping[Any, Any]:
        """Wait for others, then ask for all."""
        if not batch.full.done():
            timer = asyncio.ensure_future(self._clock.sleep(window_s))
            try:
                await asyncio.wait((timer, batch.full), return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
        self._close(group, batch)
        return await run(tuple(batch.members), [note for notes in batch.members.values() for note in notes])

    def _close(self, group: Hashable, batch: _Batch) -> None:
        """Let nobody join any more."""
        if self._open.get(group) is batch:
            del self._open[group]
        if not batch.full.done():
            batch.full.set_result(None)

    def _leave(self, group: Hashable, batch: _Batch, key: Hashable, note: object) -> None:
        batch.callers -= 1
        notes = batch.members[key]
        notes.remove(note)
        if not notes:
            del batch.members[key]
        if not batch.callers and not batch.task.done():
            self._close(group, batch)
            batch.task.cancel()
