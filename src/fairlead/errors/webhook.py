"""What came cannot be taken as the vendor's."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from fairlead.errors.root import FairleadError

if TYPE_CHECKING:
    from fairlead.model.outcome import Outcome


class WebhookReason(StrEnum):
    """Why a delivery is refused. Programs may compare it."""

    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    BAD_TOKEN = "bad_token"  # noqa: S105  # the name of a reason
    STALE = "stale"
    FUTURE = "future"
    WRONG_HOST = "wrong_host"
    BAD_CERTIFICATE = "bad_certificate"
    WRONG_AUDIENCE = "wrong_audience"
    REPLAYED = "replayed"
    NO_SECRET = "no_secret"  # noqa: S105  # likewise

    @property
    def meaning(self) -> str:
        """The sentence that says it."""
        return _MEANINGS[self]


_MEANINGS = {
    WebhookReason.UNSIGNED: "The delivery carries no signature, or not all that belongs to one.",
    WebhookReason.MALFORMED: "The delivery, or its signature, is not written as the vendor writes it.",
    WebhookReason.BAD_SIGNATURE: "No secret that we know makes this signature of this delivery.",
    WebhookReason.BAD_TOKEN: "The delivery shows another token, or another login, than the one agreed.",
    WebhookReason.STALE: "The delivery was signed too long ago: it may be a repeat by somebody else.",
    WebhookReason.FUTURE: "The delivery is signed with a time that has not come yet: a clock is wrong.",
    WebhookReason.WRONG_HOST: "The delivery names an address for its certificate that is not the vendor's.",
    WebhookReason.BAD_CERTIFICATE: "The certificate that the delivery names cannot be used, or is not valid now.",
    WebhookReason.WRONG_AUDIENCE: "The delivery is the vendor's, and meant for somebody else.",
    WebhookReason.REPLAYED: "The delivery carries what may be used once, and has been, with something else in it.",
    WebhookReason.NO_SECRET: "The connection lacks what deliveries are verified with.",
}


class WebhookError(FairleadError):
    """The delivery cannot be taken as the vendor's.

    `reason` says why. Nothing of the delivery may be used.
    """

    code = "webhook"

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: WebhookReason = WebhookReason.BAD_SIGNATURE,
        hint: str = "",
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, outcome=outcome, retry_after_s=retry_after_s, status=status)
        self.reason = reason

    @classmethod
    def of(cls, reason: WebhookReason, *, hint: str = "") -> WebhookError:
        """Refuse for a reason, in its own words."""
        return cls(reason.meaning, reason=reason, hint=hint)
