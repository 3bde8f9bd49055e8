from __future__ import annotations

import random
from itertools import count
from typing import Any

import pytest

from fairlead.errors import InvalidSettingError
from fairlead.resilience.budget import Budget, BudgetOptions
from fairlead.resilience.hedge import Hedge, HedgeOptions

CHANCE = random.Random


def usual(chance: random.Random) -> float:
    """A vendor most of whose answers are quick: one machine of thirty is slow."""
    return chance.uniform(0.08, 0.12) if chance.random() > 1 / 30 else chance.uniform(1.0, 2.0)


def play(hedge: Hedge, budget: Budget, seconds: Any, reads: int) -> tuple[list[float], int]:
    """Read so many times, one a tenth of a second; return how long each took, and how many went out twice."""
    times, twice = [], 0
    for at in range(reads):
        budget.deposit(at / 10)
        first, delay = seconds(), hedge.delay_s()
        if delay is None or first <= delay or not hedge.admit():
            times.append(first)
        else:
            twice += 1
            times.append(min(first, delay + seconds()))
        hedge.record(times[-1])  # its answer, or how long it had been out when the second one won
    return times, twice


def p99(times: list[float]) -> float:
    return sorted(times)[int(0.99 * len(times))]


def test_it_cuts_the_tail_for_a_few_more_requests() -> None:
    chance, budget = CHANCE(1), Budget()
    plain = [usual(chance) for _ in range(5000)]
    times, twice = play(Hedge(budget), budget, lambda: usual(chance), 5000)
    assert p99(plain) > 1.0
    assert p99(times) < 0.4
    assert twice < 0.07 * 5000


def test_where_the_vendor_is_slow_as_a_whole_slow_becomes_usual() -> None:
    chance, budget = CHANCE(2), Budget(BudgetOptions(share=1.0))
    hedge = Hedge(budget, HedgeOptions(memory=200))
    play(hedge, budget, lambda: chance.uniform(0.08, 0.12), 1000)
    play(hedge, budget, lambda: chance.uniform(0.8, 1.2), 200)
    _, twice = play(hedge, budget, lambda: chance.uniform(0.8, 1.2), 1000)
    assert twice < 0.1 * 1000


def test_it_is_paid_from_the_budget() -> None:
    budget = Budget(BudgetOptions(share=0, floor_per_s=0, burst=2))
    hedge = Hedge(budget)
    assert [hedge.admit() for _ in range(3)] == [True, True, False]
    hedge.release()
    assert hedge.admit()
    assert not budget.withdraw()


def test_a_storm_of_hedges_is_bounded_by_it() -> None:
    chance, budget = CHANCE(3), Budget()
    hedge = Hedge(budget)
    play(hedge, budget, lambda: 0.1, 100)
    worse = (0.1 * 1.01**at for at in count())  # slower each time, so that each one is a tail
    _, twice = play(hedge, budget, lambda: next(worse) * chance.uniform(1, 1.1), 500)
    assert twice <= 0.2 * 500 + 10


def test_with_few_answers_nobody_is_asked_twice() -> None:
    hedge = Hedge(Budget())
    assert hedge.delay_s() is None
    for _ in range(20):
        hedge.record(0.5)
    assert hedge.delay_s() == pytest.approx(0.5, rel=0.2)


def test_quick_vendors_are_given_a_moment() -> None:
    hedge = Hedge(Budget(), HedgeOptions(min_s=0.05))
    for _ in range(100):
        hedge.record(0.002)
    assert hedge.delay_s() == 0.05


@pytest.mark.parametrize("options", [{"share": 1.0}, {"share": 0.4}, {"min_s": -1.0}, {"memory": 0}])
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidSettingError, match=name):
        HedgeOptions(**options)
