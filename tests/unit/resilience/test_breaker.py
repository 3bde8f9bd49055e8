from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.resilience.breaker import Breaker, State, Ticket

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


def admitted(breaker: Breaker, now: float = 0.0) -> Ticket:
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


def fail(breaker: Breaker, times: int = 1, *, now: float = 0.0, cause: str = "unavailable") -> None:
    for _ in range(times):
        breaker.record(admitted(breaker, now), is_good=False, now=now, cause=cause)


def opened(**changes: float) -> Breaker:
    breaker = Breaker(min_attempts=2, **changes)  # type: ignore[arg-type]  # a test's keywords
    fail(breaker, 2)
    assert breaker.state is OPEN
    return breaker


# --- Closed -------------------------------------------------------------------------------------------------------


def test_it_opens_at_its_share_of_failures() -> None:
    breaker = Breaker(window=10, min_attempts=4, failure_share=0.5)
    for is_good in (True, True, False):
        breaker.record(admitted(breaker), is_good=is_good, now=0)
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN


def test_too_few_attempts_say_nothing() -> None:
    breaker = Breaker(min_attempts=5)
    fail(breaker, 4)
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN


def test_only_the_last_attempts_count() -> None:
    breaker = Breaker(window=4, min_attempts=4, failure_share=0.75)
    for is_good in (False, False, True, True, True, False):
        breaker.record(admitted(breaker), is_good=is_good, now=0)
    assert breaker.state is CLOSED
    fail(breaker, 2)
    assert breaker.state is OPEN


def test_more_attempts_asked_for_than_the_window_holds() -> None:
    breaker = Breaker(window=2, min_attempts=100)
    fail(breaker, 2)
    assert breaker.state is OPEN


def test_a_success_opens_nothing() -> None:
    breaker = Breaker(window=4, min_attempts=4, failure_share=0.5)
    for is_good in (False, False, True, True):
        breaker.record(admitted(breaker), is_good=is_good, now=0)
    assert breaker.state is CLOSED


# --- Open ---------------------------------------------------------------------------------------------------------


def test_open_it_admits_nobody_and_says_for_how_long() -> None:
    breaker = opened(open_s=5)
    assert breaker.admit(4.9) is None
    assert breaker.retry_after_s(2) == 3
    assert breaker.retry_after_s(9) == 0
    assert breaker.admit(5) is not None
    assert breaker.retry_after_s(5) == 0  # the probe may end any moment


def test_it_stays_open_for_longer_each_time_up_to_a_bound() -> None:
    breaker = opened(open_s=5, max_open_s=30)
    now, lengths = 0.0, []
    for _ in range(5):
        lengths.append(breaker.retry_after_s(now))
        now += lengths[-1]
        fail(breaker, now=now)
    assert lengths == [5, 10, 20, 30, 30]


def test_once_it_has_closed_it_begins_with_the_short_time() -> None:
    breaker = opened(open_s=5)
    fail(breaker, now=5)
    assert breaker.retry_after_s(5) == 10
    breaker.record(admitted(breaker, 15), is_good=True, now=15)
    assert breaker.state is CLOSED
    fail(breaker, 2, now=20)
    assert breaker.retry_after_s(20) == 5


# --- Half open ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probes", [1, 3])
def test_so_many_probes_and_no_more(probes: int) -> None:
    breaker = opened(open_s=5, probes=probes)
    tickets = [admitted(breaker, 5) for _ in range(probes)]
    assert breaker.admit(5) is None
    for ticket in tickets:
        assert breaker.state is HALF_OPEN
        breaker.record(ticket, is_good=True, now=6)
    assert breaker.state is CLOSED


def test_one_bad_probe_opens_it_again() -> None:
    breaker = opened(open_s=5, probes=3)
    first, second = admitted(breaker, 5), admitted(breaker, 5)
    breaker.record(first, is_good=True, now=6)
    breaker.record(second, is_good=False, now=6, cause="connect")
    assert (breaker.state, breaker.cause) == (OPEN, "connect")


def test_a_cancelled_probe_is_no_probe() -> None:
    breaker = opened(open_s=5)
    breaker.release(admitted(breaker, 5))
    assert breaker.state is HALF_OPEN
    breaker.record(admitted(breaker, 5), is_good=True, now=6)
    assert breaker.state is CLOSED


# --- Generations, causes, cancellation ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_good", [True, False])
def test_an_answer_from_before_changes_nothing(is_good: bool) -> None:
    breaker = Breaker(min_attempts=2, open_s=5)
    late = admitted(breaker)
    fail(breaker, 2)
    breaker.record(late, is_good=is_good, now=1, cause="late")
    assert (breaker.state, breaker.cause, breaker.retry_after_s(1)) == (OPEN, "unavailable", 4)
    probe = admitted(breaker, 5)
    breaker.record(late, is_good=is_good, now=5, cause="late")
    breaker.release(late)
    assert breaker.state is HALF_OPEN
    assert breaker.admit(5) is None
    breaker.record(probe, is_good=True, now=5)
    assert breaker.state is CLOSED


def test_cancelled_attempts_never_count() -> None:
    breaker = Breaker(min_attempts=1)
    for _ in range(100):
        breaker.release(admitted(breaker))
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN


def test_every_change_is_told_with_what_opened_it() -> None:
    told: list[tuple[State, State, str | None]] = []
    breaker = Breaker(min_attempts=1, open_s=5, on_change=lambda *change: told.append(change))
    fail(breaker, cause="connect")
    fail(breaker, now=5, cause="attempt_timeout")
    breaker.record(admitted(breaker, 15), is_good=True, now=15)
    assert told == [
        (CLOSED, OPEN, "connect"),
        (OPEN, HALF_OPEN, "connect"),
        (HALF_OPEN, OPEN, "attempt_timeout"),
        (OPEN, HALF_OPEN, "attempt_timeout"),
        (HALF_OPEN, CLOSED, "attempt_timeout"),
    ]
    assert breaker.cause == "attempt_timeout"


# --- Against a model ----------------------------------------------------------------------------------------------

WINDOW, MIN_ATTEMPTS, SHARE, OPEN_S, MAX_OPEN_S, PROBES = 5, 3, 0.5, 4.0, 16.0, 2


class AgainstAModel(RuleBasedStateMachine):
    """The model keeps every result of the present generation in a list, and counts anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[State, State, str | None]] = []
        self.breaker = Breaker(
            window=WINDOW, min_attempts=MIN_ATTEMPTS, failure_share=SHARE, open_s=OPEN_S, max_open_s=MAX_OPEN_S,
            probes=PROBES, on_change=lambda *change: self.told.append(change),
        )  # fmt: skip
        self.now = 0.0
        self.state = CLOSED
        self.generation = 0
        self.out: list[tuple[int, Ticket]] = []
        self.results: list[bool] = []
        self.until = 0.0
        self.open_for = OPEN_S
        self.cause: str | None = None

    def change(self, state: State) -> None:
        self.state = state
        self.generation += 1
        self.results = []

    @property
    def probing(self) -> int:
        return sum(generation == self.generation for generation, _ in self.out)

    @rule(seconds=st.integers(min_value=0, max_value=20))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        if self.state is OPEN and self.now >= self.until:
            self.change(HALF_OPEN)
        is_welcome = self.state is CLOSED or (self.state is HALF_OPEN and self.probing + len(self.results) < PROBES)
        ticket = self.breaker.admit(self.now)
        assert (ticket is not None) == is_welcome
        if ticket is not None:
            self.out.append((self.generation, ticket))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), is_good=st.booleans(), cause=st.sampled_from("abc"))
    def end(self, data: st.DataObject, is_good: bool, cause: str) -> None:
        generation, ticket = self.out.pop(data.draw(st.integers(min_value=0, max_value=len(self.out) - 1)))
        self.breaker.record(ticket, is_good=is_good, now=self.now, cause=cause)
        if generation != self.generation:
            return
        self.results.append(is_good)
        if self.state is HALF_OPEN:
            if not is_good:
                self.open_for = min(MAX_OPEN_S, 2 * self.open_for)
                self.open(cause)
            elif len(self.results) == PROBES:
                self.open_for = OPEN_S
                self.change(CLOSED)
            return
        last = self.results[-WINDOW:]
        if not is_good and len(last) >= MIN_ATTEMPTS and last.count(False) / len(last) >= SHARE:
            self.open(cause)

    def open(self, cause: str) -> None:
        self.until, self.cause = self.now + self.open_for, cause
        self.change(OPEN)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        _, ticket = self.out.pop(data.draw(st.integers(min_value=0, max_value=len(self.out) - 1)))
        self.breaker.release(ticket)

    @invariant()
    def they_agree(self) -> None:
        assert (self.breaker.state, self.breaker.cause) == (self.state, self.cause)
        wait = max(0.0, self.until - self.now) if self.state is OPEN else 0.0
        assert self.breaker.retry_after_s(self.now) == wait <= MAX_OPEN_S

    @invariant()
    def no_more_probes_than_allowed(self) -> None:
        assert self.state is not HALF_OPEN or self.probing <= PROBES

    @invariant()
    def changes_follow_one_another(self) -> None:
        assert all(one[1] is other[0] for one, other in pairwise(self.told))
        assert {(before, after) for before, after, _ in self.told} <= {
            (CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED),
        }  # fmt: skip


TestAgainstAModel = AgainstAModel.TestCase
