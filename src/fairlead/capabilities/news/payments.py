"""What became of a payment. `subject` is the vendor's id of the payment, also where a refund or dispute is told of."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.model.money import Money

TYPES: Mapping[str, str] = {
    "payment.requires_action": "The payer must do something first: confirm, approve, log in at the bank.",
    "payment.authorized": "The money is reserved, and not taken yet.",
    "payment.processing": "It is under way, and may take days.",
    "payment.succeeded": "The money is taken.",
    "payment.failed": "It was tried, and refused.",
    "payment.canceled": "It will not be tried any more; what was reserved is free again.",
    "payment.refunded": "Money went back to the payer: `amount` is how much, of this refund or of all so far.",
    "payment.refund_failed": "Money could not go back to the payer.",
    "payment.disputed": "The payer contests it.",
    "payment.dispute_won": "The dispute ended for us.",
    "payment.dispute_lost": "The dispute ended for the payer.",
}


class PaymentNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else there is to say of it."""

    amount: Money | None = None
    #: The vendor's code for why, where it failed, or is contested.
    reason: str | None = None
    #: The vendor's id of the refund.
    refund: str | None = None
    #: The vendor's id of the dispute.
    dispute: str | None = None
    #: The vendor's id of who pays.
    customer: str | None = None
