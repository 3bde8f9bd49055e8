from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.resilience.retry import Retry

RETRY = Retry(max_attempts=5, base_s=0.1, cap_s=5.0)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (10_000, 5.0)])
def test_the_ceiling_doubles_up_to_the_cap(failures: int, ceiling: float) -> None:
    assert RETRY.backoff_s(failures, lambda: 0.5) == pytest.approx(ceiling / 2)


@given(failures=st.integers(min_value=1, max_value=10_000), chance=chances)
def test_the_wait_is_never_past_the_cap(failures: int, chance: float) -> None:
    assert 0 <= RETRY.backoff_s(failures, lambda: chance) < RETRY.cap_s


def test_late_attempts_of_many_callers_do_not_meet() -> None:
    waits = [RETRY.backoff_s(50, lambda share=n / 100: share) for n in range(100)]
    assert len(set(waits)) == 100
    assert min(waits) == 0
    assert max(waits) == pytest.approx(0.99 * RETRY.cap_s)


# --- The vendor's word --------------------------------------------------------------------------------------------


@given(asked_s=st.floats(min_value=0.001, max_value=1e9), failures=st.integers(1, 100), chance=chances)
def test_what_the_vendor_asks_for_wins_and_is_never_cut_short(asked_s: float, failures: int, chance: float) -> None:
    assert RETRY.wait_s(failures, lambda: chance, asked_s=asked_s) == asked_s


@pytest.mark.parametrize("asked_s", [None, 0.0])
def test_without_its_word_or_with_an_empty_one_the_backoff_holds(asked_s: float | None) -> None:
    assert RETRY.wait_s(3, lambda: 0.5, asked_s=asked_s) == RETRY.backoff_s(3, lambda: 0.5) > 0
