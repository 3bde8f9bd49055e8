"""The breaker against a model that keeps everything and counts anew each time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.resilience.breaker import SLOW_ANSWERS, Breaker, BreakerOptions, State, Ticket

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
FORCED = {State.FORCED_OPEN, State.FORCED_CLOSED}
SLOW_S = 2.0
OPTIONS = BreakerOptions(
    window=5, min_attempts=3, failure_share=0.5, slow_s=SLOW_S, slow_share=0.75, open_s=4.0, max_open_s=16.0, probes=2,
    lease_s=7.0,
)  # fmt: skip


class Out:
    """An attempt that is out."""

    def __init__(self, ticket: Ticket, generation: int, ends: float) -> None:
        self.ticket, self.generation, self.ends = ticket, generation, ends
        self.has_lease = True


class AgainstAModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[State, State, str | None]] = []
        self.breaker = Breaker(OPTIONS, on_change=lambda *change: self.told.append(change))
        self.now = 0.0
        self.state = CLOSED
        self.generation = 0
        self.out: list[Out] = []
        self.results: list[tuple[bool, bool]] = []
        self.until = 0.0
        self.open_for = OPTIONS.open_s
        self.cause: str | None = None

    def change(self, state: State) -> None:
        self.state = state
        self.generation += 1
        self.results = []

    @property
    def probing(self) -> list[Out]:
        return [each for each in self.out if each.generation == self.generation and each.has_lease]

    @rule(seconds=st.integers(min_value=0, max_value=20))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        if self.state is OPEN and self.now >= self.until:
            self.change(HALF_OPEN)
        is_welcome = self.state in {CLOSED, State.FORCED_CLOSED}
        if self.state is HALF_OPEN:
            if len(self.probing) + len(self.results) >= OPTIONS.probes:
                for each in self.probing:
                    each.has_lease = each.ends > self.now
            is_welcome = len(self.probing) + len(self.results) < OPTIONS.probes
        ticket = self.breaker.admit(self.now)
        assert (ticket is not None) == is_welcome
        if ticket is not None:
            self.out.append(Out(ticket, self.generation, self.now + OPTIONS.lease_s))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), is_good=st.booleans(), seconds=st.sampled_from([0.0, 3.0]), cause=st.sampled_from("abc"))
    def end(self, data: st.DataObject, is_good: bool, seconds: float, cause: str) -> None:
        each = self.out.pop(data.draw(st.integers(min_value=0, max_value=len(self.out) - 1)))
        self.breaker.record(each.ticket, is_good=is_good, seconds=seconds, now=self.now, cause=cause)
        if each.generation == self.generation and each.has_lease:
            self.count(is_good, seconds >= SLOW_S, cause)

    def count(self, is_good: bool, is_slow: bool, cause: str) -> None:
        self.results.append((is_good, is_slow))
        if self.state is HALF_OPEN:
            if not is_good or is_slow:
                self.open_for = min(OPTIONS.max_open_s, 2 * self.open_for)
                self.open(SLOW_ANSWERS if is_good else cause)
            elif len(self.results) == OPTIONS.probes:
                self.open_for = OPTIONS.open_s
                self.change(CLOSED)
        elif self.state is CLOSED:
            last = self.results[-OPTIONS.window :]
            failed = sum(not good for good, _ in last) / len(last)
            slow = sum(slow for _, slow in last) / len(last)
            if len(last) < OPTIONS.min_attempts:
                return
            if not is_good and failed >= OPTIONS.failure_share:
                self.open(cause)
            elif is_slow and slow >= OPTIONS.slow_share:
                self.open(SLOW_ANSWERS)

    def open(self, cause: str) -> None:
        self.until, self.cause = self.now + self.open_for, cause
        self.change(OPEN)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.breaker.release(self.out.pop(data.draw(st.integers(min_value=0, max_value=len(self.out) - 1))).ticket)

    @rule(hand=st.sampled_from([State.FORCED_OPEN, State.FORCED_CLOSED]), dice=st.integers(min_value=0, max_value=9))
    def a_hand_moves_it(self, hand: State, dice: int) -> None:
        if dice:  # seldom, so that it is left to itself for long stretches
            return
        if hand is State.FORCED_OPEN:
            self.breaker.force_open()
            self.cause = "forced"
        else:
            self.breaker.force_closed()
        self.change(hand)

    @precondition(lambda self: self.state in FORCED)
    @rule()
    def it_is_left_to_itself(self) -> None:
        self.breaker.resume()
        self.change(HALF_OPEN if self.state is State.FORCED_OPEN else CLOSED)

    @invariant()
    def they_agree(self) -> None:
        assert (self.breaker.state, self.breaker.cause) == (self.state, self.cause)
        wait = max(0.0, self.until - self.now) if self.state is OPEN else 0.0
        assert self.breaker.retry_after_s(self.now) == (None if self.state is State.FORCED_OPEN else wait)
        assert wait <= OPTIONS.max_open_s

    @invariant()
    def no_more_probes_than_allowed(self) -> None:
        assert self.breaker.probing <= OPTIONS.probes
        assert self.breaker.probing == (len(self.probing) if self.state is HALF_OPEN else 0)

    @invariant()
    def changes_follow_one_another(self) -> None:
        assert all(one[1] is other[0] for one, other in pairwise(self.told))
        by_itself = {(before, after) for before, after, _ in self.told if not FORCED & {before, after}}
        assert by_itself <= {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=200, stateful_step_count=60)
