"""The harness of the measurements: medians, ratios of each round, and limits."""

import pytest

from harness import Limit, Sheet, in_turn


def test_a_row_has_the_median_its_range_and_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    sheet = Sheet()
    sheet.row("a call", [3.0, 1.0, 2.0], "us", Limit(at_most=2))
    assert " ".join(capsys.readouterr().out.split()) == "a call 2.00 us (1.00 to 3.00) at most 2: ok"
    assert sheet.missed == []


def test_a_limit_that_is_missed_is_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    sheet = Sheet()
    sheet.row("requests", [0.09], "x", Limit(at_least=0.1))
    assert capsys.readouterr().out.rstrip().endswith("at least 0.1: missed")
    assert sheet.missed == ["requests"]


def test_ratios_are_of_each_round(capsys: pytest.CaptureFixture[str]) -> None:
    Sheet().ratio("ours to theirs", [10.0, 300.0, 4.0], [10.0, 100.0, 2.0])
    assert " ".join(capsys.readouterr().out.split()) == "ours to theirs 2.00 x (1.00 to 3.00)"


def test_what_is_compared_is_measured_in_turn_and_once_for_nothing() -> None:
    asked: list[str] = []

    def measure(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    found = in_turn(2, {"one": lambda: measure("one"), "other": lambda: measure("other")})
    assert asked == ["one", "other"] * 3
    assert found == {"one": [3.0, 5.0], "other": [4.0, 6.0]}


def test_a_quick_run_is_short() -> None:
    assert Sheet(is_quick=True).pick(9, quick=1) == 1
    assert Sheet().pick(9, quick=1) == 9
