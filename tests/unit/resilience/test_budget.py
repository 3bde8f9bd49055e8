from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead.errors import InvalidSettingError
from fairlead.resilience.budget import AFTER_REFUSAL, AFTER_TIMEOUT, Budget, BudgetOptions


def empty(**options: float) -> Budget:
    budget = Budget(BudgetOptions(**options))
    while budget.withdraw(0.5):
        pass
    return budget


def load(calls: int, every_s: float, *, tries: int, cost: float, **options: float) -> int:
    """Return how many requests a vendor sees that answers none of so many calls."""
    budget, sent = Budget(BudgetOptions(**options)), 0
    for at in range(calls):
        budget.deposit(at * every_s)
        sent += 1
        for _ in range(tries - 1):
            if not budget.withdraw(cost):
                break
            sent += 1
    return sent


@pytest.mark.parametrize(("cost", "share"), [(AFTER_REFUSAL, 0.2), (AFTER_TIMEOUT, 0.1)])
def test_a_dying_vendor_sees_its_share_more_and_not_three_times_as_much(cost: float, share: float) -> None:
    sent = load(10_000, 0.01, tries=3, cost=cost)
    assert 10_000 * (1 + share) <= sent <= 10_000 * (1 + share) + 10


def test_the_share_is_a_setting() -> None:
    assert load(10_000, 0.01, tries=9, cost=1, share=0.05, burst=0) == 0 + 10_000
    assert load(10_000, 0.01, tries=9, cost=1, share=0.05, burst=1) == pytest.approx(10_500, abs=1)
    assert load(100, 0.01, tries=9, cost=1, share=0, floor_per_s=0, burst=3) == 103


def test_one_who_calls_rarely_may_retry_all_the_same() -> None:
    assert load(100, 2.0, tries=3, cost=1) == 300
    assert load(100, 2.0, tries=3, cost=1, floor_per_s=0) < 135


def test_without_calls_nothing_is_earned() -> None:
    budget = empty()
    assert not budget.withdraw()
    budget.deposit(1e6)
    assert budget.balance == pytest.approx(0.2)  # the first call has no past


def test_an_hour_of_health_does_not_pay_for_a_storm() -> None:
    budget = Budget(BudgetOptions(burst=10))
    for at in range(100_000):
        budget.deposit(at * 0.036)
    assert sum(budget.withdraw() for _ in range(1000)) == 10


def test_a_timeout_costs_as_much_as_two_refusals() -> None:
    assert sum(Budget().withdraw(AFTER_TIMEOUT) for _ in [0]) == 1
    assert AFTER_TIMEOUT == 2 * AFTER_REFUSAL


def test_what_cannot_be_paid_takes_nothing() -> None:
    budget = Budget(BudgetOptions(burst=1.5))
    assert not budget.withdraw(AFTER_TIMEOUT)
    assert budget.withdraw(AFTER_REFUSAL)


def test_a_repeat_that_was_not_sent_is_given_back() -> None:
    budget = Budget(BudgetOptions(burst=1, share=0))
    assert budget.withdraw()
    budget.refund()
    assert budget.withdraw()
    for _ in range(9):
        budget.refund()
    assert budget.balance == 1


@pytest.mark.parametrize("options", [{"share": -0.1}, {"floor_per_s": -1}, {"burst": -1}, {"share": float("nan")}])
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidSettingError, match=name):
        BudgetOptions(**options)


@given(
    gaps=st.lists(st.floats(min_value=0, max_value=3), max_size=60),
    tries=st.integers(min_value=1, max_value=9),
    cost=st.sampled_from([AFTER_REFUSAL, AFTER_TIMEOUT]),
)
def test_whatever_the_traffic_the_bound_holds(gaps: list[float], tries: int, cost: float) -> None:
    options, now, sent = BudgetOptions(share=0.3, floor_per_s=0.5, burst=4), 0.0, 0
    budget = Budget(options)
    for gap in gaps:
        now += gap
        budget.deposit(now)
        sent += 1 + sum(budget.withdraw(cost) for _ in range(tries))
    assert sent <= len(gaps) * (1 + options.share) + options.burst + options.floor_per_s * now + 1e-6


class AgainstAModel(RuleBasedStateMachine):
    """The model writes every booking down, and adds them up again each time. In quarters, so that sums are exact."""

    def __init__(self) -> None:
        super().__init__()
        self.options = BudgetOptions(share=0.25, floor_per_s=0.5, burst=4)
        self.budget = Budget(self.options)
        self.now = 0.0
        self.calls: list[float] = []
        self.bookings: list[float] = [self.options.burst]

    def balance(self) -> float:
        total = 0.0
        for booking in self.bookings:
            total = min(self.options.burst, total + booking)
        return total

    @rule(halves=st.integers(min_value=0, max_value=8))
    def time_passes(self, halves: int) -> None:
        self.now += halves / 2

    @rule()
    def a_call_comes(self) -> None:
        gap = self.now - self.calls[-1] if self.calls else 0.0
        self.calls.append(self.now)
        self.bookings.append(max(self.options.share, gap * self.options.floor_per_s))
        self.budget.deposit(self.now)

    @rule(cost=st.sampled_from([AFTER_REFUSAL, AFTER_TIMEOUT]), is_sent=st.booleans())
    def it_is_repeated(self, cost: float, is_sent: bool) -> None:
        can_pay = self.balance() >= cost
        assert self.budget.withdraw(cost) == can_pay
        if can_pay:
            self.bookings.append(-cost)
            if not is_sent:
                self.budget.refund(cost)
                self.bookings.append(cost)

    @invariant()
    def they_agree(self) -> None:
        assert self.budget.balance == self.balance()
        assert 0 <= self.budget.balance <= self.options.burst


TestAgainstAModel = AgainstAModel.TestCase
