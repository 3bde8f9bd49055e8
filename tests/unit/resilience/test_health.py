from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead.errors import InvalidSettingError
from fairlead.resilience.health import Condition, Health, HealthOptions

UP, DEGRADED, DOWN = Condition.UP, Condition.DEGRADED, Condition.DOWN


def made(**options: Any) -> Health:
    return Health(HealthOptions(**options))


def tell(health: Health, good: int = 0, bad: int = 0, *, seconds: float = 0.1, now: float = 0.0) -> None:
    for is_good in (*[True] * good, *[False] * bad):
        health.record(is_good=is_good, seconds=seconds, now=now)


def down(**options: Any) -> Health:
    health = made(**options)
    tell(health, bad=10)
    assert health.condition is DOWN
    return health


# --- What traffic tells -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad", "condition"),
    [(0, 0, UP), (0, 9, UP), (95, 5, UP), (94, 6, DEGRADED), (50, 50, DEGRADED), (49, 51, DOWN), (0, 10, DOWN)],
)
def test_the_share_of_good_attempts_tells_how_it_is(good: int, bad: int, condition: Condition) -> None:
    health = made()
    tell(health, good, bad)
    assert health.condition is condition


def test_a_vendor_that_dawdles_is_degraded_and_not_down() -> None:
    health = made(slow_s=2.0, slow_share=0.5)
    tell(health, good=10, seconds=1.9)
    assert health.condition is UP
    tell(health, good=10, seconds=2.0)
    assert health.condition is DEGRADED
    tell(health, good=100, seconds=60.0)
    assert health.condition is DEGRADED


def test_what_is_long_past_is_forgotten() -> None:
    health = made(window_s=60)
    tell(health, good=80, bad=20, now=0)
    assert health.condition is DEGRADED
    tell(health, good=9, now=70)
    assert health.condition is DEGRADED  # nine say nothing
    tell(health, good=1, now=70)
    assert health.condition is UP


def test_every_turn_is_told_once() -> None:
    told: list[tuple[Condition, Condition, str | None]] = []
    health = Health(HealthOptions(rise=1, ramp_s=0), on_turn=lambda *turn: told.append(turn))
    tell(health, good=12)
    for cause in ("unavailable", "connect", *["attempt_timeout"] * 20):
        health.record(is_good=False, seconds=0.1, now=0.0, cause=cause)
    tell(health, good=1, now=10)
    health.share(10)
    assert told == [
        (UP, DEGRADED, "unavailable"),
        (DEGRADED, DOWN, "attempt_timeout"),
        (DOWN, DEGRADED, "attempt_timeout"),
        (DEGRADED, UP, "attempt_timeout"),
    ]
    assert health.cause is None


def test_answers_that_are_good_but_slow_are_the_cause_too() -> None:
    health = made(slow_s=2.0)
    tell(health, good=10, seconds=2.0)
    assert (health.condition, health.cause) == (DEGRADED, "slow")


# --- Probes -------------------------------------------------------------------------------------------------------


def test_one_that_is_up_needs_no_probe() -> None:
    assert made().next_probe_at(0, lambda: 0.5) is None


@pytest.mark.parametrize(("chance", "at"), [(0.0, 108.0), (0.5, 110.0), (0.75, 111.0)])
def test_a_probe_is_early_or_late_by_chance(chance: float, at: float) -> None:
    assert down(probe_s=10, probe_jitter=0.2).next_probe_at(100, lambda: chance) == pytest.approx(at)


def test_so_many_good_probes_in_a_row_bring_it_back() -> None:
    health = down(rise=3)
    for is_good in (True, True, False, True, True):
        health.record(is_good=is_good, seconds=0.1, now=100)
        assert (health.condition, health.share(100)) == (DOWN, 0)
    health.record(is_good=True, seconds=0.1, now=100)
    assert health.condition is DEGRADED


# --- The way back -------------------------------------------------------------------------------------------------


def back(**options: Any) -> Health:
    health = down(rise=1, ramp_s=60, ramp=(0.05, 0.1, 0.25, 0.5), **options)
    health.record(is_good=True, seconds=0.1, now=100)
    return health


def test_its_share_rises_by_steps() -> None:
    health = back()
    shares = [health.share(100 + at) for at in (0, 14.9, 15, 30, 45, 59.9, 60)]
    assert shares == [0.05, 0.05, 0.1, 0.25, 0.5, 0.5, 1.0]
    assert health.condition is UP


@pytest.mark.parametrize(("at", "share"), [(0, 0.05), (15, 0.1), (30, 0.25), (45, 0.5), (60, 1.0)])
def test_so_many_attempts_are_of_the_share_and_evenly(at: float, share: float) -> None:
    health = back()
    admitted = [health.admits(100 + at) for _ in range(1000)]
    assert admitted[0]
    assert sum(admitted) == pytest.approx(1000 * share, abs=1)
    gap = round(1 / share)
    assert all(sum(admitted[start : start + gap]) <= 1 for start in range(1, 1000 - gap))


def test_or_by_chance() -> None:
    health = back()
    assert [health.admits(100, lambda chance=chance: chance) for chance in (0.04, 0.05, 0.9)] == [True, False, False]


def test_down_it_gets_nothing_and_up_all_of_it() -> None:
    assert not any(down().admits(0) for _ in range(100))
    assert all(made().admits(0) for _ in range(100))


def test_one_that_fails_on_the_way_is_down_again_and_begins_anew() -> None:
    health = back()
    tell(health, bad=10, now=150)
    assert (health.condition, health.share(150)) == (DOWN, 0)
    health.record(is_good=True, seconds=0.1, now=200)
    assert health.share(200) == 0.05


def test_what_went_wrong_before_it_was_down_does_not_count_on_the_way() -> None:
    health = back()
    tell(health, good=9, bad=1, now=101)
    assert health.condition is DEGRADED


def test_good_traffic_on_the_way_makes_it_no_shorter() -> None:
    health = back()
    tell(health, good=1000, now=101)
    assert (health.condition, health.share(101)) == (DEGRADED, 0.05)


@pytest.mark.parametrize(
    "options",
    [
        {"down_share": 0.96}, {"degraded_share": 1.1}, {"window_s": 0}, {"slow_s": 0}, {"probe_s": 0}, {"ramp_s": -1},
        {"min_attempts": 0}, {"rise": 0}, {"slow_share": 0}, {"probe_jitter": 1}, {"ramp": ()}, {"ramp": (0.5, 0.1)},
        {"ramp": (0.0, 0.5)}, {"ramp": (0.5, 2.0)},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidSettingError, match=name):
        HealthOptions(**options)


# --- Against a model ----------------------------------------------------------------------------------------------

OPTIONS = HealthOptions(window_s=10, min_attempts=4, degraded_share=0.75, down_share=0.5, rise=2, ramp_s=4, ramp=(0.5,))


class AgainstAModel(RuleBasedStateMachine):
    """The model keeps each attempt with its second, and counts anew each time. Seconds are the window's buckets."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health(OPTIONS)
        self.now = 0
        self.kept: list[tuple[int, bool]] = []
        self.condition = UP
        self.in_a_row = 0
        self.ramp_began: int | None = None

    @rule(seconds=st.integers(min_value=0, max_value=5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(is_good=st.booleans())
    def an_attempt_ends(self, is_good: bool) -> None:
        self.health.record(is_good=is_good, seconds=0.0, now=self.now + 0.5)
        if self.condition is DOWN:
            self.in_a_row = self.in_a_row + 1 if is_good else 0
            if self.in_a_row == OPTIONS.rise:
                self.condition, self.kept, self.ramp_began = DEGRADED, [], self.now
            return
        self.kept.append((self.now, is_good))
        if not is_good or self.condition is DEGRADED:
            self.judge()

    def judge(self) -> None:
        is_over = self.ramp_began is not None and self.now - self.ramp_began >= OPTIONS.ramp_s
        if is_over:
            self.ramp_began = None
        last = [is_good for at, is_good in self.kept if self.now - at < OPTIONS.window_s]
        good = sum(last) / len(last) if len(last) >= OPTIONS.min_attempts else None
        if good is not None and good < OPTIONS.down_share:
            self.condition, self.in_a_row, self.ramp_began = DOWN, 0, None
        elif good is not None and good < OPTIONS.degraded_share:
            self.condition = DEGRADED
        elif self.ramp_began is None and (is_over or good is not None):
            self.condition = UP

    @rule()
    def it_is_asked_for_the_share(self) -> None:
        if self.condition is DOWN:
            expected = 0.0
        elif self.ramp_began is None:
            expected = 1.0
        elif self.now - self.ramp_began < OPTIONS.ramp_s:
            expected = 0.5
        else:
            expected = 1.0
            self.judge()
            expected = 0.0 if self.condition is DOWN else 1.0
        assert self.health.share(self.now + 0.5) == expected

    @invariant()
    def they_agree(self) -> None:
        assert self.health.condition is self.condition


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=200, stateful_step_count=60)
