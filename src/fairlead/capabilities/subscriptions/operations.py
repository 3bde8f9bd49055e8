"""The operations of the capability."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.capabilities.payments.fields import ACCOUNT_FIELD, CALL_FIELD, lacking
from fairlead.capabilities.subscriptions.subscription import (
    Cancellation,
    Change,
    Invoices,
    NewPrice,
    NewSubscription,
    Price,
    Subscription,
    SubscriptionQuery,
)
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.model.page import Page
from fairlead.spec.settlement import Acting

_READ, _ACTS = Effect.READ, Effect.IDEMPOTENT


class Subscriptions(Acting):
    """The operations; a provider overrides those that its vendor has. Keys and metadata are as with payments."""

    EFFECTS: Mapping[str, Effect] = {
        "create_price": _ACTS, "fetch_price": _READ,
        "create": _ACTS, "fetch": _READ, "list": _READ,
        "change": _ACTS, "pause": _ACTS, "resume": _ACTS, "cancel": _ACTS,
        "invoices": _READ,
    }  # fmt: skip
    MANY: Mapping[str, str] = {}

    def __init__(self, connection: str) -> None:
        self.connection = connection

    def marked(self, metadata: Mapping[str, str], account: str | None = None) -> dict[str, str]:
        """Return metadata with our name for the call, and the application's for whoever subscribes."""
        ours = {CALL_FIELD: self.reference or None, ACCOUNT_FIELD: account}
        return {**metadata, **{name: text for name, text in ours.items() if text is not None}}

    def create_price(self, price: NewPrice) -> Operation[Price]:
        """Let the vendor know of a price, with the product or plan that it needs around it."""
        raise lacking("prices")

    def fetch_price(self, price: str) -> Operation[Price]:
        """Return a price."""
        raise lacking("prices")

    def create(self, subscription: NewSubscription) -> Operation[Subscription]:
        """Make a subscription. Declined, it raises `DeclinedError`."""
        raise lacking("subscriptions")

    def fetch(self, subscription: str) -> Operation[Subscription]:
        """Return a subscription as it is now."""
        raise lacking("look-up of subscriptions")

    def list(self, query: SubscriptionQuery) -> Operation[Page[Subscription]]:
        """Return subscriptions."""
        raise lacking("list of subscriptions")

    def change(self, change: Change) -> Operation[Subscription]:
        """Change the price or the quantity."""
        raise lacking("change of subscriptions")

    def pause(self, subscription: str) -> Operation[Subscription]:
        """Charge nothing until it is resumed."""
        raise lacking("pause of subscriptions")

    def resume(self, subscription: str) -> Operation[Subscription]:
        """Go on after a pause."""
        raise lacking("pause of subscriptions")

    def cancel(self, cancellation: Cancellation) -> Operation[Subscription]:
        """End it."""
        raise lacking("cancellation")

    def invoices(self, subscription: str) -> Operation[Invoices]:
        """Return what was billed for a subscription."""
        raise lacking("list of invoices")
