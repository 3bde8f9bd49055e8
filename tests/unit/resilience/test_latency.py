from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.resilience.latency import Latency

TENTH = 0.1


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def told(values: list[float], **options: float) -> float:
    latency = Latency(**options)  # type: ignore[arg-type]  # a test's keywords
    for value in values:
        latency.record(value)
    found = latency.quantile_s()
    assert found is not None
    return found


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_it_is_within_a_tenth_or_so_of_the_truth(share: float, spread: float) -> None:
    chance = random.Random(7)  # noqa: S311  # a load, not a secret
    values = [chance.lognormvariate(-1.5, spread) for _ in range(5000)]
    truth = quantile(values, share)
    assert told(values, share=share, memory=100_000) == pytest.approx(truth, rel=1.5 * TENTH)


def test_what_always_takes_the_same_is_known_within_a_bucket() -> None:
    assert told([0.25] * 100) == pytest.approx(0.25, rel=2 * TENTH)


def test_a_vendor_that_has_become_slow_is_soon_known_as_one() -> None:
    latency = Latency(memory=200)
    for _ in range(100_000):
        latency.record(0.1)
    for _ in range(100):
        latency.record(2.0)
    assert latency.quantile_s() == pytest.approx(2.0, rel=0.3)
    for _ in range(2000):
        latency.record(0.1)
    assert latency.quantile_s() == pytest.approx(0.1, rel=2 * TENTH)


def test_with_few_answers_it_says_nothing() -> None:
    latency = Latency()
    for _ in range(19):
        latency.record(0.1)
    assert latency.quantile_s() is None
    latency.record(0.1)
    assert latency.quantile_s() is not None


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.001])
def test_what_is_quicker_than_it_measures_counts_as_the_quickest(seconds: float) -> None:
    assert told([seconds] * 30) < 0.0012


def test_what_is_slower_than_it_measures_counts_as_the_slowest() -> None:
    assert 800 < told([1e7] * 30) < 1100


def test_its_weights_never_overflow() -> None:
    values = [0.1, 0.2, 0.4] * 30_000
    assert told(values, share=0.5, memory=10) == pytest.approx(0.2, rel=0.3)


@settings(max_examples=50)
@given(
    values=st.lists(st.floats(min_value=0, max_value=2000), min_size=20, max_size=300),
    share=st.sampled_from([0.5, 0.95]),
    memory=st.sampled_from([5, 50, 5000]),
)
def test_the_pointer_is_always_where_a_search_would_find_it(values: list[float], share: float, memory: int) -> None:
    latency = Latency(share=share, memory=memory)
    for value in values:
        latency.record(value)
        counts, sums = latency._counts, 0.0
        at = 0
        while sums + counts[at] < share * sum(counts) * (1 - 1e-9):
            sums += counts[at]
            at += 1
        assert latency._at in {at, at + 1}  # on the border, rounding decides
        assert latency._below == pytest.approx(sum(counts[: latency._at]), rel=1e-6, abs=1e-6)
