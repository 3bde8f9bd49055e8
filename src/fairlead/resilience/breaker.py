"""A circuit breaker: leaves a connection that fails alone, and finds out by few probes when it serves again.

Closed, it counts the last attempts, by number (`window`) or by age (`window_s`). When `failure_share` of them failed,
or `slow_share` of them took `slow_s` or longer, it opens for `open_s`, twice as long each time it finds the vendor
still failing, up to `max_open_s`. Then it is half open: `probes` attempts may pass. All of them good, it closes; one
bad or slow, it opens.

Leave is a number that is given once. Closed, all attempts share the number of the present generation; each probe has
its own, with a lease: one that is not settled in `lease_s` makes room for another. So an answer that comes late, from
an earlier generation or past its lease, is known by its number and changes nothing. A cancelled attempt, or one that
says nothing about the vendor's health, is given back.

The ways to break are those of others: a half-open state that lets everybody in, one that waits for ever for a probe
whose caller has gone, and a late answer that closes or opens what it knows nothing about.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import inf
from typing import Literal, TypeAlias

import msgspec

from fairlead.errors import InvalidSettingError
from fairlead.resilience.window import FAILED, SLOW, CountWindow, TimeWindow, Window


class State(StrEnum):
    """The state of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    #: Held open by hand: nothing passes until `resume`.
    FORCED_OPEN = "forced_open"
    #: Held closed by hand: everything passes, and nothing counts until `resume`.
    FORCED_CLOSED = "forced_closed"


#: Leave for one attempt, never 0. Give it back by `record`, `note_answer` or `release`, once.
Ticket: TypeAlias = int

#: How somebody may hold it by hand.
Hold: TypeAlias = Literal["open", "closed"]

OnChange = Callable[[State, State, str | None], None]

#: The cause where answers were good, but too slow.
SLOW_ANSWERS = "slow"
#: The cause where somebody holds it open.
BY_HAND = "forced"


class BreakerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """When it opens, for how long, and how it finds out. Raises `InvalidSettingError` for what cannot be."""

    #: How many of the last attempts count.
    window: int = 20
    #: The attempts of so many last seconds count instead, however many they are.
    window_s: float | None = None
    #: With fewer than these nothing is decided.
    min_attempts: int = 5
    #: The share of failures at which it opens.
    failure_share: float = 0.5
    #: An attempt that takes as long is slow; none is unless set.
    slow_s: float | None = None
    #: The share of slow attempts at which it opens.
    slow_share: float = 0.5
    #: How long it stays open; twice as long each time the vendor still fails.
    open_s: float = 5.0
    #: The longest that it stays open.
    max_open_s: float = 60.0
    #: How many attempts must go well before it closes again.
    probes: int = 1
    #: When the place of a probe that was never settled is given to another.
    lease_s: float = 60.0

    def __post_init__(self) -> None:
        if min(self.window, self.min_attempts, self.probes) < 1:
            raise InvalidSettingError("breaker: window, min_attempts and probes are 1 or more.")
        if not (0 < self.failure_share <= 1 and 0 < self.slow_share <= 1):
            raise InvalidSettingError("breaker: failure_share and slow_share are shares, above 0 and up to 1.")
        if any(each is not None and each <= 0 for each in (self.open_s, self.lease_s, self.slow_s, self.window_s)):
            raise InvalidSettingError("breaker: open_s, lease_s, slow_s and window_s are times above 0.")
        if self.open_s > self.max_open_s:
            raise InvalidSettingError(
                f"breaker.open_s ({self.open_s:g} s) is longer than breaker.max_open_s ({self.max_open_s:g} s).",
                hint="Raise max_open_s too.",
            )


class Breaker:
    """The state machine. `on_change(before, after, cause)` is told of every change."""

    __slots__ = (
        "_counted",
        "_min_attempts",
        "_on_change",
        "_open_for_s",
        "_options",
        "_passed",
        "_probes",
        "_serial",
        "_slow_s",
        "_spotless",
        "_until",
        "_window",
        "cause",
        "message",
        "passes",
        "state",
    )

    def __init__(self, options: BreakerOptions | None = None, *, on_change: OnChange | None = None) -> None:
        self._options = options = options or BreakerOptions()
        window_s = options.window_s
        self._window: Window = CountWindow(options.window) if window_s is None else TimeWindow(window_s)
        self._min_attempts = options.min_attempts if window_s else min(options.min_attempts, options.window)
        self._slow_s = inf if options.slow_s is None else options.slow_s
        self._open_for_s = options.open_s
        self._until = 0.0
        #: The last number given.
        self._serial = 1
        #: The leave that everybody has while it is closed (0 while it is not, and `admit` has to be asked), and the one
        #: whose attempts count.
        self.passes = self._counted = self._serial
        #: The number of attempts that, if good, would change nothing: mostly the same, and else an old one or 0.
        self._spotless = 0
        #: The probes that are out, and when their leases end.
        self._probes: dict[Ticket, float] = {}
        self._passed = 0
        self._on_change = on_change
        self.state = State.CLOSED
        #: The code of the error that opened it last, and what that said.
        self.cause: str | None = None
        self.message: str | None = None

    def admit(self, now: float) -> Ticket | None:
        """Return leave for one attempt, or None; then `retry_after_s` tells when to ask again."""
        if self.passes:
            return self.passes
        if self.state is State.OPEN and now >= self._until:
            self._change(State.HALF_OPEN)
        if self.state is not State.HALF_OPEN:
            return None
        if len(self._probes) + self._passed >= self._options.probes and not self._free_abandoned(now):
            return None
        self._serial += 1
        self._probes[self._serial] = now + self._options.lease_s
        return self._serial

    def retry_after_s(self, now: float) -> float | None:
        """Return the seconds until it may be worth asking again, or None where only `resume` helps.

        While probes are out it is 0, for they may end any moment.
        """
        if self.state is State.FORCED_OPEN:
            return None
        return max(0.0, self._until - now) if self.state is State.OPEN else 0.0

    def record_good(self, ticket: Ticket, seconds: float, now: float) -> None:
        """Count a good attempt; while the window is full of them, another one is none to count."""
        if ticket != self._spotless or seconds >= self._slow_s:
            self.record(ticket, is_good=True, now=now, seconds=seconds)

    def record(
        self,
        ticket: Ticket,
        *,
        is_good: bool,
        now: float,
        seconds: float = 0.0,
        cause: str | None = None,
        message: str | None = None,
    ) -> None:
        """Count the end of an attempt, which took so many seconds; a bad one has the code and words of its error."""
        mark = 0 if is_good else FAILED
        if seconds >= self._slow_s:
            mark |= SLOW
        if ticket == self._counted:
            self._window.add(mark, now)
            self._spotless = 0
            if mark:
                self._judge(mark, now, cause, message)
            elif self._window.is_spotless:
                self._spotless = ticket
        elif ticket in self._probes:
            del self._probes[ticket]
            self._learn_from_probe(mark, now, cause, message)

    def note_answer(self, ticket: Ticket, *, now: float) -> None:
        """Count an answer that is no success and no sign of ill health: it does for a probe, and else not at all."""
        if ticket in self._probes:
            self.record(ticket, is_good=True, now=now)

    def release(self, ticket: Ticket) -> None:
        """Give back leave that came to nothing."""
        self._probes.pop(ticket, None)

    def disown(self) -> None:
        """Wait for no probe that is out: after a fork, it is the parent's."""
        self._probes.clear()

    def force_open(self) -> None:
        """Let nothing pass until `resume`."""
        self.cause, self.message = BY_HAND, None
        self._change(State.FORCED_OPEN)

    def force_closed(self) -> None:
        """Let everything pass, and count nothing, until `resume`."""
        self._change(State.FORCED_CLOSED)

    def hold(self, state: Hold | None) -> None:
        """Hold it open or closed by hand; with None let it decide by itself again."""
        if state == "open" and self.state is not State.FORCED_OPEN:
            self.force_open()
        elif state == "closed" and self.state is not State.FORCED_CLOSED:
            self.force_closed()
        elif state is None:
            self.resume()

    def resume(self) -> None:
        """Decide by itself again: what was held open begins with probes, for nobody knows how the vendor is."""
        if self.state is State.FORCED_OPEN:
            self._change(State.HALF_OPEN)
        elif self.state is State.FORCED_CLOSED:
            self._change(State.CLOSED)

    @property
    def failures(self) -> int:
        """How many of the attempts that count failed."""
        return self._window.failed

    @property
    def probing(self) -> int:
        """How many probes are out."""
        return len(self._probes)

    def _judge(self, mark: int, now: float, cause: str | None, message: str | None) -> None:
        """Open where a bad attempt brings its share to the limit; a good one never does."""
        window, options = self._window, self._options
        total = window.total
        if total < self._min_attempts:
            return
        if mark & FAILED and window.failed >= options.failure_share * total:
            self._open(now, cause, message)
        elif mark & SLOW and window.slow >= options.slow_share * total:
            self._open(now, SLOW_ANSWERS, f"{window.slow} of {total} attempts took {self._slow_s:g} s or longer.")

    def _learn_from_probe(self, mark: int, now: float, cause: str | None, message: str | None) -> None:
        if mark:
            if not mark & FAILED:
                cause, message = SLOW_ANSWERS, f"A probe took {self._slow_s:g} s or longer."
            self._open_for_s = min(self._options.max_open_s, self._open_for_s * 2)
            self._open(now, cause, message)
            return
        self._passed += 1
        if self._passed >= self._options.probes:
            self._open_for_s = self._options.open_s
            self._change(State.CLOSED)

    def _free_abandoned(self, now: float) -> bool:
        """Take the place of probes whose lease is over; return whether there were any."""
        abandoned = [ticket for ticket, ends in self._probes.items() if ends <= now]
        for ticket in abandoned:
            del self._probes[ticket]
        return bool(abandoned)

    def _open(self, now: float, cause: str | None, message: str | None) -> None:
        self.cause, self.message = cause, message
        self._until = now + self._open_for_s
        self._change(State.OPEN)

    def _change(self, state: State) -> None:
        """Begin a generation: what was given before is worth nothing any more."""
        before, self.state = self.state, state
        self._serial += 1
        self.passes = self._serial if state in {State.CLOSED, State.FORCED_CLOSED} else 0
        self._counted = self._serial if state is State.CLOSED else 0
        self._passed = 0
        self._probes.clear()
        self._window.clear()
        if self._on_change:
            self._on_change(before, state, self.cause)
