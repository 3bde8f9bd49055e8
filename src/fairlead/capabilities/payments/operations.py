"""The operations of the capability."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from fairlead.capabilities.payments.checkout import Checkout, NewCheckout, NewPortal, Portal
from fairlead.capabilities.payments.customer import Customer, KeptMethod, NewCustomer, NewMethod, PaymentMethods
from fairlead.capabilities.payments.dispute import Dispute, DisputeQuery, Evidence
from fairlead.capabilities.payments.fields import CALL_FIELD, lacking
from fairlead.capabilities.payments.movement import Movements, Period
from fairlead.capabilities.payments.payment import NewPayment, NewRefund, Payment, PaymentQuery, Refund
from fairlead.errors import UnsupportedFeatureError
from fairlead.model.answer import Answer
from fairlead.model.money import Money
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.model.page import Page
from fairlead.spec.settlement import Acting


class Feature(StrEnum):
    """What a payment may ask for and not every vendor has."""

    RESERVE = "reserving without taking"
    OFF_SESSION = "payments without the payer"
    SAVE_METHOD = "keeping the method"
    STATEMENT = "a text on the payer's statement"
    METADATA = "metadata"
    #: A payment without a method: the payer chooses one.
    PAYER_CHOOSES = "payments without a method"


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be taken that was reserved: all of it, or `amount`. `payment` is the vendor's id."""

    payment: str
    amount: Money | None = None


class Done(Answer, frozen=True, kw_only=True):
    """It is done, and there is nothing to say of it."""


_READ, _ACTS = Effect.READ, Effect.IDEMPOTENT


class Payments(Acting):
    """The operations; a provider overrides those that its vendor has.

    Every mutation carries an idempotency key made of `self.reference`, and `self.reference` itself in the metadata as
    `fairlead_call` where there is a field for it: webhooks and look-ups find by it what a call has made.
    """

    EFFECTS: Mapping[str, Effect] = {
        "create": _ACTS, "confirm": _ACTS, "capture": _ACTS, "cancel": _ACTS, "refund": _ACTS,
        "fetch": _READ, "list": _READ, "fetch_refund": _READ,
        "create_customer": _ACTS, "fetch_customer": _READ, "methods": _READ, "keep_method": _ACTS,
        "drop_method": _ACTS,
        "disputes": _READ, "fetch_dispute": _READ, "submit_evidence": _ACTS, "accept_dispute": _ACTS,
        "checkout": _ACTS, "fetch_checkout": _READ, "portal": _ACTS,
        "movements": _READ,
    }  # fmt: skip
    MANY: Mapping[str, str] = {}
    FEATURES: ClassVar[frozenset[Feature]] = frozenset()
    #: The currencies that the vendor takes; None where it takes whatever it is asked, or refuses by itself.
    CURRENCIES: ClassVar[frozenset[str] | None] = None

    def __init__(self, connection: str) -> None:
        self.connection = connection

    # What providers use.

    def check(self, payment: NewPayment) -> None:
        """Raise `UnsupportedFeatureError` for what the vendor cannot do: another may."""
        if self.CURRENCIES is not None and payment.amount.currency not in self.CURRENCIES:
            raise UnsupportedFeatureError(f"amount: this provider takes no {payment.amount.currency}.")
        if payment.methods and payment.method_at(self.connection) is None:
            raise UnsupportedFeatureError("methods: none of them is valid at this connection.")
        asked = {
            Feature.RESERVE: not payment.capture,
            Feature.OFF_SESSION: payment.off_session,
            Feature.SAVE_METHOD: payment.save_method,
            Feature.STATEMENT: payment.statement is not None,
            Feature.METADATA: bool(payment.metadata),
            Feature.PAYER_CHOOSES: not payment.methods,
        }
        lacking = sorted(feature for feature, is_asked in asked.items() if is_asked and feature not in self.FEATURES)
        if lacking:
            raise UnsupportedFeatureError(f"This provider has no {', no '.join(lacking)}.")

    def marked(self, metadata: Mapping[str, str], **others: str | None) -> dict[str, str]:
        """Return metadata with our name for the call, and others that are not None."""
        ours = {CALL_FIELD: self.reference or None, **others}
        return {**metadata, **{name: text for name, text in ours.items() if text is not None}}

    # The operations.

    def create(self, payment: NewPayment) -> Operation[Payment]:
        """Make a payment, and confirm it where a method was given. Declined, it raises `DeclinedError`."""
        raise lacking("payments")

    def confirm(self, payment: str) -> Operation[Payment]:
        """Go on with a payment after the payer has done what was to be done."""
        raise lacking("confirmation")

    def capture(self, capture: Capture) -> Operation[Payment]:
        """Take money that is reserved."""
        raise lacking("captures")

    def cancel(self, payment: str) -> Operation[Payment]:
        """Let go of what is reserved, or of what was not paid yet."""
        raise lacking("cancellation")

    def refund(self, refund: NewRefund) -> Operation[Refund]:
        """Give money back. The payment is read first: what is more than was captured is refused here."""
        raise lacking("refunds")

    def fetch(self, payment: str) -> Operation[Payment]:
        """Return a payment as it is now."""
        raise lacking("look-up of payments")

    def list(self, query: PaymentQuery) -> Operation[Page[Payment]]:
        """Return payments, newest first."""
        raise lacking("list of payments")

    def fetch_refund(self, refund: str) -> Operation[Refund]:
        """Return a refund as it is now."""
        raise lacking("look-up of refunds")

    def create_customer(self, customer: NewCustomer) -> Operation[Customer]:
        """Let the vendor know of a customer."""
        raise lacking("customers")

    def fetch_customer(self, customer: str) -> Operation[Customer]:
        """Return a customer."""
        raise lacking("customers")

    def methods(self, customer: str) -> Operation[PaymentMethods]:
        """Return what a customer can be charged by."""
        raise lacking("list of methods")

    def keep_method(self, method: NewMethod) -> Operation[KeptMethod]:
        """Keep a token for a customer."""
        raise lacking("methods that are kept")

    def drop_method(self, method: str) -> Operation[Done]:
        """Forget a method."""
        raise lacking("methods that are kept")

    def disputes(self, query: DisputeQuery) -> Operation[Page[Dispute]]:
        """Return disputes, newest first."""
        raise lacking("list of disputes")

    def fetch_dispute(self, dispute: str) -> Operation[Dispute]:
        """Return a dispute as it is now."""
        raise lacking("look-up of disputes")

    def submit_evidence(self, evidence: Evidence) -> Operation[Dispute]:
        """Say what speaks for us. It is final."""
        raise lacking("evidence for disputes")

    def accept_dispute(self, dispute: str) -> Operation[Dispute]:
        """Give in. It is final."""
        raise lacking("acceptance of disputes")

    def checkout(self, checkout: NewCheckout) -> Operation[Checkout]:
        """Make a page on which somebody pays or subscribes."""
        raise lacking("hosted pages for paying")

    def fetch_checkout(self, checkout: str) -> Operation[Checkout]:
        """Return such a page as it is now: with what came of it."""
        raise lacking("look-up of hosted pages")

    def portal(self, portal: NewPortal) -> Operation[Portal]:
        """Make a page on which a customer looks after methods and subscriptions."""
        raise lacking("hosted pages for customers")

    def movements(self, period: Period) -> Operation[Movements]:
        """Return what moved in the balance."""
        raise lacking("list of what moved in the balance")


def extra_at(extra: Mapping[str, Mapping[str, Any]], connection: str) -> Mapping[str, Any]:
    """Return what the caller passes to this connection's vendor alone."""
    return extra.get(connection, {})
