"""Stripe: what it sends of its own accord.

The API version is that of the account or of the endpoint: what is read here has the same name in all of them, or is
looked for under both. Facts: stripe-python `_webhook.py` (6c6e373), stripe-dotnet's event tests (d330362), the list of
event types and the example objects of API version 2026-06-24; read 2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.capabilities.news.payments import PaymentNews
from fairlead.capabilities.news.subscriptions import SubscriptionNews
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.model.money import Money
from fairlead.spec.notice import instant, money, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks

_PAYMENTS = {
    "payment_intent.requires_action": "payment.requires_action",
    "payment_intent.amount_capturable_updated": "payment.authorized",
    "payment_intent.processing": "payment.processing",
    "payment_intent.succeeded": "payment.succeeded",
    "payment_intent.payment_failed": "payment.failed",
    "payment_intent.canceled": "payment.canceled",
    "charge.refunded": "payment.refunded",
    "refund.failed": "payment.refund_failed",
    "charge.dispute.created": "payment.disputed",
}
_SUBSCRIPTIONS = {
    "customer.subscription.created": "subscription.started",
    "customer.subscription.updated": "subscription.changed",
    "customer.subscription.paused": "subscription.paused",
    "customer.subscription.resumed": "subscription.resumed",
    "customer.subscription.trial_will_end": "subscription.trial_ending",
    "customer.subscription.deleted": "subscription.canceled",
}
_DISPUTES = {"won": "payment.dispute_won", "lost": "payment.dispute_lost"}
_OVERDUE = {"past_due", "unpaid"}
# In its API a króna has hundredths (support.stripe.com, 'Deprecation of fractional ISK charges'), which ISO 4217 does
# not know; of these others it is not sure how the amount is meant, so none is told.
_HUNDREDTHS, _IN_DOUBT = {"ISK"}, {"MGA", "UGX"}


class _Failure(msgspec.Struct, frozen=True):
    code: str | None = None
    decline_code: str | None = None


class _SubscriptionDetails(msgspec.Struct, frozen=True):
    subscription: str | None = None


class _Parent(msgspec.Struct, frozen=True):
    subscription_details: _SubscriptionDetails | None = None


class _Object(msgspec.Struct, frozen=True):
    """A payment intent, a charge, a refund, a dispute, an invoice or a subscription."""

    id: str | None = None
    object: str = ""
    status: str | None = None
    amount: int | None = None
    amount_refunded: int | None = None
    currency: str | None = None
    payment_intent: str | None = None
    charge: str | None = None
    customer: str | None = None
    reason: str | None = None
    failure_reason: str | None = None
    last_payment_error: _Failure | None = None
    subscription: str | None = None
    parent: _Parent | None = None
    billing_reason: str | None = None

    @property
    def of_subscription(self) -> str | None:
        """The subscription of an invoice: under its parent since 2025."""
        details = self.parent.subscription_details if self.parent else None
        return self.subscription or (details.subscription if details else None)

    @property
    def whose(self) -> str | None:
        """Whose history it belongs to."""
        if self.object == "invoice":
            return self.of_subscription or self.id
        return self.payment_intent or self.charge or self.id


class _Related(msgspec.Struct, frozen=True):
    id: str | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _Object | None = None


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    created: int | str | None = None
    data: _Data | None = None
    related_object: _Related | None = None

    @property
    def at(self) -> float | None:
        """When it happened: in seconds, or as RFC 3339 in thin events."""
        return instant(self.created) if isinstance(self.created, str) else self.created


class _Named(msgspec.Struct, frozen=True):
    """What every event has, whatever it is about."""

    id: str
    type: str
    created: int | str | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery."""
    named: _Named = parse_json(incoming.body, _Named)
    is_ours = named.type.startswith(("payment_intent.", "charge.", "refund.", "invoice.", "customer.subscription."))
    event = parse_json(incoming.body, _Event) if is_ours else _Event(named.id, named.type, named.created)
    thing = event.data.object if event.data else None
    return (
        Notice(
            key=event.id,
            type=event.type,
            subject=thing.whose if thing else None,
            position=position(event.at),
            body=incoming.body,
        ),
    )


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    is_dispute = kind == "charge.dispute.closed"
    if not (is_dispute or kind in _PAYMENTS or kind in _SUBSCRIPTIONS or kind.startswith("invoice.")):
        return None
    event: _Event = parse_json(body, _Event)
    thing = event.data.object if event.data else None
    if thing is None:
        return None
    if kind.startswith("invoice."):
        return _of_invoice(kind, event, thing)
    if kind in _SUBSCRIPTIONS:
        is_overdue = kind == "customer.subscription.updated" and thing.status in _OVERDUE
        neutral = "subscription.past_due" if is_overdue else _SUBSCRIPTIONS[kind]
        return _of_subscription(neutral, event, thing, thing.id)
    neutral_payment = _DISPUTES.get(thing.status or "") if is_dispute else _PAYMENTS[kind]
    return _of_payment(neutral_payment, event, thing) if neutral_payment else None


def _of_invoice(kind: str, event: _Event, thing: _Object) -> Event | None:
    """Tell of a subscription's invoice as of the period that was paid for, or was not; of others nothing."""
    if thing.of_subscription is None:
        return None
    if kind == "invoice.paid" and thing.billing_reason == "subscription_cycle":
        return _of_subscription("subscription.renewed", event, thing, thing.of_subscription)
    if kind == "invoice.payment_failed":
        return _of_subscription("subscription.past_due", event, thing, thing.of_subscription)
    return None


def _of_subscription(neutral: str, event: _Event, thing: _Object, subject: str | None) -> Event:
    data = SubscriptionNews(status=thing.status, customer=thing.customer)
    return Event(type=neutral, occurred_at=event.at, subject=subject, data=data)


def _of_payment(neutral: str, event: _Event, thing: _Object) -> Event:
    failure = thing.last_payment_error
    amount = thing.amount_refunded if neutral == "payment.refunded" else thing.amount
    data = PaymentNews(
        amount=_money(amount, thing.currency),
        reason=(failure.decline_code or failure.code) if failure else thing.reason or thing.failure_reason,
        refund=thing.id if thing.object == "refund" else None,
        dispute=thing.id if thing.object == "dispute" else None,
        customer=thing.customer,
    )
    return Event(type=neutral, occurred_at=event.at, subject=thing.whose, data=data)


def _money(amount: int | None, currency: str | None) -> Money | None:
    """Read an amount in the smallest unit."""
    code = (currency or "").upper()
    if amount is None or not code or code in _IN_DOUBT:
        return None
    return money(amount // 100 if code in _HUNDREDTHS else amount, code)


PROVIDER = Provider(
    id="stripe",
    title="Stripe",
    docs_url="https://docs.stripe.com/webhooks",
    api_version="that of the endpoint",
    base_url="https://api.stripe.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Signing secret of the endpoint",
            help="Dashboard, Developers, Webhooks, the endpoint: 'Signing secret', whole, as whsec_...",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="stripe-signature",
            message="{timestamp}.{body}",
            prefix="v1=",
            separator=",",
            timestamp_prefix="t=",
        ),
        secrets=("webhook_secret",),
        split=split,
        normalise=normalise,
        source="stripe-python _webhook.py (6c6e373) and its tests, read 2026-11-25",
    ),
)
