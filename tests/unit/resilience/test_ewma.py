from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.resilience.ewma import Ewma

SECONDS = st.floats(0.001, 60.0)


def test_at_first_nothing_is_known() -> None:
    assert Ewma().mean_s is None


def test_the_first_answer_is_all_that_is_known() -> None:
    mean = Ewma()
    mean.record(0.25, 100.0)
    assert mean.mean_s == 0.25


def test_one_slow_answer_among_many_weighs_a_tenth() -> None:
    mean = Ewma()
    mean.record(0.1, 100.0)
    mean.record(1.1, 100.0)
    assert mean.mean_s == pytest.approx(0.2)


def test_what_is_long_past_hardly_weighs() -> None:
    mean = Ewma()
    mean.record(5.0, 100.0)
    mean.record(0.1, 200.0)
    assert mean.mean_s == pytest.approx(0.1, abs=0.001)


@given(st.lists(st.tuples(SECONDS, st.floats(0, 100)), min_size=1))
def test_it_lies_between_the_quickest_and_the_slowest(answers: list[tuple[float, float]]) -> None:
    mean, now = Ewma(), 0.0
    for seconds, passed_s in answers:
        now += passed_s
        mean.record(seconds, now)
    assert mean.mean_s is not None
    known = [seconds for seconds, _ in answers]
    assert min(known) - 1e-9 <= mean.mean_s <= max(known) + 1e-9
