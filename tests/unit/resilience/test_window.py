from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.resilience.window import FAILED, SLOW, CountWindow, TimeWindow, Window

marks = st.sampled_from([0, FAILED, SLOW, FAILED | SLOW])


def sums(window: Window) -> tuple[int, int, int]:
    return window.total, window.failed, window.slow


def counted(kept: list[int]) -> tuple[int, int, int]:
    return len(kept), sum(mark & FAILED for mark in kept), sum(mark >> 1 for mark in kept)


@given(size=st.integers(min_value=1, max_value=7), all_marks=st.lists(marks), again=st.lists(marks))
def test_by_number_the_last_ones_count(size: int, all_marks: list[int], again: list[int]) -> None:
    window = CountWindow(size)
    for part in (all_marks, again):
        kept: deque[int] = deque(maxlen=size)
        for mark in part:
            window.add(mark, 0.0)
            kept.append(mark)
            assert sums(window) == counted([*kept])
        window.clear()
        assert sums(window) == (0, 0, 0)


@given(steps=st.lists(st.tuples(st.integers(min_value=0, max_value=130), marks)), start=st.integers(0, 10**9))
def test_by_age_those_of_the_last_seconds_count(steps: list[tuple[int, int]], start: int) -> None:
    window, tick, kept = TimeWindow(100.0), start, list[tuple[int, int]]()
    for ticks, mark in steps:
        tick += ticks
        window.add(mark, tick * 10.0 + 5)  # in the middle of its bucket
        kept = [(at, each) for at, each in kept if tick - at < 10] + [(tick, mark)]
        assert sums(window) == counted([each for _, each in kept])


def test_by_age_nothing_is_left_after_the_last_second() -> None:
    window = TimeWindow(10.0)
    window.add(FAILED | SLOW, 3.0)
    window.advance(12.9)
    assert sums(window) == (1, 1, 1)
    window.advance(13.0)
    assert sums(window) == (0, 0, 0)


@pytest.mark.parametrize("now", [0.0, 3.0, 1e9])
def test_by_age_it_can_be_emptied_and_goes_on(now: float) -> None:
    window = TimeWindow(10.0)
    window.add(FAILED, now)
    window.clear()
    assert sums(window) == (0, 0, 0)
    window.add(SLOW, now)
    assert sums(window) == (1, 0, 1)
    window.advance(now + 10)
    assert sums(window) == (0, 0, 0)
