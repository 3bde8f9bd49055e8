"""What Postmark refuses, by its own codes: in an answer of 422, or beside each message of a batch that it took.

Codes: the page 'API overview', 'API error codes', read 2026-11-25.
"""

from __future__ import annotations

from fairlead.errors import ForbiddenError, InvalidRequestError, ProviderError
from fairlead.model.outcome import Outcome
from fairlead.spec.outcomes import ErrorRule

_CODES = "postmarkapp.com/developer/api/overview, 'API error codes', read 2026-11-25"
_VERIFY = "Verify the sender's address or domain under 'Sender Signatures'."

ERRORS = (
    ErrorRule(
        status=422, code="400", error=ForbiddenError, hint=_VERIFY, evidence=f"{_CODES}: sender signature not found"
    ),
    ErrorRule(
        status=422, code="401", error=ForbiddenError, hint=_VERIFY, evidence=f"{_CODES}: sender signature not confirmed"
    ),
    ErrorRule(
        status=422,
        code="405",
        error=ForbiddenError,
        hint="Look at the plan and the state of the account: it may not send now.",
        evidence=f"{_CODES}: not allowed to send",
    ),
    ErrorRule(
        status=422,
        code="406",
        error=InvalidRequestError,
        hint="Do not write to these: they bounced or complained. Mistakes are reactivated under 'Suppressions'.",
        evidence=f"{_CODES}: inactive recipient",
    ),
    ErrorRule(
        status=422,
        code="411",
        error=InvalidRequestError,
        hint="Send a link in place of the attachment: Postmark does not carry files of this type.",
        evidence=f"{_CODES}: forbidden attachment type",
    ),
    ErrorRule(
        status=422,
        code="412",
        error=ForbiddenError,
        hint="Wait until Postmark has approved the account; until then it only sends within your own domain.",
        evidence=f"{_CODES}: account is pending",
    ),
    ErrorRule(
        status=422,
        code="413",
        error=ForbiddenError,
        hint="Ask Postmark's support why the account may not send.",
        evidence=f"{_CODES}: account may not send",
    ),
    ErrorRule(
        status=413,
        error=InvalidRequestError,
        hint="Send a link in place of the attachment: a message may have 10 MB, and all of a batch 50 MB, encoded.",
        evidence="postmarkapp.com/developer/api/overview, 'HTTP response codes', read 2026-11-25",
    ),
)


def refusal(code: int, said: str) -> ProviderError:
    """Return the error for a batch of which nothing was taken; `code` and `said` are those of its first message."""
    rule = next((each for each in ERRORS if each.code == str(code)), None)
    made = (rule.error if rule else InvalidRequestError)(
        f'The vendor took no message of the batch: "{said}" ({code}).',
        hint=rule.hint if rule else "",
        outcome=Outcome.NOT_DONE,
    )
    assert isinstance(made, ProviderError)  # noqa: S101  # as the errors of all rules are
    return made
