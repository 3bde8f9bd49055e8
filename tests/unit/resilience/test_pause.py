from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.resilience.pause import FREE, REFUSED, Leave, Pause

seconds = st.integers(min_value=0, max_value=20)


def paused(length: float = 10, now: float = 0) -> Pause:
    pause = Pause()
    pause.begin(length, "throttled", now)
    return pause


def probe_of(pause: Pause, now: float) -> Leave:
    leave = pause.admit(now)
    assert leave not in {FREE, REFUSED}
    return leave


def test_without_a_pause_everybody_goes() -> None:
    pause = Pause()
    assert [pause.admit(0) for _ in range(3)] == [FREE] * 3
    assert pause.retry_after_s(0) == 0


def test_while_it_lasts_nobody_goes() -> None:
    pause = paused()
    assert [pause.admit(now) for now in (0, 9.9)] == [REFUSED] * 2
    assert [pause.retry_after_s(now) for now in (0, 4, 10, 11)] == [10, 6, 0, 0]


def test_afterwards_one_goes_first() -> None:
    pause = paused()
    probe_of(pause, 10)
    assert [pause.admit(10) for _ in range(2)] == [REFUSED] * 2
    pause.end(11)
    assert [pause.admit(11) for _ in range(2)] == [FREE] * 2


def test_the_first_one_learns_that_it_is_not_over() -> None:
    pause = paused()
    pause.admit(10)
    pause.begin(20, "quota_exhausted", 11)
    assert pause.admit(30) == REFUSED
    probe_of(pause, 31)
    assert pause.cause == "quota_exhausted"


def test_leave_that_came_to_nothing_goes_to_the_next() -> None:
    pause = paused()
    pause.release(probe_of(pause, 10))
    probe_of(pause, 10)
    assert pause.admit(10) == REFUSED


def test_somebody_who_went_before_the_pause_gives_nobody_elses_leave_back() -> None:
    pause = Pause()
    early = pause.admit(0)
    pause.begin(10, "throttled", 0)
    pause.admit(10)
    pause.release(early)
    assert pause.admit(10) == REFUSED


def test_a_probe_that_outlives_a_second_pause_gives_nobody_elses_leave_back() -> None:
    pause = paused()
    first = probe_of(pause, 10)
    pause.begin(10, "throttled", 11)  # by an answer from before
    second = probe_of(pause, 21)
    pause.release(first)
    assert pause.admit(21) == REFUSED
    pause.release(second)
    probe_of(pause, 21)


def test_an_answer_from_before_the_pause_does_not_end_it() -> None:
    pause = paused()
    pause.end(5)
    assert pause.admit(5) == REFUSED


def test_a_longer_pause_stays_with_its_cause() -> None:
    pause = paused(100)
    pause.begin(1, "unavailable", 5)
    assert (pause.retry_after_s(5), pause.cause) == (95, "throttled")
    pause.begin(200, "quota_exhausted", 5)
    assert (pause.retry_after_s(5), pause.cause) == (200, "quota_exhausted")


class AgainstAModel(RuleBasedStateMachine):
    """The model knows of each attempt that is out whether it is the probe of the present pause."""

    def __init__(self) -> None:
        super().__init__()
        self.pause = Pause()
        self.now = 0.0
        self.until: float | None = None
        self.out: list[Leave] = []
        self.probe: Leave | None = None

    def taken(self, data: st.DataObject) -> Leave:
        return self.out.pop(data.draw(st.integers(min_value=0, max_value=len(self.out) - 1)))

    @rule(seconds=seconds)
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        leave = self.pause.admit(self.now)
        if self.until is None:
            assert leave == FREE
        elif self.now < self.until or self.probe is not None:
            assert leave == REFUSED
        else:
            assert leave not in {FREE, REFUSED, *self.out}
            self.probe = leave
        if leave != REFUSED:
            self.out.append(leave)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), length=seconds)
    def is_told_to_wait(self, data: st.DataObject, length: int) -> None:
        self.taken(data)
        self.probe = None
        self.until = max(self.until or 0.0, self.now + length)
        self.pause.begin(length, "throttled", self.now)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def is_served(self, data: st.DataObject) -> None:
        self.taken(data)
        if self.until is not None and self.now >= self.until:
            self.until = self.probe = None
        self.pause.end(self.now)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def comes_to_nothing(self, data: st.DataObject) -> None:
        leave = self.taken(data)
        if leave == self.probe:
            self.probe = None
        self.pause.release(leave)

    @invariant()
    def they_agree(self) -> None:
        wait = 0.0 if self.until is None else max(0.0, self.until - self.now)
        assert self.pause.retry_after_s(self.now) == wait
        assert self.pause.is_probing == (self.probe is not None)


TestAgainstAModel = AgainstAModel.TestCase
