from __future__ import annotations

from itertools import product

import pytest

from fairlead.errors import (
    ConflictError,
    ForbiddenError,
    InvalidArgumentError,
    InvalidRequestError,
    QuotaExhaustedError,
    ThrottledError,
    UnavailableError,
)
from fairlead.model.outcome import Effect, Failure, Outcome, Phase
from fairlead.spec.outcomes import IN_DOUBT, NOT_DONE, TABLE, ErrorRule, Row, Verdict, Wait, classify, classify_refusal

EVERYTHING: list[tuple[Failure | int, Phase, Effect]] = [
    *product(Failure, Phase, Effect),
    *product(range(1000), [Phase.ANSWERED], Effect),
]


def verdict(seen: Failure | int, effect: Effect = Effect.ONCE, *rules: ErrorRule, code: str | None = None) -> Verdict:
    return classify(seen, phase=Phase.ANSWERED, effect=effect, rules=rules, code=code)


# --- The table ----------------------------------------------------------------------------------------------------


def test_everything_that_can_be_seen_has_a_verdict() -> None:
    for seen, phase, effect in EVERYTHING:
        assert classify(seen, phase=phase, effect=effect).name


def test_names_are_unique() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_every_row_can_be_reached() -> None:
    reached = {classify(seen, phase=phase, effect=effect).name for seen, phase, effect in EVERYTHING}
    assert reached == {row.name for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_row_is_whole(row: Row) -> None:
    assert set(row.outcome) == set(Effect)
    assert row.reason.endswith(".")
    assert row.is_transient or row.wait in {Wait.NOTHING, Wait.QUOTA_RESET}
    assert (row.error is None) == (row.outcome[Effect.READ] is Outcome.DONE)


def test_a_read_is_never_in_doubt() -> None:
    for seen, phase, _ in EVERYTHING:
        assert classify(seen, phase=phase, effect=Effect.READ).outcome is not Outcome.UNKNOWN


def test_nothing_that_may_have_happened_is_repeated() -> None:
    for seen, phase, _ in EVERYTHING:
        once = classify(seen, phase=phase, effect=Effect.ONCE)
        assert not once.may_repeat or once.outcome is Outcome.NOT_DONE
        assert not once.may_repeat or once.is_transient


def test_what_is_done_is_not_repeated() -> None:
    for seen, phase, effect in EVERYTHING:
        found = classify(seen, phase=phase, effect=effect)
        assert not (found.may_repeat and found.outcome is Outcome.DONE)


@pytest.mark.parametrize("failure", [Failure.RESET, Failure.TIMEOUT])
@pytest.mark.parametrize("phase", Phase)
def test_before_the_first_byte_nothing_can_have_happened(failure: Failure, phase: Phase) -> None:
    found = classify(failure, phase=phase, effect=Effect.ONCE)
    assert found.outcome is (Outcome.UNKNOWN if phase.was_sent else Outcome.NOT_DONE)
    assert found.may_repeat is not phase.was_sent


def test_a_conflict_is_only_worth_repeating_with_a_key() -> None:
    keyed, once = verdict(409, Effect.IDEMPOTENT), verdict(409, Effect.ONCE)
    assert (keyed.outcome, keyed.may_repeat, keyed.wait) == (Outcome.UNKNOWN, True, Wait.RETRY_AFTER)
    assert (once.outcome, once.may_repeat, once.wait) == (Outcome.NOT_DONE, False, Wait.NOTHING)


# --- The rules of a provider --------------------------------------------------------------------------------------


@pytest.mark.parametrize("evidence", ["", "  \n"])
def test_a_rule_names_its_evidence(evidence: str) -> None:
    with pytest.raises(InvalidArgumentError, match="402 names no evidence"):
        ErrorRule(status=402, error=QuotaExhaustedError, evidence=evidence)


def test_a_rule_may_say_what_to_do() -> None:
    told = ErrorRule(status=400, error=ForbiddenError, evidence="e", hint="Verify the sender.")
    in_the_body = ErrorRule(status=200, error=ForbiddenError, evidence="e", hint="Verify the sender.")
    assert verdict(400, Effect.ONCE, told).hint == "Verify the sender."
    assert verdict(400).hint == ""
    assert classify_refusal(200, "x", effect=Effect.ONCE, rules=(in_the_body,)).hint == "Verify the sender."


PLAIN = ErrorRule(status=400, error=ThrottledError, evidence="e", is_transient=True, wait=Wait.BACKOFF)


def test_a_rule_departs_from_the_table() -> None:
    found = verdict(400, Effect.ONCE, PLAIN)
    assert (found.error, found.wait, found.may_repeat) == (ThrottledError, Wait.BACKOFF, True)
    assert found.name == "rule for 400"


@pytest.mark.parametrize("seen", [401, 500, Failure.RESET])
def test_a_rule_is_about_its_status_only(seen: Failure | int) -> None:
    assert verdict(seen, Effect.ONCE, PLAIN) == verdict(seen)


@pytest.mark.parametrize(
    ("code", "error"), [("busy", ConflictError), ("other", InvalidRequestError), (None, InvalidRequestError)]
)
def test_a_code_narrows_a_rule(code: str | None, error: type) -> None:
    narrow = ErrorRule(status=400, code="busy", error=ConflictError, evidence="e")
    assert verdict(400, Effect.ONCE, narrow, code=code).error is error


def test_the_first_rule_that_fits_decides() -> None:
    narrow = ErrorRule(status=400, code="busy", error=ConflictError, evidence="e")
    assert verdict(400, Effect.ONCE, narrow, PLAIN, code="busy").error is ConflictError
    assert verdict(400, Effect.ONCE, narrow, PLAIN, code="other").error is ThrottledError


@pytest.mark.parametrize("effect", Effect)
def test_a_rule_that_says_nothing_of_the_outcome_leaves_the_doubt(effect: Effect) -> None:
    rule = ErrorRule(status=500, error=UnavailableError, evidence="e", is_transient=True)
    found = verdict(500, effect, rule)
    assert found.outcome is IN_DOUBT[effect]
    assert found.may_repeat is (effect is not Effect.ONCE)


@pytest.mark.parametrize("effect", Effect)
def test_a_rule_may_end_the_doubt(effect: Effect) -> None:
    rule = ErrorRule(status=500, error=UnavailableError, evidence="e", is_transient=True, outcome=Outcome.NOT_DONE)
    found = verdict(500, effect, rule)
    assert found.outcome is NOT_DONE[effect]
    assert found.may_repeat


def test_the_reset_of_a_quota_is_remembered_although_nothing_is_repeated() -> None:
    rule = ErrorRule(status=402, error=QuotaExhaustedError, evidence="e", wait=Wait.QUOTA_RESET)
    found = verdict(402, Effect.READ, rule)
    assert (found.wait, found.may_repeat) == (Wait.QUOTA_RESET, False)
    backoff = ErrorRule(status=402, error=QuotaExhaustedError, evidence="e", wait=Wait.BACKOFF)
    assert verdict(402, Effect.READ, backoff).wait is Wait.NOTHING
