"""Square: what it sends of its own accord.

The address is signed with the body: it must be given to us as Square was given it. Facts: square-python-sdk
test_webhooks_helper.py (24302ba), Square's OpenAPI description 2025-08-20; read 2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.capabilities.news.payments import PaymentNews
from fairlead.capabilities.news.subscriptions import SubscriptionNews
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.encoding import Encoding
from fairlead.spec.notice import instant, money, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks

_PAYMENTS = {
    "PENDING": "payment.processing",
    "APPROVED": "payment.authorized",
    "COMPLETED": "payment.succeeded",
    "FAILED": "payment.failed",
    "CANCELED": "payment.canceled",
}
_REFUNDS = {
    "COMPLETED": "payment.refunded",
    "REJECTED": "payment.refund_failed",
    "FAILED": "payment.refund_failed",
}
_DISPUTES = {"WON": "payment.dispute_won", "LOST": "payment.dispute_lost", "ACCEPTED": "payment.dispute_lost"}
_SUBSCRIPTIONS = {
    "PAUSED": "subscription.paused",
    "CANCELED": "subscription.canceled",
    "DEACTIVATED": "subscription.canceled",
}
_INVOICES = {
    "invoice.payment_made": "subscription.renewed",
    "invoice.scheduled_charge_failed": "subscription.past_due",
}


class _Amount(msgspec.Struct, frozen=True):
    amount: int | None = None
    currency: str | None = None


class _Disputed(msgspec.Struct, frozen=True):
    payment_id: str | None = None


class _Thing(msgspec.Struct, frozen=True):
    """A payment, a refund, a dispute, a subscription or an invoice."""

    id: str | None = None
    status: str | None = None
    state: str | None = None
    reason: str | None = None
    payment_id: str | None = None
    subscription_id: str | None = None
    customer_id: str | None = None
    amount_money: _Amount | None = None
    disputed_payment: _Disputed | None = None

    @property
    def whose(self) -> str | None:
        """Whose history it belongs to."""
        disputed = self.disputed_payment.payment_id if self.disputed_payment else None
        return disputed or self.payment_id or self.subscription_id or self.id


class _Object(msgspec.Struct, frozen=True):
    payment: _Thing | None = None
    refund: _Thing | None = None
    dispute: _Thing | None = None
    subscription: _Thing | None = None
    invoice: _Thing | None = None


class _Data(msgspec.Struct, frozen=True):
    id: str | None = None
    object: _Object = _Object()


class _Event(msgspec.Struct, frozen=True):
    event_id: str
    type: str
    created_at: str | None = None
    data: _Data = _Data()

    @property
    def thing(self) -> _Thing | None:
        """What it is about, where that is one of those we know."""
        known = self.data.object
        return known.payment or known.refund or known.dispute or known.subscription or known.invoice


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery."""
    event: _Event = parse_json(incoming.body, _Event)
    whose = event.thing.whose if event.thing else event.data.id
    at = position(instant(event.created_at))
    return (Notice(key=event.event_id, type=event.type, subject=whose, position=at, body=incoming.body),)


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    event: _Event = parse_json(body, _Event)
    thing = event.thing
    neutral = _neutral(kind, thing) if thing else None
    if thing is None or neutral is None:
        return None
    if neutral.startswith("subscription."):
        data = SubscriptionNews(status=thing.status, customer=thing.customer_id)
        return Event(type=neutral, occurred_at=instant(event.created_at), subject=thing.whose, data=data)
    known, amount = event.data.object, thing.amount_money or _Amount()
    news = PaymentNews(
        amount=money(amount.amount, amount.currency),
        reason=thing.reason,
        refund=thing.id if known.refund else None,
        dispute=(thing.id or event.data.id) if known.dispute else None,
        customer=thing.customer_id,
    )
    return Event(type=neutral, occurred_at=instant(event.created_at), subject=thing.whose, data=news)


def _neutral(kind: str, thing: _Thing) -> str | None:
    """Return the neutral type: most of Square's say only that something changed, and the thing says to what."""
    match kind:
        case "payment.created" | "payment.updated":
            return _PAYMENTS.get(thing.status or "")
        case "refund.created" | "refund.updated":
            return _REFUNDS.get(thing.status or "")
        case "dispute.created":
            return "payment.disputed"
        case "dispute.state.updated":
            return _DISPUTES.get(thing.state or "")
        case "subscription.created":
            return "subscription.started"
        case "subscription.updated":
            return _SUBSCRIPTIONS.get(thing.status or "", "subscription.changed")
    return _INVOICES.get(kind) if thing.subscription_id else None


PROVIDER = Provider(
    id="square",
    title="Square",
    docs_url="https://developer.squareup.com/docs/webhooks/overview",
    api_version="2025-08-20",
    base_url="https://connect.squareup.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Signature key of the webhook subscription",
            help="Developer Console, the application, Webhooks, the subscription: 'Signature Key'",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(header="x-square-hmacsha256-signature", message="{url}{body}", encoding=Encoding.BASE64),
        secrets=("webhook_secret",),
        split=split,
        normalise=normalise,
        source="square-python-sdk tests/integration/test_webhooks_helper.py (24302ba), read 2026-11-25",
    ),
)
