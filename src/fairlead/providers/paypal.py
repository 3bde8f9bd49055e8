"""PayPal: what it sends of its own accord.

What is signed is the CRC-32 of the body, which is no cryptographic digest: whoever has one signed delivery can write
another body to it. The id of the transmission, which is signed as well, is therefore good for one delivery only.

Facts: PayPal's OpenAPI description notifications_webhooks_v1 (1.11), the webhooks guide ('25 times over the course of
three days'), payments_payment_v2, billing_subscriptions_v1, customer_disputes_v1; read 2026-11-25.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from fairlead.capabilities.news.payments import PaymentNews
from fairlead.capabilities.news.subscriptions import SubscriptionNews
from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import decimal_money, instant, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import CertificateScheme, Certified, Webhooks

_REPEATED_FOR_S = 4 * 86_400.0
_HEADERS = ("paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig", "paypal-cert-url")
_PAYMENTS = {
    "PAYMENT.AUTHORIZATION.CREATED": "payment.authorized",
    "PAYMENT.AUTHORIZATION.VOIDED": "payment.canceled",
    "PAYMENT.CAPTURE.PENDING": "payment.processing",
    "PAYMENT.CAPTURE.COMPLETED": "payment.succeeded",
    "PAYMENT.CAPTURE.DENIED": "payment.failed",
    "PAYMENT.CAPTURE.DECLINED": "payment.failed",
    "PAYMENT.CAPTURE.REFUNDED": "payment.refunded",
    "CUSTOMER.DISPUTE.CREATED": "payment.disputed",
}
_SUBSCRIPTIONS = {
    "BILLING.SUBSCRIPTION.ACTIVATED": "subscription.started",
    "BILLING.SUBSCRIPTION.UPDATED": "subscription.changed",
    "BILLING.SUBSCRIPTION.RE-ACTIVATED": "subscription.resumed",
    "BILLING.SUBSCRIPTION.PAYMENT.FAILED": "subscription.past_due",
    "BILLING.SUBSCRIPTION.SUSPENDED": "subscription.paused",
    "BILLING.SUBSCRIPTION.CANCELLED": "subscription.canceled",
    "BILLING.SUBSCRIPTION.EXPIRED": "subscription.canceled",
}
_OUTCOMES = {
    "RESOLVED_SELLER_FAVOUR": "payment.dispute_won",
    "RESOLVED_BUYER_FAVOUR": "payment.dispute_lost",
}


class _Amount(msgspec.Struct, frozen=True):
    """An amount as version 2 has it, and as version 1 did."""

    value: str | None = None
    currency_code: str | None = None
    total: str | None = None
    currency: str | None = None


class _Link(msgspec.Struct, frozen=True):
    href: str
    rel: str


class _Outcome(msgspec.Struct, frozen=True):
    outcome_code: str | None = None


class _Transaction(msgspec.Struct, frozen=True):
    seller_transaction_id: str | None = None


class _Resource(msgspec.Struct, frozen=True):
    """A capture, an authorization, a refund, a sale, a subscription or a dispute."""

    id: str | None = None
    status: str | None = None
    amount: _Amount | None = None
    dispute_id: str | None = None
    dispute_amount: _Amount | None = None
    disputed_transactions: tuple[_Transaction, ...] = ()
    dispute_outcome: _Outcome | None = None
    reason: str | None = None
    billing_agreement_id: str | None = None
    links: tuple[_Link, ...] = ()


class _Event(msgspec.Struct, frozen=True):
    id: str
    event_type: str
    create_time: str | None = None
    resource: _Resource | None = None

    @property
    def whose(self) -> str | None:
        """The payment or the subscription that it is about; a refund links up to what it refunds."""
        resource = self.resource or _Resource()
        if resource.disputed_transactions:
            return resource.disputed_transactions[0].seller_transaction_id
        up = next((each.href for each in resource.links if each.rel == "up"), None)
        if up and "REFUND" in self.event_type:
            return up.rstrip("/").rpartition("/")[2]
        return resource.billing_agreement_id or resource.id


def find_signature(incoming: Incoming, webhook_ids: Sequence[str]) -> Certified:
    """Return what was signed for the webhooks that are ours."""
    identifier, sent_at, signature, url = (incoming.headers.get(each, "") for each in _HEADERS)
    if not (identifier and sent_at and signature and url):
        raise WebhookError.of(WebhookReason.UNSIGNED)
    at = instant(sent_at)
    if at is None or incoming.headers.get("paypal-auth-algo") != "SHA256withRSA":
        raise WebhookError.of(WebhookReason.MALFORMED)
    crc = zlib.crc32(incoming.body)
    return Certified(
        messages=tuple(f"{identifier}|{sent_at}|{each}|{crc}".encode() for each in webhook_ids),
        signature=signature,
        certificate_url=url,
        timestamp=at,
        nonce=identifier,
    )


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery."""
    event: _Event = parse_json(incoming.body, _Event)
    at = position(instant(event.create_time))
    return (Notice(key=event.id, type=event.event_type, subject=event.whose, position=at, body=incoming.body),)


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    event: _Event = parse_json(body, _Event)
    resource, at = event.resource or _Resource(), instant(event.create_time)
    outcome = resource.dispute_outcome.outcome_code if resource.dispute_outcome else None
    if kind == "PAYMENT.SALE.COMPLETED":
        kind = "renewed" if resource.billing_agreement_id else "PAYMENT.CAPTURE.COMPLETED"
    if kind == "renewed" or kind in _SUBSCRIPTIONS:
        neutral = _SUBSCRIPTIONS.get(kind, "subscription.renewed")
        data = SubscriptionNews(status=resource.status)
        return Event(type=neutral, occurred_at=at, subject=event.whose, data=data)
    payment = _OUTCOMES.get(outcome or "") if kind == "CUSTOMER.DISPUTE.RESOLVED" else _PAYMENTS.get(kind)
    if payment is None:
        return None
    amount = resource.amount or resource.dispute_amount or _Amount()
    news = PaymentNews(
        amount=decimal_money(amount.value or amount.total, amount.currency_code or amount.currency),
        reason=resource.reason,
        refund=resource.id if payment == "payment.refunded" else None,
        dispute=resource.dispute_id,
    )
    return Event(type=payment, occurred_at=at, subject=event.whose, data=news)


PROVIDER = Provider(
    id="paypal",
    title="PayPal",
    docs_url="https://developer.paypal.com/api/rest/webhooks/",
    api_version="v1 (webhooks), v2 (payments)",
    base_url="https://api-m.paypal.com",
    credentials=(
        Credential(
            name="webhook_id",
            label="ID of the webhook",
            help="Apps & Credentials, the app, Webhooks: 'Webhook ID'. It is part of what is signed",
            is_secret=False,
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=CertificateScheme(
            find=find_signature,
            host=r"(api|api-m)(\.sandbox)?\.paypal\.com",
            path=r"/v1/notifications/certs/[A-Za-z0-9._-]+",
            field="webhook_id",
            tolerance_s=_REPEATED_FOR_S,
        ),
        secrets=("webhook_id",),
        split=split,
        normalise=normalise,
        source="PayPal's OpenAPI description notifications_webhooks_v1 (1.11) and webhooks guide, read 2026-11-25",
    ),
)
