"""Many processes that share a limit, in a made-up time: each with its own clock, on a way that delays and loses."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from random import Random

from at_once import done
from fairlead.resilience.lease import LeasedLimit
from fairlead.storage.leases import Ask, Grant, Span
from memory_leases import MemoryLeases


class World:
    """The time, what is to come, the store, and the vendor's notes: when, by whom, and how much."""

    def __init__(self, spans: Sequence[Span], *, seed: int, way_s: float = 0.0005, loss: float = 0.0) -> None:
        self.spans = spans
        self.now = 0.0
        self.random = Random(seed)  # noqa: S311  # a simulation
        self.way_s = way_s
        self.loss = loss
        self.store = MemoryLeases(lambda: self.now + 5e8)
        self.sent: list[tuple[float, int, float]] = []
        self.asks = 0
        self._order = count()
        self._to_come: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._to_come, (max(when, self.now), next(self._order), what))

    def run(self, until: float) -> None:
        while self._to_come and self._to_come[0][0] <= until:
            self.now, _, what = heapq.heappop(self._to_come)
            what()
        self.now = until

    def way(self) -> float:
        return self.way_s * (0.5 + self.random.random())

    def most_in(self, per_s: float) -> float:
        """Return the most that the vendor saw in any window of so many seconds."""
        most = used = 0.0
        first = 0
        for at, (when, _, cost) in enumerate(self.sent):
            used += cost
            while self.sent[first][0] <= when - per_s + 1e-9:
                used -= self.sent[first][2]
                first += 1
            most = max(most, used)
            assert at >= first
        return most

    def used_in(self, since: float, until: float) -> float:
        return sum(cost for when, _, cost in self.sent if since <= when < until)

    def used_by(self, process: int, since: float, until: float) -> float:
        return sum(cost for when, who, cost in self.sent if who == process and since <= when < until)


class Process:
    """One of them. Its clock began at another time than the others'."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.is_dead = False
        self._began = world.random.random() * 1e4
        self.leased = LeasedLimit(f"p{number}", world.spans)
        self._is_asking = False
        self._wake_at = float("inf")
        self.waited = self.calls = 0

    @property
    def clock(self) -> float:
        return self.world.now + self._began

    def die(self) -> None:
        self.is_dead = True

    def call(self, cost: float = 1.0) -> None:
        if self.is_dead:
            return
        self.calls += 1
        if self.leased.take(self.clock, cost):
            self._send(cost)
            if not self.leased.is_low:
                return
        else:
            self.waited += 1
            self.leased.join(self.clock, cost)
        self._talk()

    def keep_waiting(self, calls: int, cost: float = 1.0) -> None:
        """Have so many callers, each of which comes again when it was served."""
        self.again = cost
        for _ in range(calls):
            self.leased.join(self.clock, cost)
        self._talk()

    again: float | None = None

    def _send(self, cost: float) -> None:
        self.world.sent.append((self.world.now, self.number, cost))

    def _talk(self) -> None:
        if self._is_asking or self.is_dead:
            return
        ask = self.leased.ask(self.clock)
        if ask is None:
            self._sleep()
            return
        self._is_asking = True
        self.world.asks += 1
        world = self.world
        if world.random.random() < world.loss:
            # Half of the time the store has heard it, and only the answer is lost.
            if world.random.random() < 0.5:
                world.at(world.now + world.way(), partial(self._lose_answer, ask))
            world.at(world.now + 0.05, self._fail)
        else:
            world.at(world.now + world.way(), lambda: self._answer(ask))

    def _reach(self, ask: Ask) -> Grant:
        return done(self.world.store.lease("k", self.world.spans, ask))

    def _lose_answer(self, ask: Ask) -> None:
        self._reach(ask)

    def _answer(self, ask: Ask) -> None:
        grant = self._reach(ask)
        self.world.at(self.world.now + self.world.way(), lambda: self._hear(grant, ask))

    def _hear(self, grant: Grant, ask: Ask) -> None:
        self._is_asking = False
        if self.is_dead:
            return
        self.leased.hear(self.clock, grant, ask)
        self._go_on()

    def _fail(self) -> None:
        self._is_asking = False
        self.leased.fail()
        self._go_on()

    def _go_on(self) -> None:
        for waiter in self.leased.serve(self.clock):
            self._send(waiter.cost)
            if self.again:
                self.leased.join(self.clock, self.again)
        if self.leased.needs_more(self.clock):
            self._talk()
        else:
            self._sleep()

    def _sleep(self) -> None:
        wake_at = self.world.now + self.leased.wake_s(self.clock)
        if wake_at < float("inf") and (wake_at < self._wake_at or self._wake_at <= self.world.now):
            self._wake_at = wake_at
            self.world.at(wake_at + 1e-6, self._wake)

    def _wake(self) -> None:
        self._wake_at = float("inf")
        if not self.is_dead and not self._is_asking:
            self._go_on()
