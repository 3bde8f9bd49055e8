from __future__ import annotations

from typing import Any

import pytest

from fairlead.errors import InvalidSettingError
from fairlead.resilience.breaker import BY_HAND, SLOW_ANSWERS, Breaker, BreakerOptions, OnChange, State, Ticket

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


def made(on_change: OnChange | None = None, **options: Any) -> Breaker:
    return Breaker(BreakerOptions(**options), on_change=on_change)


def admitted(breaker: Breaker, now: float = 0.0) -> Ticket:
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


def fail(breaker: Breaker, times: int = 1, *, now: float = 0.0, cause: str = "unavailable") -> None:
    for _ in range(times):
        breaker.record(admitted(breaker, now), is_good=False, now=now, cause=cause)


def opened(**options: Any) -> Breaker:
    breaker = made(min_attempts=2, **options)
    fail(breaker, 2)
    assert breaker.state is OPEN
    return breaker


# --- Closed -------------------------------------------------------------------------------------------------------


def test_it_opens_at_its_share_of_failures() -> None:
    breaker = made(window=10, min_attempts=4, failure_share=0.5)
    for is_good in (True, True, False):
        breaker.record(admitted(breaker), is_good=is_good, now=0)
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN


def test_too_few_attempts_say_nothing() -> None:
    breaker = made(min_attempts=5)
    fail(breaker, 4)
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN


def test_only_the_last_attempts_count() -> None:
    breaker = made(window=4, min_attempts=4, failure_share=0.75)
    for is_good in (False, False, True, True, True, False):
        breaker.record(admitted(breaker), is_good=is_good, now=0)
    assert breaker.state is CLOSED
    fail(breaker, 2)
    assert breaker.state is OPEN


def test_more_attempts_asked_for_than_the_window_holds() -> None:
    breaker = made(window=2, min_attempts=100)
    fail(breaker, 2)
    assert breaker.state is OPEN


def test_after_a_long_time_of_health_good_attempts_still_count() -> None:
    breaker = made(window=10, min_attempts=4, failure_share=0.5)
    for at in range(1000):
        breaker.record(admitted(breaker), is_good=at < 500 or at % 3 != 0, now=0)
    assert (breaker.state, breaker.failures) == (CLOSED, 4)


def test_a_success_opens_nothing() -> None:
    breaker = made(window=4, min_attempts=4, failure_share=0.5)
    for is_good in (False, False, True, True):
        breaker.record(admitted(breaker), is_good=is_good, now=0)
    assert breaker.state is CLOSED


# --- Open ---------------------------------------------------------------------------------------------------------


def test_open_it_admits_nobody_and_says_for_how_long() -> None:
    breaker = opened(open_s=5)
    assert breaker.admit(4.9) is None
    assert breaker.retry_after_s(2) == 3
    assert breaker.retry_after_s(9) == 0
    assert breaker.admit(5) is not None
    assert breaker.retry_after_s(5) == 0  # the probe may end any moment


def test_it_stays_open_for_longer_each_time_up_to_a_bound() -> None:
    breaker = opened(open_s=5, max_open_s=30)
    now, lengths = 0.0, []
    for _ in range(5):
        lengths.append(breaker.retry_after_s(now) or 0.0)
        now += lengths[-1]
        fail(breaker, now=now)
    assert lengths == [5, 10, 20, 30, 30]


def test_once_it_has_closed_it_begins_with_the_short_time() -> None:
    breaker = opened(open_s=5)
    fail(breaker, now=5)
    assert breaker.retry_after_s(5) == 10
    breaker.record(admitted(breaker, 15), is_good=True, now=15)
    assert breaker.state is CLOSED
    fail(breaker, 2, now=20)
    assert breaker.retry_after_s(20) == 5


# --- Half open ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probes", [1, 3])
def test_so_many_probes_and_no_more(probes: int) -> None:
    breaker = opened(open_s=5, probes=probes)
    tickets = [admitted(breaker, 5) for _ in range(probes)]
    assert breaker.admit(5) is None
    for ticket in tickets:
        assert breaker.state is HALF_OPEN
        breaker.record(ticket, is_good=True, now=6)
    assert breaker.state is CLOSED


def test_one_bad_probe_opens_it_again() -> None:
    breaker = opened(open_s=5, probes=3)
    first, second = admitted(breaker, 5), admitted(breaker, 5)
    breaker.record(first, is_good=True, now=6)
    breaker.record(second, is_good=False, now=6, cause="connect")
    assert (breaker.state, breaker.cause) == (OPEN, "connect")


def test_a_cancelled_probe_is_no_probe() -> None:
    breaker = opened(open_s=5)
    breaker.release(admitted(breaker, 5))
    assert breaker.state is HALF_OPEN
    breaker.record(admitted(breaker, 5), is_good=True, now=6)
    assert breaker.state is CLOSED


# --- Generations, causes, cancellation ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_good", [True, False])
def test_an_answer_from_before_changes_nothing(is_good: bool) -> None:
    breaker = made(min_attempts=2, open_s=5)
    late = admitted(breaker)
    fail(breaker, 2)
    breaker.record(late, is_good=is_good, now=1, cause="late")
    assert (breaker.state, breaker.cause, breaker.retry_after_s(1)) == (OPEN, "unavailable", 4)
    probe = admitted(breaker, 5)
    breaker.record(late, is_good=is_good, now=5, cause="late")
    breaker.release(late)
    assert breaker.state is HALF_OPEN
    assert breaker.admit(5) is None
    breaker.record(probe, is_good=True, now=5)
    assert breaker.state is CLOSED


def test_cancelled_attempts_never_count() -> None:
    breaker = made(min_attempts=1)
    for _ in range(100):
        breaker.release(admitted(breaker))
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN


def test_every_change_is_told_with_what_opened_it() -> None:
    told: list[tuple[State, State, str | None]] = []
    breaker = made(min_attempts=1, open_s=5, on_change=lambda *change: told.append(change))
    fail(breaker, cause="connect")
    fail(breaker, now=5, cause="attempt_timeout")
    breaker.record(admitted(breaker, 15), is_good=True, now=15)
    assert told == [
        (CLOSED, OPEN, "connect"),
        (OPEN, HALF_OPEN, "connect"),
        (HALF_OPEN, OPEN, "attempt_timeout"),
        (OPEN, HALF_OPEN, "attempt_timeout"),
        (HALF_OPEN, CLOSED, "attempt_timeout"),
    ]
    assert breaker.cause == "attempt_timeout"


def test_the_error_that_opened_it_is_kept_in_its_own_words() -> None:
    breaker = made(min_attempts=1)
    breaker.record(admitted(breaker), is_good=False, now=0, cause="connect", message="no route to host")
    assert (breaker.cause, breaker.message) == ("connect", "no route to host")


# --- Slow answers -------------------------------------------------------------------------------------------------


def test_it_opens_at_its_share_of_slow_answers() -> None:
    breaker = made(min_attempts=4, slow_s=2.0, slow_share=0.5)
    for seconds in (0.1, 1.9, 2.0):
        breaker.record(admitted(breaker), is_good=True, seconds=seconds, now=0)
    assert breaker.state is CLOSED
    breaker.record(admitted(breaker), is_good=True, seconds=30, now=0)
    assert (breaker.state, breaker.cause) == (OPEN, SLOW_ANSWERS)
    assert breaker.message == "2 of 4 attempts took 2 s or longer."


def test_unless_it_is_told_what_slow_is_nothing_is() -> None:
    breaker = made(min_attempts=1)
    breaker.record(admitted(breaker), is_good=True, seconds=1e9, now=0)
    assert breaker.state is CLOSED


def test_failures_and_slow_answers_are_not_added_up() -> None:
    breaker = made(min_attempts=4, failure_share=0.5, slow_s=2.0, slow_share=0.5)
    for is_good, seconds in ((False, 0.0), (True, 3.0), (True, 0.0), (True, 0.0)):
        breaker.record(admitted(breaker), is_good=is_good, seconds=seconds, now=0)
    assert breaker.state is CLOSED


def test_a_slow_probe_is_a_bad_one() -> None:
    breaker = opened(open_s=5, slow_s=2.0)
    breaker.record(admitted(breaker, 5), is_good=True, seconds=2.5, now=7.5)
    assert (breaker.state, breaker.cause, breaker.retry_after_s(7.5)) == (OPEN, SLOW_ANSWERS, 10)


# --- By time ------------------------------------------------------------------------------------------------------


def test_by_time_only_what_is_recent_counts() -> None:
    breaker = made(window_s=10, min_attempts=4)
    fail(breaker, 3, now=0)
    fail(breaker, 1, now=11)
    assert (breaker.state, breaker.failures) == (CLOSED, 1)
    fail(breaker, 3, now=12)
    assert breaker.state is OPEN


def test_by_time_any_number_of_attempts_counts() -> None:
    breaker = made(window=2, window_s=10, min_attempts=100)
    fail(breaker, 99, now=1)
    assert breaker.state is CLOSED
    fail(breaker, now=1)
    assert breaker.state is OPEN


# --- Leases -------------------------------------------------------------------------------------------------------


def test_a_probe_whose_caller_vanished_makes_room_for_another() -> None:
    breaker = opened(open_s=5, lease_s=30)
    lost = admitted(breaker, 5)
    assert breaker.admit(34.9) is None
    other = admitted(breaker, 35)
    assert breaker.admit(35) is None
    for settle in (breaker.release, lambda ticket: breaker.record(ticket, is_good=False, now=36)):
        settle(lost)
        assert (breaker.state, breaker.probing) == (HALF_OPEN, 1)
    breaker.record(other, is_good=True, now=36)
    assert breaker.state is CLOSED


def test_a_probe_past_its_lease_that_nobody_replaced_still_counts() -> None:
    breaker = opened(open_s=5, lease_s=30)
    breaker.record(admitted(breaker, 5), is_good=True, now=100)
    assert breaker.state is CLOSED


def test_a_request_the_vendor_refuses_does_for_a_probe_and_else_not_at_all() -> None:
    breaker = opened(open_s=5)
    breaker.note_answer(admitted(breaker, 5), now=5)
    assert breaker.state is CLOSED
    for _ in range(100):
        breaker.note_answer(admitted(breaker, 5), now=5)
    fail(breaker, 2, now=6)
    assert breaker.state is OPEN  # a hundred of them thinned nothing out


# --- By hand ------------------------------------------------------------------------------------------------------


def test_held_open_nothing_passes_and_no_time_is_named() -> None:
    breaker = made()
    breaker.force_open()
    assert (breaker.state, breaker.cause) == (State.FORCED_OPEN, BY_HAND)
    assert breaker.admit(1e9) is None
    assert breaker.retry_after_s(1e9) is None


def test_what_was_held_open_comes_back_by_a_probe() -> None:
    breaker = made()
    breaker.force_open()
    breaker.resume()
    probe = admitted(breaker)
    assert (breaker.state, breaker.admit(0)) == (HALF_OPEN, None)
    breaker.record(probe, is_good=True, now=0)
    assert breaker.state is CLOSED


def test_held_closed_everything_passes_and_nothing_counts() -> None:
    breaker = opened()
    breaker.force_closed()
    fail(breaker, 100)
    assert breaker.state is State.FORCED_CLOSED
    breaker.resume()
    assert (breaker.state, breaker.failures) == (CLOSED, 0)


def test_what_was_sent_before_a_hand_moved_it_changes_nothing() -> None:
    breaker = made(min_attempts=1)
    early = admitted(breaker)
    breaker.force_open()
    breaker.resume()
    breaker.record(early, is_good=True, now=0)
    assert breaker.state is HALF_OPEN


def test_to_resume_what_nobody_holds_changes_nothing() -> None:
    breaker = opened()
    breaker.resume()
    assert breaker.state is OPEN


# --- What cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"window": 0}, {"min_attempts": 0}, {"probes": 0}, {"failure_share": 0.0}, {"slow_share": 1.1},
        {"open_s": 0.0}, {"lease_s": 0.0}, {"slow_s": -1.0}, {"window_s": -1.0}, {"open_s": 61.0},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidSettingError, match=name):
        BreakerOptions(**options)
