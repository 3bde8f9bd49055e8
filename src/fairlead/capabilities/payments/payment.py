"""A payment: what is asked for, what state it is in, and what is given back of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from fairlead.capabilities.payments.fields import (
    at_connection,
    check_amount,
    check_metadata,
    check_refs,
    check_texts,
)
from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.money import Money


class PaymentState(StrEnum):
    """Where a payment stands, whoever processes it."""

    #: The payer must do something first: see `next_action`. Also where no method was given yet.
    REQUIRES_ACTION = "requires_action"
    #: Under way at the vendor; it may take days.
    PROCESSING = "processing"
    #: The money is reserved, and not taken yet.
    AUTHORIZED = "authorized"
    #: The money is taken, and not yet ours to use.
    CAPTURED = "captured"
    #: The money is in the balance of whoever takes it.
    SETTLED = "settled"
    #: All of it went back.
    REFUNDED = "refunded"
    #: The payer contests it, or has won a dispute.
    DISPUTED = "disputed"
    FAILED = "failed"
    CANCELED = "canceled"


_S = PaymentState
#: State -> what may come next. What is not here is an event that came late.
FOLLOWS: Mapping[PaymentState, frozenset[PaymentState]] = {
    _S.REQUIRES_ACTION: frozenset({_S.PROCESSING, _S.AUTHORIZED, _S.CAPTURED, _S.SETTLED, _S.FAILED, _S.CANCELED}),
    _S.PROCESSING: frozenset({_S.REQUIRES_ACTION, _S.AUTHORIZED, _S.CAPTURED, _S.SETTLED, _S.FAILED, _S.CANCELED}),
    _S.AUTHORIZED: frozenset({_S.CAPTURED, _S.SETTLED, _S.FAILED, _S.CANCELED}),
    _S.CAPTURED: frozenset({_S.SETTLED, _S.REFUNDED, _S.DISPUTED, _S.FAILED}),
    _S.SETTLED: frozenset({_S.REFUNDED, _S.DISPUTED}),
    _S.DISPUTED: frozenset({_S.SETTLED, _S.CAPTURED, _S.REFUNDED}),
    _S.FAILED: frozenset({_S.REQUIRES_ACTION, _S.PROCESSING, _S.AUTHORIZED, _S.CAPTURED, _S.SETTLED, _S.CANCELED}),
    _S.REFUNDED: frozenset({_S.DISPUTED}),
    _S.CANCELED: frozenset(),
}


class NextAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the payer must do: go to `url`; or, with `client_token`, what the vendor's own script in the page does."""

    url: str | None = None
    client_token: str | None = None

    def __repr__(self) -> str:  # whoever has them may act for the payer
        return "NextAction()"


class NewPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment to be made.

    `methods` are the payer's tokens, each at the connection where it is valid: only those connections are asked, in the
    order of the route. Without any, the payer chooses one by `next_action`. Likewise `customers`, where the payer is
    known there. `reference` is the application's own: an order's number. `country` is the payer's, by ISO 3166.
    """

    amount: Money
    methods: tuple[Ref, ...] = ()
    customers: tuple[Ref, ...] = ()
    #: False only reserves the money: `capture` takes it.
    capture: bool = True
    #: The payer is not there to do anything: what would need it is declined.
    off_session: bool = False
    #: Keep the method for later payments of the customer.
    save_method: bool = False
    reference: str | None = None
    description: str | None = None
    #: What stands on the payer's statement.
    statement: str | None = None
    #: Where the payer comes back to, after doing what `next_action` asks.
    return_url: str | None = None
    cancel_url: str | None = None
    email: str | None = None
    country: str | None = None
    metadata: Mapping[str, str] = {}
    #: By the connection's name: what no other vendor knows.
    extra: Mapping[str, Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")
        check_refs(self.methods, "methods")
        check_refs(self.customers, "customers")
        check_texts(
            {
                "reference": self.reference,
                "description": self.description,
                "statement": self.statement,
                "return_url": self.return_url,
                "cancel_url": self.cancel_url,
                "email": self.email,
            }
        )
        check_metadata(self.metadata)
        if self.country is not None and not (len(self.country) == 2 and self.country.isalpha()):
            raise InvalidArgumentError(f"country is {self.country!r}.", hint="Write it by ISO 3166, as 'DE'.")

    def __repr__(self) -> str:  # who pays for what is private
        return f"NewPayment({self.amount})"

    def method_at(self, connection: str) -> str | None:
        """Return the token that is valid at a connection."""
        return at_connection(self.methods, connection)

    def customer_at(self, connection: str) -> str | None:
        """Return the vendor's id of the payer at a connection."""
        return at_connection(self.customers, connection)


class Payment(Answer, frozen=True, kw_only=True):
    """A payment as the vendor has it.

    `parts` are the vendor's ids of what belongs to it (charges, captures): refunds and disputes are often told
    by them. `fee` is the vendor's, once it says. `captured` and `refunded` are what was taken and given back so far.
    """

    ref: Ref
    state: PaymentState
    #: In the vendor's own word.
    vendor_state: str
    amount: Money
    captured: Money
    refunded: Money
    fee: Money | None = None
    customer: str | None = None
    method: str | None = None
    #: As `card`, `sepa_debit`, `ideal`: the vendor's word.
    method_kind: str | None = None
    reference: str | None = None
    #: Our id of the call that made it, as it travelled in the metadata.
    made_by: str | None = None
    metadata: Mapping[str, str] = {}
    parts: tuple[str, ...] = ()
    next_action: NextAction | None = None
    #: Why it failed, where it did: a `Decline`, and the vendor's code.
    decline: str | None = None
    vendor_code: str | None = None
    #: In seconds since 1970.
    created_at: float | None = None

    @property
    def refundable(self) -> Money:
        """What can still go back."""
        return self.captured - self.refunded

    def __repr__(self) -> str:  # likewise
        return f"Payment({self.ref}, {self.state}, {self.amount})"


class NewRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be given back: all that is left of a payment, or `amount`. `payment` is the vendor's id."""

    payment: str
    amount: Money | None = None
    #: `duplicate`, `fraudulent` or `requested_by_customer`.
    reason: str | None = None
    #: For the payer to read, where the vendor has a place for it.
    note: str | None = None
    metadata: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        if self.amount is not None:
            check_amount(self.amount, "amount")
        if self.reason not in {None, "duplicate", "fraudulent", "requested_by_customer"}:
            raise InvalidArgumentError(
                f"reason is {self.reason!r}.", hint="Use duplicate, fraudulent or requested_by_customer."
            )
        check_texts({"note": self.note})
        check_metadata(self.metadata)

    def check(self, payment: Payment) -> Money:
        """Return how much goes back; raise `InvalidArgumentError` where that is more than can."""
        amount = self.amount or payment.refundable
        if amount.currency != payment.captured.currency:
            raise InvalidArgumentError(
                f"amount is in {amount.currency}, and the payment in {payment.captured.currency}.",
                hint="A refund is in the currency of the payment.",
            )
        if amount.minor <= 0 or amount.minor > payment.refundable.minor:
            raise InvalidArgumentError(
                f"amount is {amount}, and {payment.refundable} of the payment can be refunded.",
                hint="Refund no more than was captured, less what went back already.",
            )
        return amount


class RefundState(StrEnum):
    """Where a refund stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Refund(Answer, frozen=True, kw_only=True):
    """A refund as the vendor has it. `payment` is the vendor's id of the payment."""

    ref: Ref
    payment: str
    state: RefundState
    vendor_state: str
    amount: Money
    made_by: str | None = None
    #: The vendor's code for why it failed.
    reason: str | None = None
    created_at: float | None = None


class PaymentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which payments: made from `since` to before `until` (seconds since 1970); of one customer, by the vendor's id."""

    since: float | None = None
    until: float | None = None
    customer: str | None = None
    limit: int = 100
    #: The vendor's, from the page before.
    cursor: str | None = None
