"""The vendor's own pages: where a payer pays or subscribes, and where a subscriber looks after what they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.capabilities.payments.fields import at_connection, check_amount, check_metadata, check_texts
from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.money import Money


class NewCheckout(msgspec.Struct, frozen=True, kw_only=True):
    """A page on which somebody pays `amount`, or subscribes to a price: one of the two.

    `prices` are the vendors' ids of the price, each at its connection. `account` is the application's own name for the
    payer: events of what comes of it carry it.
    """

    amount: Money | None = None
    prices: tuple[Ref, ...] = ()
    quantity: int = 1
    name: str = "Payment"
    success_url: str
    cancel_url: str | None = None
    account: str | None = None
    customers: tuple[Ref, ...] = ()
    email: str | None = None
    reference: str | None = None
    trial_days: int | None = None
    metadata: Mapping[str, str] = {}
    extra: Mapping[str, Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if (self.amount is None) == (not self.prices):
            raise InvalidArgumentError("A checkout has an amount or prices.", hint="Give one of the two.")
        if self.amount is not None:
            check_amount(self.amount, "amount")
        if self.quantity < 1:
            raise InvalidArgumentError(f"quantity is {self.quantity}.", hint="Give 1 or more.")
        if self.trial_days is not None and self.trial_days < 1:
            raise InvalidArgumentError(f"trial_days is {self.trial_days}.", hint="Give 1 or more, or leave it out.")
        check_texts(
            {
                "name": self.name,
                "success_url": self.success_url,
                "cancel_url": self.cancel_url,
                "account": self.account,
                "email": self.email,
                "reference": self.reference,
            }
        )
        check_metadata(self.metadata)

    def __repr__(self) -> str:  # who buys what is private
        return "NewCheckout()"

    def price_at(self, connection: str) -> str | None:
        """Return the vendor's id of the price at a connection."""
        return at_connection(self.prices, connection)

    def customer_at(self, connection: str) -> str | None:
        """Return the vendor's id of the payer at a connection."""
        return at_connection(self.customers, connection)


class Checkout(Answer, frozen=True, kw_only=True):
    """A page to send the payer to. `payment` and `subscription` are the vendor's ids, once there is one."""

    ref: Ref
    url: str
    expires_at: float | None = None
    payment: str | None = None
    subscription: str | None = None

    def __repr__(self) -> str:  # whoever has the link may act on it
        return f"Checkout({self.ref})"


class NewPortal(msgspec.Struct, frozen=True, kw_only=True):
    """A page on which a customer looks after methods and subscriptions. `customer` is the vendor's id."""

    customer: str
    return_url: str | None = None

    def __post_init__(self) -> None:
        check_texts({"customer": self.customer, "return_url": self.return_url})


class Portal(Answer, frozen=True, kw_only=True):
    """Such a page."""

    url: str

    def __repr__(self) -> str:  # likewise
        return "Portal()"
