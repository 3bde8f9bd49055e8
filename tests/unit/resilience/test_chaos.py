from __future__ import annotations

from itertools import cycle
from typing import Any

import msgspec
import pytest

from fairlead.errors import InvalidSettingError
from fairlead.resilience.chaos import Chaos, Corrupt, Damage, Delay, Fail, Fault, LoseAnswer, Rule, Trouble, damaged

FAIL = Fail("unavailable")


def never() -> float:
    raise AssertionError("nothing is left to chance here")


def decided(*rules: Rule, connection: str = "one", operation: str = "recipes.search", now: float = 0) -> Trouble | None:
    return Chaos(rules, is_on=True).decide(connection, operation, now=now, random=never)


def test_it_is_off_unless_it_is_switched_on() -> None:
    chaos = Chaos([Rule(fault=FAIL)])
    assert chaos.decide("one", "recipes.search", now=0, random=never) is None
    chaos.is_on = True
    assert chaos.decide("one", "recipes.search", now=0, random=never) == Trouble(0, FAIL)


@pytest.mark.parametrize("fault", [FAIL, LoseAnswer(), Corrupt(Damage.HTML)])
def test_a_rule_says_what_is_to_happen(fault: Fail | LoseAnswer | Corrupt) -> None:
    assert decided(Rule(fault=fault)) == Trouble(0, fault)


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        (Rule(fault=FAIL), True),
        (Rule(fault=FAIL, connection="one"), True),
        (Rule(fault=FAIL, connection="two"), False),
        (Rule(fault=FAIL, operation="recipes.search"), True),
        (Rule(fault=FAIL, operation="recipes.fetch"), False),
        (Rule(fault=FAIL, connection="one", operation="recipes.fetch"), False),
    ],
)
def test_it_hits_whom_it_names(rule: Rule, hits: bool) -> None:
    assert (decided(rule) is not None) == hits


@pytest.mark.parametrize(("now", "hits"), [(9.9, False), (10, True), (19.9, True), (20, False)])
def test_it_hits_while_it_lasts(now: float, hits: bool) -> None:
    assert (decided(Rule(fault=FAIL, begins_at=10, ends_at=20), now=now) is not None) == hits


def test_a_vendor_can_be_made_to_flap() -> None:
    rule = Rule(fault=FAIL, begins_at=100, every_s=60, for_s=10)
    assert [decided(rule, now=now) is not None for now in (99, 100, 109, 110, 159, 160, 170)] == [
        False, True, True, False, False, True, False,
    ]  # fmt: skip


def test_its_share_is_left_to_chance() -> None:
    chaos, dice = Chaos([Rule(fault=FAIL, share=0.25)], is_on=True), cycle([at / 100 for at in range(100)])
    hits = [chaos.decide("one", "x", now=0, random=lambda: next(dice)) for _ in range(100)]
    assert sum(hit is not None for hit in hits) == 25


def test_a_share_of_nothing_hits_nobody() -> None:
    assert Chaos([Rule(fault=FAIL, share=0)], is_on=True).decide("one", "x", now=0, random=lambda: 0.0) is None


def test_delays_add_up_and_of_the_rest_the_first_decides() -> None:
    rules = [Rule(fault=fault) for fault in (Delay(0.5), LoseAnswer(), Delay(1.0), FAIL)]
    assert decided(*rules) == Trouble(1.5, LoseAnswer())


@pytest.mark.parametrize(
    ("damage", "left"), [(Damage.TRUNCATED, b'{"a"'), (Damage.EMPTY, b"")]
)  # fmt: skip
def test_a_body_is_damaged(damage: Damage, left: bytes) -> None:
    assert damaged(b'{"a": 1}', damage) == left


def test_or_is_a_page_of_some_proxy() -> None:
    assert damaged(b'{"a": 1}', Damage.HTML).startswith(b"<!doctype html>")


@pytest.mark.parametrize("fault", [Delay(1.0), FAIL, LoseAnswer(), Corrupt()])
def test_a_rule_is_data(fault: Fault) -> None:
    rule = Rule(fault=fault, connection="one", share=0.5)
    assert msgspec.json.decode(msgspec.json.encode(rule), type=Rule) == rule


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("share", {"share": 1.5}),
        ("begins_at", {"begins_at": 2, "ends_at": 1}),
        ("every_s", {"every_s": 5, "for_s": 6, "begins_at": 0}),
        ("every_s", {"every_s": 5, "for_s": 0, "begins_at": 0}),
        ("every_s", {"every_s": 5, "for_s": 1}),
        ("delay", {"fault": Delay(0)}),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError, match=name):
        Rule(**{"fault": FAIL, **options})
