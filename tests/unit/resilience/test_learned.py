"""What the vendor says is left is believed when it is less, and never used to go beyond the plan."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fairlead.resilience.learned import Learned
from fairlead.resilience.rate import RateLimit
from fairlead.resilience.windows import SlidingWindow
from fairlead.spec.limits import Reading

LONG = 1e9


def reading(
    remaining: float | None, reset_s: float | None = None, limit: float | None = None, name: str = ""
) -> Reading:
    return Reading(name=name, remaining=remaining, reset_s=reset_s, limit=limit)


def learned(*readings: Reading, now: float = 0.0, most: float = float("inf")) -> tuple[Learned, RateLimit]:
    window = Learned(most=most)
    window.note(readings, now)
    return window, RateLimit(window)


def test_while_the_vendor_says_nothing_everything_goes() -> None:
    _, limit = learned()
    assert [limit.admit(0.0) for _ in range(1000)] == [0.0] * 1000


def test_when_fewer_remain_than_we_think_the_vendor_is_believed() -> None:
    window = Learned()
    limit = RateLimit(SlidingWindow(100, 60.0), window)
    limit.admit(0.0)
    window.note([reading(2, reset_s=30, limit=100)], 1.0)
    assert [limit.admit(1.0, longest_wait_s=LONG) for _ in range(3)] == [0, 0, 30]


def test_when_none_remains_nothing_goes_until_the_reset() -> None:
    _, limit = learned(reading(0, reset_s=20, limit=3))
    assert limit.admit(5.0, longest_wait_s=10) is None
    assert limit.retry_after_s(5.0) == 15
    assert [limit.admit(20.0) for _ in range(4)] == [0, 0, 0, None]


def test_those_who_wait_for_the_reset_do_not_all_come_at_once() -> None:
    _, limit = learned(reading(0, reset_s=10, limit=2))
    assert [limit.admit(0.0, longest_wait_s=LONG) for _ in range(5)] == [10, 10, 20, 20, 30]


def test_more_than_the_plan_is_never_expected() -> None:
    window = Learned(most=2)
    limit = RateLimit(SlidingWindow(2, 10.0), window)
    window.note([reading(500, reset_s=10, limit=500)], 0.0)
    assert [limit.admit(0.0, longest_wait_s=LONG) for _ in range(4)] == [0, 0, 10, 10]
    _, alone = learned(reading(0, reset_s=10, limit=500), most=2)
    assert [alone.admit(0.0, longest_wait_s=LONG) for _ in range(3)] == [10, 10, 20]


def test_requests_under_way_count_as_not_yet_counted() -> None:
    window = Learned()
    limit = RateLimit(window)
    for _ in range(4):
        limit.admit(0.0)
    window.note([reading(5, reset_s=10, limit=9)], 0.1)
    assert window.left() == 2
    for _ in range(3):
        window.note([reading(2, reset_s=9.9, limit=9)], 0.2)
    assert window.left() == 2
    window.note([reading(1, reset_s=9.7)], 0.3)
    assert window.left() == 1


def test_answers_in_any_order_leave_the_least() -> None:
    window, _ = learned(reading(3, reset_s=60, limit=10))
    window.note([reading(7, reset_s=60)], 0.2)
    assert window.left() == 3
    window.note([reading(10, reset_s=60)], 61.0)
    assert window.left() == 10


def test_a_request_without_an_answer_was_counted_all_the_same() -> None:
    window, limit = learned(reading(3, reset_s=60, limit=10))
    limit.admit(0.0)
    limit.admit(0.0)
    window.end()
    window.end()
    window.note([reading(4, reset_s=60, limit=10)], 0.5)  # the answer to one that left before
    assert window.left() == 1


def test_those_who_waited_for_the_reset_are_counted_after_it() -> None:
    _, limit = learned(reading(0, reset_s=10, limit=2))
    assert [limit.admit(0.0, longest_wait_s=LONG) for _ in range(2)] == [10, 10]
    assert limit.retry_after_s(10.5) == 9.5


def test_the_next_short_window_is_not_taken_for_the_last_one() -> None:
    window, _ = learned(reading(0, reset_s=1, limit=10), now=0.05)
    window.note([reading(9, reset_s=1, limit=10)], 1.01)
    assert window.left() == 9


def test_a_request_that_never_left_is_given_back() -> None:
    window, limit = learned(reading(1, reset_s=10, limit=5))
    assert limit.admit(0.0) == 0
    assert limit.admit(0.0) is None
    limit.give_back(0.0)
    assert limit.admit(0.6) == 0
    assert window.left() == 0


def test_the_tightest_of_several_limits_holds() -> None:
    _, limit = learned(reading(50, 60, 100, "minute"), reading(1, 3600, 1000, "hour"))
    assert [limit.admit(0.0, longest_wait_s=LONG) for _ in range(2)] == [0, 3600]


def test_a_refusal_without_numbers_means_that_none_is_left() -> None:
    window = Learned()
    window.note([reading(None, reset_s=7)], 0.0)
    assert window.next_turn(0.0, 1.0) == 0
    window.note([reading(None, reset_s=7)], 0.0, was_throttled=True)
    assert window.next_turn(0.0, 1.0) == 7


def test_without_a_reset_it_is_asked_again_soon_and_with_a_mad_one_once_a_day() -> None:
    assert learned(reading(0))[1].retry_after_s(0.0) == 1
    assert learned(reading(0, reset_s=3e7))[1].retry_after_s(0.0) == 86_400


def test_readings_of_the_quota_are_not_for_the_rate() -> None:
    window = Learned()
    window.note([Reading(name="points", remaining=0.0, reset_s=100, is_quota=True)], 0.0)
    assert window.next_turn(0.0, 1.0) == 0


def test_no_more_names_are_kept_than_a_vendor_has() -> None:
    window, _ = learned(*(reading(5, 10, name=f"n{at}") for at in range(1000)))
    assert len(window._limits) == 8


def test_after_a_whole_window_of_silence_nothing_is_known() -> None:
    _, limit = learned(reading(0, reset_s=10, limit=1))
    assert [limit.admit(31.0) for _ in range(5)] == [0.0] * 5


def test_background_calls_leave_the_reserve() -> None:
    window = Learned(reserve=0.5)
    window.note([reading(6, reset_s=10, limit=10)], 0.0)
    limit = RateLimit(window)
    assert [limit.admit(0.0, is_background=True) for _ in range(2)] == [0, None]
    assert limit.admit(0.0) == 0


@pytest.mark.parametrize("rounding", [0.0, 0.99])
def test_against_a_vendor_with_short_windows_and_whole_seconds_little_is_lost(rounding: float) -> None:
    """Ten a second, told with resets rounded up: the answers are all there is, as no plan is declared."""
    window, used, served, refused = Learned(), dict[int, int](), 0, 0
    limit, now = RateLimit(window), 0.0
    while now < 60:
        wait = limit.admit(now, longest_wait_s=LONG)
        assert wait is not None
        now += wait
        at = int(now)
        is_good = used.get(at, 0) < 10
        used[at] = used.get(at, 0) + is_good
        served, refused = served + is_good, refused + (not is_good)
        left = 1 - now % 1 + rounding if rounding else 1 - now % 1
        now += 0.01
        window.note(
            [reading(10 - used[at], float(int(left)) if rounding else left, 10)], now, was_throttled=not is_good
        )
    assert served >= 0.85 * 600
    assert refused <= 0.02 * served


class FixedVendor(RuleBasedStateMachine):
    """A vendor that counts in fixed windows, whose answers come late and in any order."""

    @initialize(amount=st.integers(1, 12), per_s=st.sampled_from([2.0, 5.0, 60.0]))
    def begin(self, amount: int, per_s: float) -> None:
        self.now, self.amount, self.per_s = 0.0, amount, per_s
        self.used: dict[int, int] = {}
        self.learned = Learned()
        self.limit = RateLimit(self.learned)
        self.answers: list[tuple[int, float]] = []

    @rule()
    def send(self) -> None:
        if self.limit.admit(self.now) is None:
            return
        window = int(self.now // self.per_s)
        used = self.used.get(window, 0) + 1
        if self.learned.left() < float("inf"):
            assert used <= self.amount, "refused, although we have been told"
        self.used[window] = min(used, self.amount)
        self.answers.append((self.amount - self.used[window], (window + 1) * self.per_s))

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        if self.answers:
            remaining, until = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
            if until > self.now:
                self.learned.note([reading(remaining, until - self.now, self.amount)], self.now)
            else:
                self.learned.end()

    @rule(seconds=st.sampled_from([0.0, 0.125, 0.5, 3.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def counts_stay_whole(self) -> None:
        assert self.learned._under_way == len(self.answers)


TestFixedVendor = FixedVendor.TestCase
TestFixedVendor.settings = settings(max_examples=60, stateful_step_count=40)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(0, 1e18)),
            st.one_of(st.none(), st.floats(0, 1e8)),
            st.one_of(st.none(), st.floats(0, 1e18)),
            st.sampled_from(["", "a", "b"]),
        ),
        max_size=6,
    )
)
def test_no_answer_stops_us_for_more_than_a_day(
    said: list[tuple[float | None, float | None, float | None, str]],
) -> None:
    window = Learned()
    for remaining, reset_s, limit, name in said:
        window.note([reading(remaining, reset_s, limit, name)], 0.0)
    assert 0 <= window.next_turn(0.0, 1.0) <= 86_400
