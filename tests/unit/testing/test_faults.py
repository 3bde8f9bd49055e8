"""Faults as they are drawn, and the clock that obeys."""

from random import Random
from typing import Any

import pytest

from fairlead.testing.clock import FakeClock
from fairlead.testing.faults import Fault, Faults


def test_latency_is_spread_as_it_was_asked_for() -> None:
    chance = Random(1)  # noqa: S311  # chance for faults
    faults = Faults(latency_s=0.1, latency_p99_s=1.0)
    drawn = sorted(faults.draw_latency(chance) for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(0.1, rel=0.05)
    assert drawn[19_800] == pytest.approx(1.0, rel=0.15)


def test_faults_come_in_their_shares() -> None:
    chance = Random(1)  # noqa: S311  # chance for faults
    faults = Faults(error_share=0.2, hang_share=0.1, reset_share=0.1)
    drawn = [faults.draw(chance, age_s=0) for _ in range(20_000)]
    assert drawn.count(Fault.ERROR) / 20_000 == pytest.approx(0.2, abs=0.01)
    assert drawn.count(Fault.HANG) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert drawn.count(Fault.NONE) / 20_000 == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {"error_share": 1.1},
        {"hang_share": -0.1},
        {"error_share": 0.6, "reset_share": 0.6},
        {"latency_s": -1},
        {"retry_after_s": -1},
        {"latency_p99_s": 1},
        {"latency_s": 2, "latency_p99_s": 1},
        {"flap_up_s": 1},
        {"error_share": 1, "error_status": 200},
    ],
)
def test_faults_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"share|time|latency|flap|status"):
        Faults(**settings)


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(monotonic=5, wall=100)
    clock.advance(2)
    assert (clock.monotonic(), clock.wall()) == (7, 102)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
