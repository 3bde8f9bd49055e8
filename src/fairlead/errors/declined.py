"""A payment that was refused: by the bank, by the processor's rules, or for want of the payer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from fairlead.errors.provider import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.model.outcome import Outcome


class Actor(StrEnum):
    """Who can do something about it."""

    #: The payer: with another method, by a correction, by a word with the bank.
    CUSTOMER = "customer"
    #: Whoever takes the money: the account, the settings, the request.
    MERCHANT = "merchant"
    #: Time: the same may go well later.
    RETRY_LATER = "retry_later"


class Decline(StrEnum):
    """Why, in words that all vendors share. What a vendor says beyond them is `OTHER`, beside its own code."""

    #: The bank refuses, and says no more than that.
    GENERIC = "generic"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    #: More, or more often, than the bank allows.
    LIMIT_EXCEEDED = "limit_exceeded"
    EXPIRED_METHOD = "expired_method"
    #: The method does not exist, or its number, its bank or its account is wrong.
    INVALID_METHOD = "invalid_method"
    WRONG_SECURITY_CODE = "wrong_security_code"
    WRONG_POSTAL_CODE = "wrong_postal_code"
    WRONG_PIN = "wrong_pin"
    #: The bank wants to see the payer: 3-D Secure, or the like.
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_FAILED = "authentication_failed"
    #: The payer's side may not be charged in this way, for this, or in this currency.
    NOT_PERMITTED = "not_permitted"
    CURRENCY_NOT_SUPPORTED = "currency_not_supported"
    #: Reported as lost or stolen. Tell the payer no more than of a generic decline.
    LOST_OR_STOLEN = "lost_or_stolen"
    #: Taken for fraud by the bank or the processor. Tell the payer no more than of a generic decline.
    FRAUD_SUSPECTED = "fraud_suspected"
    #: The payer took the permission to charge back.
    MANDATE_REVOKED = "mandate_revoked"
    PAYER_ACTION_REQUIRED = "payer_action_required"
    #: The same was taken just now.
    DUPLICATE = "duplicate"
    AMOUNT_NOT_ALLOWED = "amount_not_allowed"
    #: The account of whoever takes the money is not set up for it.
    MERCHANT_NOT_ALLOWED = "merchant_not_allowed"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    PROCESSING_ERROR = "processing_error"
    OTHER = "other"


#: Who should act.
ACTORS: Mapping[Decline, Actor] = {
    **dict.fromkeys(Decline, Actor.CUSTOMER),
    Decline.INSUFFICIENT_FUNDS: Actor.RETRY_LATER,
    Decline.ISSUER_UNAVAILABLE: Actor.RETRY_LATER,
    Decline.PROCESSING_ERROR: Actor.RETRY_LATER,
    Decline.CURRENCY_NOT_SUPPORTED: Actor.MERCHANT,
    Decline.DUPLICATE: Actor.MERCHANT,
    Decline.AMOUNT_NOT_ALLOWED: Actor.MERCHANT,
    Decline.MERCHANT_NOT_ALLOWED: Actor.MERCHANT,
}
_HINTS = {
    Actor.CUSTOMER: "Ask the payer for another method, or to speak to the bank.",
    Actor.MERCHANT: "Look at the request, and at the settings of the account at the processor.",
    Actor.RETRY_LATER: "The same may go well later.",
}
#: A fault on the way to the bank and not its answer: another processor may well reach it.
_ON_THE_WAY = frozenset({Decline.ISSUER_UNAVAILABLE, Decline.PROCESSING_ERROR})


class DeclinedError(ProviderError):
    """The payment was declined."""

    code = "declined"
    is_request_fault = True  # an answer, and a final one: see `__init__`

    def __init__(
        self,
        message: str | None = None,
        *,
        decline: Decline = Decline.OTHER,
        vendor_code: str | None = None,
        hint: str = "",
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        if decline is not Decline.OTHER:
            message = message if message is not None else f"The payment was declined: {decline.replace('_', ' ')}."
            hint = hint or _HINTS[ACTORS[decline]]
        super().__init__(message, hint=hint, outcome=outcome, retry_after_s=retry_after_s, status=status)
        self.decline = decline
        #: The vendor's own code.
        self.vendor_code = vendor_code
        self.is_request_fault = decline not in _ON_THE_WAY

    @property
    def actor(self) -> Actor:
        """Who should act."""
        return ACTORS[self.decline]
