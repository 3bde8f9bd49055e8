"""A subscription, its prices and its invoices."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from fairlead.capabilities.payments.fields import check_amount, check_metadata, check_texts
from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.money import Money


class Interval(StrEnum):
    """How often it is paid for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class NewPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What something costs, every `every` intervals. `name` is what the payer reads."""

    name: str
    amount: Money
    interval: Interval = Interval.MONTH
    every: int = 1
    trial_days: int | None = None
    metadata: Mapping[str, str] = {}
    extra: Mapping[str, Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")
        if self.every < 1:
            raise InvalidArgumentError(f"every is {self.every}.", hint="Give 1 or more.")
        check_texts({"name": self.name})
        check_metadata(self.metadata)


class Price(Answer, frozen=True, kw_only=True):
    """A price as the vendor has it: its id is what subscriptions are made with."""

    ref: Ref
    name: str | None
    amount: Money | None
    interval: Interval | None
    every: int = 1
    is_active: bool = True


class SubscriptionState(StrEnum):
    """Where a subscription stands, whoever bills it."""

    #: It was made, and its first payment is missing: the payer must act.
    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    #: A period was not paid for; it is tried again.
    PAST_DUE = "past_due"
    #: Nothing is charged, and nothing owed, until it goes on.
    PAUSED = "paused"
    #: It is over.
    CANCELED = "canceled"


class NewSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription to be made. `customer`, `price` and `method` are the vendor's ids.

    `account` is the application's own name for whoever subscribes. Where the payer must agree on the vendor's page,
    the answer has `url`.
    """

    account: str
    price: str
    customer: str | None = None
    method: str | None = None
    quantity: int = 1
    trial_days: int | None = None
    return_url: str | None = None
    cancel_url: str | None = None
    email: str | None = None
    metadata: Mapping[str, str] = {}
    extra: Mapping[str, Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        check_quantity(self.quantity)
        if self.trial_days is not None and self.trial_days < 1:
            raise InvalidArgumentError(f"trial_days is {self.trial_days}.", hint="Give 1 or more, or leave it out.")
        check_texts(
            {
                "account": self.account,
                "price": self.price,
                "customer": self.customer,
                "method": self.method,
                "return_url": self.return_url,
                "cancel_url": self.cancel_url,
                "email": self.email,
            }
        )
        check_metadata(self.metadata)

    def __repr__(self) -> str:  # who subscribes is private
        return f"NewSubscription({self.price})"


class Proration(StrEnum):
    """What follows for money when a subscription changes within a period."""

    #: The difference is put on the next invoice.
    NEXT_INVOICE = "next_invoice"
    #: The difference is charged at once.
    AT_ONCE = "at_once"
    #: Nothing: the new price counts from the next period.
    NONE = "none"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Another price or quantity. `subscription` and `price` are the vendor's ids."""

    subscription: str
    price: str | None = None
    quantity: int | None = None
    proration: Proration = Proration.NEXT_INVOICE

    def __post_init__(self) -> None:
        if self.price is None and self.quantity is None:
            raise InvalidArgumentError("Nothing is changed.", hint="Give a price, a quantity, or both.")
        if self.quantity is not None:
            check_quantity(self.quantity)
        check_texts({"price": self.price})


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """An end: at the end of the period that is paid for, or now."""

    subscription: str
    at_period_end: bool = True
    reason: str | None = None

    def __post_init__(self) -> None:
        check_texts({"reason": self.reason})


class Subscription(Answer, frozen=True, kw_only=True):
    """A subscription as the vendor has it. Times are in seconds since 1970.

    `paid_until` is the end of the period that is paid for, or of the trial; with `ends_at_period_end` it ends there.
    """

    ref: Ref
    state: SubscriptionState
    #: In the vendor's own word.
    vendor_state: str
    #: The application's own name for whoever subscribes, as it travelled along.
    account: str | None = None
    customer: str | None = None
    price: str | None = None
    quantity: int = 1
    method: str | None = None
    started_at: float | None = None
    paid_until: float | None = None
    trial_until: float | None = None
    ends_at_period_end: bool = False
    ended_at: float | None = None
    made_by: str | None = None
    #: Where the payer must go to agree or to pay.
    url: str | None = None
    metadata: Mapping[str, str] = {}

    def __repr__(self) -> str:  # who subscribes is private, and the link is the payer's
        return f"Subscription({self.ref}, {self.state})"


class SubscriptionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which subscriptions: all, or of one customer by the vendor's id; made from `since` on, if the vendor can tell."""

    customer: str | None = None
    since: float | None = None
    limit: int = 100
    cursor: str | None = None


class InvoiceState(StrEnum):
    """Where an invoice stands."""

    OPEN = "open"
    PAID = "paid"
    #: It will not be paid: cancelled, or given up.
    VOID = "void"


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What was billed for a period."""

    ref: Ref
    subscription: str | None
    state: InvoiceState
    vendor_state: str
    amount: Money
    paid: Money
    #: The vendor's id of the payment that paid it.
    payment: str | None = None
    attempts: int = 0
    #: When the vendor tries again, where it does.
    next_try_at: float | None = None
    created_at: float | None = None
    url: str | None = None


class Invoices(Answer, frozen=True, kw_only=True):
    """The invoices of a subscription, newest first."""

    items: tuple[Invoice, ...] = ()


def check_quantity(quantity: int) -> None:
    """Refuse a quantity below 1."""
    if quantity < 1:
        raise InvalidArgumentError(f"quantity is {quantity}.", hint="Give 1 or more.")
