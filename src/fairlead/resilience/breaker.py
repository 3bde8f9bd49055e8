"""A circuit breaker: leaves a connection that fails alone, and finds out by few probes when it serves again.

Closed, it counts the last `window` attempts. At `failure_share` of them it opens for `open_s`, twice as long each
time it finds the vendor still failing, up to `max_open_s`. Then it is half open: `probes` attempts may pass. All of
them good, it closes; one bad, it opens. Every change begins a generation, and an answer that belongs to an earlier
one changes nothing. A cancelled attempt, or one that says nothing about the vendor's health, is given back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The state of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Ticket(NamedTuple):
    """Leave for one attempt. Give it back by `record` or `release`, once."""

    generation: int


OnChange = Callable[[State, State, str | None], None]


class Breaker:
    """The state machine. `on_change(before, after, cause)` is told of every change."""

    __slots__ = (
        "_failures",
        "_generation",
        "_max_open_s",
        "_min_attempts",
        "_on_change",
        "_open_for_s",
        "_open_s",
        "_passed",
        "_probes",
        "_probing",
        "_results",
        "_share",
        "_until",
        "cause",
        "state",
    )

    def __init__(
        self,
        *,
        window: int = 20,
        min_attempts: int = 5,
        failure_share: float = 0.5,
        open_s: float = 5.0,
        max_open_s: float = 60.0,
        probes: int = 1,
        on_change: OnChange | None = None,
    ) -> None:
        self._results: deque[bool] = deque(maxlen=window)
        self._failures = 0
        self._min_attempts = min(min_attempts, window)
        self._share = failure_share
        self._open_s = open_s
        self._max_open_s = max_open_s
        self._open_for_s = open_s
        self._probes = probes
        self._probing = 0
        self._passed = 0
        self._until = 0.0
        self._generation = 0
        self._on_change = on_change
        self.state = State.CLOSED
        #: The code of the error that opened it last.
        self.cause: str | None = None

    def admit(self, now: float) -> Ticket | None:
        """Return leave for one attempt, or None; then `retry_after_s` tells when to ask again."""
        if self.state is State.OPEN and now >= self._until:
            self._change(State.HALF_OPEN)
        if self.state is State.CLOSED:
            return Ticket(self._generation)
        if self.state is State.HALF_OPEN and self._probing + self._passed < self._probes:
            self._probing += 1
            return Ticket(self._generation)
        return None

    def retry_after_s(self, now: float) -> float:
        """Return the seconds until it may be worth asking again; 0 while probes are out and may end any moment."""
        return max(0.0, self._until - now) if self.state is State.OPEN else 0.0

    def record(self, ticket: Ticket, *, is_good: bool, now: float, cause: str | None = None) -> None:
        """Count the end of an attempt."""
        if ticket.generation != self._generation:
            return
        if self.state is State.HALF_OPEN:
            self._probing -= 1
            self._passed += is_good
            if not is_good:
                self._open_for_s = min(self._max_open_s, self._open_for_s * 2)
                self._open(now, cause)
            elif self._passed >= self._probes:
                self._open_for_s = self._open_s
                self._change(State.CLOSED)
            return
        if len(self._results) == self._results.maxlen:
            self._failures -= not self._results[0]
        self._results.append(is_good)
        self._failures += not is_good
        is_enough = len(self._results) >= self._min_attempts
        if not is_good and is_enough and self._failures >= self._share * len(self._results):
            self._open(now, cause)

    def note_answer(self, ticket: Ticket, *, now: float) -> None:
        """Count an answer that is no success and no sign of ill health: it does for a probe, and else not at all."""
        if self.state is State.HALF_OPEN:
            self.record(ticket, is_good=True, now=now)

    def release(self, ticket: Ticket) -> None:
        """Give back leave that came to nothing."""
        if ticket.generation == self._generation and self.state is State.HALF_OPEN:
            self._probing -= 1

    def disown(self) -> None:
        """Wait for no probe that is out: after a fork, it is the parent's."""
        self._probing = 0

    def _open(self, now: float, cause: str | None) -> None:
        self.cause = cause
        self._until = now + self._open_for_s
        self._change(State.OPEN)

    def _change(self, state: State) -> None:
        before, self.state = self.state, state
        self._generation += 1
        self._probing = self._passed = self._failures = 0
        self._results.clear()
        if self._on_change:
            self._on_change(before, state, self.cause)
