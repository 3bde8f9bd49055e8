"""The outcome table: what every way an exchange can end means for the effect of its request.

One row for each way, first match wins. A row says, for each effect, whether the request was done, whether the
same request may go better later, how long to wait, and which error the caller sees. `docs/explanation/outcomes.md`
shows the table with its reasons; a test keeps the two alike, and each row is shown over a real socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache

import msgspec

from fairlead import errors
from fairlead.model.outcome import Effect, Failure, Outcome, Phase


class Wait(StrEnum):
    """What to wait for before a repeat."""

    NOTHING = "nothing"
    #: The retry policy's own backoff.
    BACKOFF = "backoff"
    #: The answer's Retry-After (RFC 9110 §10.2.3); the backoff where there is none.
    RETRY_AFTER = "retry_after"
    #: The reset of the vendor's quota.
    QUOTA_RESET = "quota_reset"


DONE: Mapping[Effect, Outcome] = dict.fromkeys(Effect, Outcome.DONE)
NOT_DONE: Mapping[Effect, Outcome] = dict.fromkeys(Effect, Outcome.NOT_DONE)
#: A read has no effect that could be in doubt; it was simply not answered.
IN_DOUBT: Mapping[Effect, Outcome] = {
    Effect.READ: Outcome.NOT_DONE,
    Effect.IDEMPOTENT: Outcome.UNKNOWN,
    Effect.ONCE: Outcome.UNKNOWN,
}
#: As IN_DOUBT for what the vendor deduplicates, and a plain refusal for the rest.
IN_DOUBT_IF_KEYED: Mapping[Effect, Outcome] = {**NOT_DONE, Effect.IDEMPOTENT: Outcome.UNKNOWN}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One way an exchange can end.

    `seen` is a failure or an inclusive range of statuses; `was_sent` narrows it to failures before (False) or
    after (True) the first byte of the request may have left.
    """

    name: str
    seen: Failure | tuple[int, int]
    was_sent: bool | None = None
    outcome: Mapping[Effect, Outcome]
    is_transient: bool
    #: Transient only for requests that the vendor deduplicates.
    only_if_keyed: bool = False
    wait: Wait = Wait.NOTHING
    error: type[errors.FairleadError] | None
    reason: str

    def matches(self, seen: Failure | int, phase: Phase) -> bool:
        """Whether this row is about what was seen."""
        if isinstance(self.seen, tuple):
            return isinstance(seen, int) and self.seen[0] <= seen <= self.seen[1]
        return seen is self.seen and self.was_sent in (None, phase.was_sent)


TABLE: tuple[Row, ...] = (
    # The exchange broke off.
    Row(name="host blocked", seen=Failure.BLOCKED, outcome=NOT_DONE, is_transient=False,
        error=errors.HostBlockedError,
        reason="Fairlead closed the socket before it was connected; the same address is refused again."),
    Row(name="name not found", seen=Failure.DNS, outcome=NOT_DONE, is_transient=True, wait=Wait.BACKOFF,
        error=errors.ConnectError,
        reason="There was no address to send to. Resolvers fail for seconds at a time."),
    Row(name="connection refused", seen=Failure.REFUSED, outcome=NOT_DONE, is_transient=True, wait=Wait.BACKOFF,
        error=errors.ConnectError,
        reason="No connection came about, so nothing was sent. A restarting server refuses for a moment."),
    Row(name="TLS failure", seen=Failure.TLS, outcome=NOT_DONE, is_transient=False,
        error=errors.ConnectError,
        reason="The handshake comes before the request. A wrong certificate stays wrong."),
    Row(name="reset before sending", seen=Failure.RESET, was_sent=False, outcome=NOT_DONE, is_transient=True,
        wait=Wait.BACKOFF, error=errors.ConnectionLostError,
        reason="The connection broke while it was being made, before the first byte of the request."),
    Row(name="timeout before sending", seen=Failure.TIMEOUT, was_sent=False, outcome=NOT_DONE, is_transient=True,
        wait=Wait.BACKOFF, error=errors.AttemptTimeoutError,
        reason="Time ran out while queueing, resolving or connecting; nothing was sent."),
    Row(name="turned away", seen=Failure.TURNED_AWAY, outcome=NOT_DONE, is_transient=True, wait=Wait.BACKOFF,
        error=errors.UnavailableError,
        reason="RFC 9113 §8.7: by REFUSED_STREAM or GOAWAY the server says that it did not look at the request."),
    Row(name="reset after sending", seen=Failure.RESET, outcome=IN_DOUBT, is_transient=True,
        wait=Wait.BACKOFF, error=errors.ConnectionLostError,
        reason="The vendor may have acted before the connection broke."),
    Row(name="timeout after sending", seen=Failure.TIMEOUT, outcome=IN_DOUBT, is_transient=True,
        wait=Wait.BACKOFF, error=errors.AttemptTimeoutError,
        reason="The vendor may be acting still."),
    Row(name="body cut short", seen=Failure.TRUNCATED, outcome=IN_DOUBT, is_transient=True,
        wait=Wait.BACKOFF, error=errors.ConnectionLostError,
        reason="The vendor had begun to answer; what it did stands in the part that is missing."),
    Row(name="answer too large", seen=Failure.TOO_LARGE, outcome=IN_DOUBT, is_transient=False,
        error=errors.AnswerTooLargeError,
        reason="The answer was dropped at the limit; the same request would bring the same answer."),
    Row(name="not HTTP", seen=Failure.PROTOCOL, outcome=IN_DOUBT, is_transient=True, wait=Wait.BACKOFF,
        error=errors.UnexpectedAnswerError,
        reason="Bytes came that are no HTTP answer; the vendor may have acted before it garbled them."),
    Row(name="malformed body", seen=Failure.MALFORMED, outcome=IN_DOUBT, is_transient=True, wait=Wait.BACKOFF,
        error=errors.UnexpectedAnswerError,
        reason="A good status with a page of a proxy or half a document says nothing sure about the effect."),
    Row(name="changed body", seen=Failure.CHANGED, outcome=IN_DOUBT, is_transient=False,
        error=errors.UnexpectedAnswerError,
        reason="The answer is complete, and not what the contract says; a repeat would read the same."),
    # The vendor answered.
    Row(name="success", seen=(200, 299), outcome=DONE, is_transient=False, error=None,
        reason="The vendor says that it did it."),
    Row(name="not modified", seen=(304, 304), outcome=DONE, is_transient=False, error=None,
        reason="The answer to a conditional read."),
    Row(name="moved", seen=(307, 308), outcome=NOT_DONE, is_transient=False, error=errors.UnexpectedAnswerError,
        reason="RFC 9110 §15.4.8, §15.4.9: to be repeated elsewhere as it is, so not done here."),
    Row(name="redirect", seen=(300, 399), outcome=IN_DOUBT, is_transient=False, error=errors.UnexpectedAnswerError,
        reason="RFC 9110 §15.4.4: many answer a completed POST by a redirect to its result."),
    Row(name="unauthorised", seen=(401, 401), outcome=NOT_DONE, is_transient=False, error=errors.AuthenticationError,
        reason="Refused before acting. The credentials do not mend by themselves."),
    Row(name="payment required", seen=(402, 402), outcome=NOT_DONE, is_transient=False,
        wait=Wait.QUOTA_RESET, error=errors.QuotaExhaustedError,
        reason="Refused until somebody pays or the quota is reset."),
    Row(name="forbidden", seen=(403, 403), outcome=NOT_DONE, is_transient=False, error=errors.ForbiddenError,
        reason="Refused before acting."),
    Row(name="not found", seen=(404, 404), outcome=NOT_DONE, is_transient=False, error=errors.NotFoundError,
        reason="There is nothing to act upon."),
    Row(name="request timeout", seen=(408, 408), outcome=IN_DOUBT, is_transient=True, wait=Wait.RETRY_AFTER,
        error=errors.UnavailableError,
        reason="RFC 9110 §15.5.9 means an incomplete request; vendors also send it when their own work took too long."),
    Row(name="conflict", seen=(409, 409), outcome=IN_DOUBT_IF_KEYED, is_transient=True, only_if_keyed=True,
        wait=Wait.RETRY_AFTER, error=errors.ConflictError,
        reason="With an idempotency key it says that the first request is still running; otherwise it is a refusal."),
    Row(name="gone", seen=(410, 410), outcome=NOT_DONE, is_transient=False, error=errors.NotFoundError,
        reason="There is nothing to act upon, and will not be."),
    Row(name="misdirected", seen=(421, 421), outcome=NOT_DONE, is_transient=True, wait=Wait.BACKOFF,
        error=errors.UnavailableError,
        reason="RFC 9110 §15.5.20: this connection cannot serve it; another may."),
    Row(name="too early", seen=(425, 425), outcome=NOT_DONE, is_transient=True, wait=Wait.BACKOFF,
        error=errors.UnavailableError,
        reason="RFC 8470 §5.2: the server refused to risk it, and asks for a repeat."),
    Row(name="too many requests", seen=(429, 429), outcome=NOT_DONE, is_transient=True, wait=Wait.RETRY_AFTER,
        error=errors.ThrottledError,
        reason="RFC 6585 §4: refused for coming too fast, before acting."),
    Row(name="refused", seen=(400, 499), outcome=NOT_DONE, is_transient=False, error=errors.InvalidRequestError,
        reason="RFC 9110 §15.5: the request is at fault, and would be again."),
    Row(name="not implemented", seen=(501, 501), outcome=NOT_DONE, is_transient=False, error=errors.InvalidRequestError,
        reason="RFC 9110 §15.6.2: the server cannot do this."),
    Row(name="unavailable", seen=(503, 503), outcome=IN_DOUBT, is_transient=True, wait=Wait.RETRY_AFTER,
        error=errors.UnavailableError,
        reason="Meant as a refusal, but balancers also send it when a server died with the request in its hands."),
    Row(name="server error", seen=(500, 599), outcome=IN_DOUBT, is_transient=True, wait=Wait.RETRY_AFTER,
        error=errors.UnavailableError,
        reason="It broke at some point of its work, and nobody says at which."),
    Row(name="no status", seen=(0, 999), outcome=IN_DOUBT, is_transient=False, error=errors.UnexpectedAnswerError,
        reason="A status that HTTP does not have."),
)  # fmt: skip


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one exchange came to. `may_repeat`: the same request, at the same vendor, harms nothing."""

    outcome: Outcome
    is_transient: bool
    may_repeat: bool
    wait: Wait
    error: type[errors.FairleadError] | None
    #: The row or the provider's rule that decided, for logs and docs.
    name: str
    #: What to do about it, where the provider knows better than the error does.
    hint: str = ""


class ErrorRule(msgspec.Struct, frozen=True, kw_only=True):
    """How one vendor departs from the table.

    `code` narrows the rule to answers with that value at the provider's `error_code_at`. `evidence` names where
    the vendor says so; a rule that turns doubt into certainty stands or falls with it.
    """

    status: int
    error: type[errors.FairleadError]
    evidence: str
    code: str | None = None
    #: What the caller should do, in a sentence, where the error alone does not say it.
    hint: str = ""
    is_transient: bool = False
    wait: Wait = Wait.NOTHING
    #: Where the vendor's word is better than the table's.
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        if not self.evidence.strip():
            raise errors.InvalidArgumentError(
                f"The rule for {self.status} names no evidence.",
                hint="Say where the vendor states it, with the date.",
            )


@cache
def by_table(seen: Failure | int, phase: Phase, effect: Effect) -> Verdict:
    """Judge an exchange by the table alone, where no rule of a vendor can be about it."""
    row = _row_for(seen, phase)
    is_transient = row.is_transient and (not row.only_if_keyed or effect is Effect.IDEMPOTENT)
    return _verdict(
        row.outcome[effect], effect, is_transient=is_transient, wait=row.wait, error=row.error, name=row.name
    )


@cache
def _row_for(seen: Failure | int, phase: Phase) -> Row:
    """Return the first row that is about what was seen: there are not many different things to see."""
    return next(row for row in TABLE if row.matches(seen, phase))


def classify(
    seen: Failure | int,
    *,
    phase: Phase,
    effect: Effect,
    rules: tuple[ErrorRule, ...] = (),
    code: str | None = None,
) -> Verdict:
    """Judge an exchange by what was seen (a failure, or a status), how far it got, and what it would do.

    Rules for a good status are about errors in its body: see `classify_refusal`.
    """
    for rule in rules:
        if rule.status == seen and rule.status >= 300 and rule.code in (None, code):
            outcome = rule.outcome or _row_for(seen, phase).outcome[effect]
            name = f"rule for {rule.status}"
            verdict = _verdict(
                outcome, effect, is_transient=rule.is_transient, wait=rule.wait, error=rule.error, name=name
            )
            return msgspec.structs.replace(verdict, hint=rule.hint) if rule.hint else verdict
    return by_table(seen, phase, effect)


def classify_refusal(status: int, code: str, *, effect: Effect, rules: tuple[ErrorRule, ...] = ()) -> Verdict:
    """Judge a good status with the vendor's error code in the body. Without a rule nobody says how far it got."""
    rule = next((each for each in rules if each.status == status and each.code in (None, code)), None)
    verdict = _verdict(
        (rule and rule.outcome) or IN_DOUBT[effect],
        effect,
        is_transient=rule is not None and rule.is_transient,
        wait=rule.wait if rule else Wait.NOTHING,
        error=rule.error if rule else errors.ProviderError,
        name="refused in the body",
    )
    return msgspec.structs.replace(verdict, hint=rule.hint) if rule and rule.hint else verdict


def _verdict(
    outcome: Outcome,
    effect: Effect,
    *,
    is_transient: bool,
    wait: Wait,
    error: type[errors.FairleadError] | None,
    name: str,
) -> Verdict:
    return Verdict(
        outcome=outcome,
        is_transient=is_transient,
        may_repeat=is_transient and (outcome is Outcome.NOT_DONE or effect is Effect.IDEMPOTENT),
        wait=wait if is_transient or wait is Wait.QUOTA_RESET else Wait.NOTHING,
        error=error,
        name=name,
    )
