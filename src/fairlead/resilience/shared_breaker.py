"""A breaker whose state many processes share. Closed, it asks nobody; each process counts its own attempts.

The first process whose breaker opens opens it for all. Half open, one process at a time has the probe, by a lease; its
outcome holds for all. What holds has a generation: what comes late, from an earlier one, changes nothing. While the
store is lost it is an ordinary breaker; what it decided alone is proposed when the store is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fairlead.errors import StorageError
from fairlead.model.ports import Clock
from fairlead.resilience.breaker import Breaker, BreakerOptions, OnChange, State, Ticket
from fairlead.storage.breakers import BreakerStore, Proposal, Shared

_HELD = {State.FORCED_OPEN, State.FORCED_CLOSED}


class SharedBreaker(Breaker):
    """The state machine. `on_proposal` is told what to propose, and `on_resign` that a probe is given up."""

    __slots__ = (
        "_before",
        "_is_applying",
        "_probe",
        "_probe_until",
        "generation",
        "is_alone",
        "is_unsaid",
        "on_proposal",
        "on_resign",
    )

    def __init__(self, options: BreakerOptions | None = None, *, on_change: OnChange | None = None) -> None:
        self.on_proposal: Callable[[Proposal], None] = lambda _: None
        self.on_resign: Callable[[], None] = lambda: None
        self.generation = 0
        #: The store is lost, or was never there: it decides by itself.
        self.is_alone = True
        #: It has decided what the store was not told.
        self.is_unsaid = False
        self._probe = 0
        self._probe_until = 0.0
        self._is_applying = False
        self._before = State.CLOSED
        super().__init__(options, on_change=on_change)

    @property
    def lease_s(self) -> float:
        """How long the probe is leased for."""
        return self._options.lease_s

    def admit(self, now: float) -> Ticket | None:
        """Return leave for one attempt, or None; a probe needs the lease (see `needs_probe`)."""
        if self.passes:
            return self.passes
        if not self.is_alone and self.needs_probe(now):
            return None
        return super().admit(now)

    def needs_probe(self, now: float) -> bool:
        """Whether it is time to probe, and the lease for that is not in hand."""
        if self.passes or self.is_alone or (self._probe and now < self._probe_until):
            return False
        return self.state is State.HALF_OPEN or (self.state is State.OPEN and now >= self._until)

    def hold_probe(self, number: int, until: float) -> None:
        """Have the lease."""
        self._probe, self._probe_until = number, until

    def release(self, ticket: Ticket) -> None:
        """Give back leave that came to nothing, and the lease of the probe with it."""
        super().release(ticket)
        if self._probe and self.state is State.HALF_OPEN and not self.probing:
            self._probe = 0
            self.on_resign()

    def disown(self) -> None:
        """Know of no probe: after a fork, it is the parent's."""
        super().disown()
        self._probe = 0
        self.is_alone = True

    def apply(self, shared: Shared, now: float) -> None:
        """Take over what holds, where that is news."""
        if shared.generation <= self.generation:
            return
        self.generation = shared.generation
        self._probe = 0
        self.is_unsaid = False
        state = State(shared.state)
        is_resumed = state is State.OPEN and not shared.open_for_s and self.state is State.HALF_OPEN
        self._until = now + shared.left_s
        if state is State.OPEN and shared.open_for_s:
            self._open_for_s = shared.open_for_s
        elif state is State.CLOSED:
            self._open_for_s = self._options.open_s
        if state is self.state or is_resumed:
            return
        if state is not State.CLOSED:
            self.cause, self.message = shared.cause, None
        self._is_applying = True
        try:
            self._change(state)
        finally:
            self._is_applying = False

    def proposal(self) -> Proposal:
        """Return the present state as a proposal."""
        by_hand = self.state in _HELD or self._before in _HELD
        state, open_for_s = self.state, self._open_for_s
        if state is State.HALF_OPEN:  # to others, it is open, and time to probe
            state, open_for_s = State.OPEN, 0.0
        return Proposal(
            state=state.value,
            generation=self.generation,
            open_for_s=open_for_s if state is State.OPEN else 0.0,
            cause=self.cause if state is not State.CLOSED else None,
            probe=self._probe,
            by_hand=by_hand,
        )

    def _change(self, state: State) -> None:
        self._before = self.state
        super()._change(state)
        if self._is_applying or (state is State.HALF_OPEN and self._before is not State.FORCED_OPEN):
            return
        self.is_unsaid = True
        if not self.is_alone:
            self.on_proposal(self.proposal())


class BreakerLink:
    """Ties a breaker to the store. `key` names it there."""

    def __init__(self, key: str, breaker: SharedBreaker, store: BreakerStore, *, process: str, clock: Clock) -> None:
        self.key = key
        self.breaker = breaker
        self._store = store
        self._process = process
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._left_behind: list[object] = []
        self._is_leasing = False
        breaker.on_proposal = lambda proposal: self._begin(self._propose(proposal))
        breaker.on_resign = lambda: self._begin(self._resign())

    async def prepare(self) -> None:
        """Lease the probe where it is time for one; the only time that a call waits for the store here."""
        breaker = self.breaker
        if self._is_leasing or not breaker.needs_probe(self._clock.monotonic()):
            return
        self._is_leasing = True
        asked_at = self._clock.monotonic()
        try:
            number = await self._store.lease_probe(self.key, breaker.generation, self._process, breaker.lease_s)
            if number:
                breaker.hold_probe(number, asked_at + breaker.lease_s)
        except StorageError:
            return  # whoever keeps the connection says what holds from now on
        finally:
            self._is_leasing = False

    async def join(self) -> None:
        """Learn what holds, and propose what was decided alone; raise `StorageError` without an answer."""
        breaker = self.breaker
        shared = await self._store.learn(self.key)
        breaker.apply(shared, self._clock.monotonic())
        breaker.is_alone = False
        has_forgotten = shared.generation < breaker.generation and breaker.state is not State.CLOSED
        if breaker.is_unsaid or has_forgotten:
            await self._offer(breaker.proposal())

    def hear(self, shared: Shared) -> None:
        """Take over what was published."""
        if shared.key == self.key:
            self.breaker.apply(shared, self._clock.monotonic())

    def part(self) -> None:
        """Go on alone: the store is lost."""
        self.breaker.is_alone = True

    def disown(self, process: str) -> None:
        """Begin anew as another process; the breaker decides by itself until it has joined."""
        self._process = process
        self._left_behind += self._tasks
        self._tasks = set()
        self._is_leasing = False
        self.breaker.is_alone = True

    async def close(self) -> None:
        """Let what is under way be told to the store."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _offer(self, proposal: Proposal) -> None:
        self.breaker.apply(await self._store.propose(self.key, proposal), self._clock.monotonic())

    async def _propose(self, proposal: Proposal) -> None:
        with suppress(StorageError):  # it stays unsaid, and is proposed when the store is back
            await self._offer(proposal)

    async def _resign(self) -> None:
        with suppress(StorageError):  # then it lapses
            await self._store.lease_probe(self.key, self.breaker.generation, self._process, 0.0)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
