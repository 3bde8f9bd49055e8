from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.resilience.pause import Leave, Pause

seconds = st.integers(min_value=0, max_value=20)


def paused(length: float = 10, now: float = 0) -> Pause:
    pause = Pause()
    pause.begin(length, "throttled", now)
    return pause


def test_without_a_pause_everybody_goes() -> None:
    pause = Pause()
    assert [pause.admit(0) for _ in range(3)] == [Leave.FREE] * 3
    assert pause.retry_after_s(0) == 0


def test_while_it_lasts_nobody_goes() -> None:
    pause = paused()
    assert [pause.admit(now) for now in (0, 9.9)] == [Leave.REFUSED] * 2
    assert [pause.retry_after_s(now) for now in (0, 4, 10, 11)] == [10, 6, 0, 0]


def test_afterwards_one_goes_first() -> None:
    pause = paused()
    assert [pause.admit(10) for _ in range(3)] == [Leave.PROBE, Leave.REFUSED, Leave.REFUSED]
    pause.end(11)
    assert [pause.admit(11) for _ in range(2)] == [Leave.FREE] * 2


def test_the_first_one_learns_that_it_is_not_over() -> None:
    pause = paused()
    pause.admit(10)
    pause.begin(20, "quota_exhausted", 11)
    assert (pause.admit(30), pause.admit(31)) == (Leave.REFUSED, Leave.PROBE)
    assert pause.cause == "quota_exhausted"


def test_leave_that_came_to_nothing_goes_to_the_next() -> None:
    pause = paused()
    leave = pause.admit(10)
    pause.release(leave)
    assert (pause.admit(10), pause.admit(10)) == (Leave.PROBE, Leave.REFUSED)


def test_somebody_who_went_before_the_pause_gives_nobody_elses_leave_back() -> None:
    pause = Pause()
    early = pause.admit(0)
    pause.begin(10, "throttled", 0)
    pause.admit(10)
    pause.release(early)
    assert pause.admit(10) is Leave.REFUSED


def test_an_answer_from_before_the_pause_does_not_end_it() -> None:
    pause = paused()
    pause.end(5)
    assert pause.admit(5) is Leave.REFUSED


def test_a_longer_pause_stays_with_its_cause() -> None:
    pause = paused(100)
    pause.begin(1, "unavailable", 5)
    assert (pause.retry_after_s(5), pause.cause) == (95, "throttled")
    pause.begin(200, "quota_exhausted", 5)
    assert (pause.retry_after_s(5), pause.cause) == (200, "quota_exhausted")


class AgainstAModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pause = Pause()
        self.now = 0.0
        self.until: float | None = None
        self.out: list[Leave] = []

    @rule(seconds=seconds)
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        leave = self.pause.admit(self.now)
        if self.until is None:
            assert leave is Leave.FREE
        elif self.now < self.until:
            assert leave is Leave.REFUSED
        else:
            assert leave is (Leave.REFUSED if Leave.PROBE in self.out else Leave.PROBE)
        if leave is not Leave.REFUSED:
            self.out.append(leave)

    @precondition(lambda self: self.out)
    @rule(length=seconds)
    def is_told_to_wait(self, length: int) -> None:
        self.out.pop()
        self.out = [Leave.FREE for _ in self.out]  # a probe that is still out is one of many now
        self.until = max(self.until or 0.0, self.now + length)
        self.pause.begin(length, "throttled", self.now)

    @precondition(lambda self: self.out)
    @rule()
    def is_served(self) -> None:
        self.out.pop()
        if self.until is not None and self.now >= self.until:
            self.until = None
            self.out = [Leave.FREE for _ in self.out]
        self.pause.end(self.now)

    @precondition(lambda self: self.out)
    @rule()
    def comes_to_nothing(self) -> None:
        self.pause.release(self.out.pop())

    @invariant()
    def one_probe_at_a_time(self) -> None:
        assert self.out.count(Leave.PROBE) <= 1

    @invariant()
    def they_agree(self) -> None:
        wait = 0.0 if self.until is None else max(0.0, self.until - self.now)
        assert self.pause.retry_after_s(self.now) == wait


TestAgainstAModel = AgainstAModel.TestCase
