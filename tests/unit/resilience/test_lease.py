from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.storage.leases import Span
from leasing import Process, World

SATURATED = [
    ((Span(1000, 1.0),), 4, 5.0),
    ((Span(100, 1.0),), 8, 10.0),
    ((Span(10, 1.0),), 4, 30.0),
    ((Span(1, 1.0),), 8, 60.0),
    ((Span(60, 60.0),), 4, 300.0),
    ((Span(20, 1.0), Span(600, 60.0)), 4, 240.0),
    ((Span(5000, 1.0),), 1, 3.0),
]


@pytest.mark.parametrize(("spans", "processes", "for_s"), SATURATED)
def test_a_saturated_limit_is_kept_and_used_to_97_percent(
    spans: tuple[Span, ...], processes: int, for_s: float
) -> None:
    world = World(spans, seed=1)
    for number in range(processes):
        Process(world, number).keep_waiting(400)
    warm_s = max(each.per_s for each in spans)
    world.run(warm_s + for_s)
    for span in spans:
        assert world.most_in(span.per_s) <= span.amount + 1e-6
    allowed = min(span.amount / span.per_s for span in spans) * for_s
    assert world.used_in(warm_s, warm_s + for_s) >= 0.97 * allowed - 1


@pytest.mark.parametrize(("spans", "processes", "for_s"), SATURATED)
def test_processes_that_want_the_same_get_about_the_same(spans: tuple[Span, ...], processes: int, for_s: float) -> None:
    world = World(spans, seed=2)
    for number in range(processes):
        Process(world, number).keep_waiting(400)
    warm_s = max(each.per_s for each in spans)
    world.run(warm_s + for_s)
    shares = [world.used_by(number, warm_s, warm_s + for_s) for number in range(processes)]
    mean = sum(shares) / processes
    assert min(shares) >= 0.8 * mean - 1, shares


def test_a_small_process_is_served_beside_a_greedy_one() -> None:
    world = World((Span(10, 1.0),), seed=3)
    Process(world, 0).keep_waiting(1000)
    small = Process(world, 1)
    for at in range(20):
        world.at(5.0 + at, small.call)
    world.run(26.0)
    assert world.used_by(1, 5.0, 26.0) == 20


def test_below_the_limit_the_common_call_does_not_wait() -> None:
    world = World((Span(1000, 1.0),), seed=4)
    processes = [Process(world, number) for number in range(4)]
    for process in processes:
        for at in range(1000):
            world.at(at / 100 + world.random.random() / 200, process.call)
    world.run(11.0)
    calls, waited = sum(each.calls for each in processes), sum(each.waited for each in processes)
    assert calls == 4000
    assert waited <= 0.03 * calls
    assert world.asks <= calls / 2


def test_many_calls_are_served_by_few_asks() -> None:
    world = World((Span(100_000, 1.0),), seed=5)
    process = Process(world, 0)
    for at in range(20_000):
        world.at(at / 20_000, process.call)
    world.run(2.0)
    assert len(world.sent) == 20_000
    assert world.asks <= 200
    assert process.waited <= 400


def test_an_idle_process_holds_nothing_and_asks_nothing() -> None:
    world = World((Span(100, 1.0),), seed=6)
    process = Process(world, 0)
    for at in range(200):
        world.at(at / 50, process.call)
    world.run(30.0)
    before = world.asks
    world.run(3600.0)
    assert process.leased.in_hand == 0
    assert world.asks == before


def test_what_a_dead_process_held_lapses() -> None:
    world = World((Span(10, 1.0),), seed=7)
    dead = Process(world, 0)
    dead.keep_waiting(3)
    world.run(0.3)
    dead.is_dead = True
    Process(world, 1).keep_waiting(100)
    world.run(12.0)
    assert world.most_in(1.0) <= 10
    assert world.used_by(1, 2.0, 12.0) >= 96


def test_a_slow_way_to_the_store_makes_leases_longer_and_not_useless() -> None:
    world = World((Span(10, 1.0),), seed=8, way_s=0.05)
    for number in range(3):
        Process(world, number).keep_waiting(50)
    world.run(31.0)
    assert world.most_in(1.0) <= 10
    assert world.used_in(1.0, 31.0) >= 0.7 * 300


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    amount=st.sampled_from([1, 2, 5, 10, 37, 200]),
    per_s=st.sampled_from([0.5, 1.0, 10.0]),
    processes=st.integers(1, 6),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    way_s=st.sampled_from([0.0002, 0.005, 0.08]),
    weights=st.sampled_from([(1.0,), (1.0, 2.5), (0.5, 3.0, 1.0)]),
)
def test_no_mix_of_calls_losses_and_deaths_passes_the_limit(
    seed: int, amount: int, per_s: float, processes: int, loss: float, way_s: float, weights: tuple[float, ...]
) -> None:
    spans = (Span(amount, per_s), Span(amount * 3, per_s * 7))
    world = World(spans, seed=seed, way_s=way_s, loss=loss)
    chance = world.random
    made: list[Process] = []
    for number in range(processes):
        process = Process(world, number)
        made.append(process)
        at = chance.random() * per_s
        for _ in range(60):
            cost = min(float(amount), chance.choice(weights))
            world.at(at, partial(process.call, cost))
            at += chance.expovariate(amount / per_s)
        if chance.random() < 0.3:
            world.at(chance.random() * at, process.die)
    world.run(per_s * 40)
    for span in spans:
        assert world.most_in(span.per_s) <= span.amount + 1e-6
    assert world.sent or any(each.is_dead for each in made)
