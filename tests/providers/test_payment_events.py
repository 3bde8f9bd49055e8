"""What became of a payment or a subscription is told in the same words, whichever vendor tells it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.capabilities.news import payments, subscriptions
from fairlead.capabilities.news.payments import PaymentNews
from fairlead.capabilities.news.subscriptions import SubscriptionNews
from fairlead.model.event import Event, Notice
from fairlead.model.money import Money
from fairlead.runtime.registry import load_provider
from webhook_trial import incoming

AT = 1_700_000_000
WHEN = "2023-11-14T22:13:20Z"
TYPES = {**payments.TYPES, **subscriptions.TYPES}


def told(name: str, body: Any) -> tuple[Notice, Event | None]:
    """Return the one notice of a delivery, and what it means."""
    webhooks = load_provider(name).webhooks
    assert webhooks is not None
    assert webhooks.normalise is not None
    (notice,) = webhooks.split(incoming(json.dumps(body)))
    event = webhooks.normalise(notice.type, notice.body)
    assert event is None or event.type in TYPES
    assert event is None or notice.subject == event.subject
    assert notice.position == AT * 1_000_000
    return notice, event


def stripe(kind: str, thing: dict[str, Any]) -> Event | None:
    notice, event = told("stripe", {"id": "evt_1", "type": kind, "created": AT, "data": {"object": thing}})
    assert (notice.key, notice.type) == ("evt_1", kind)
    return event


def paypal(kind: str, resource: dict[str, Any]) -> Event | None:
    body = {"id": "WH-1", "event_type": kind, "create_time": WHEN, "resource": resource}
    notice, event = told("paypal", body)
    assert (notice.key, notice.type) == ("WH-1", kind)
    return event


def square(kind: str, thing: dict[str, Any]) -> Event | None:
    name = kind.partition(".")[0]
    body = {"event_id": "e-1", "type": kind, "created_at": WHEN, "data": {"id": "p-1", "object": {name: thing}}}
    notice, event = told("square", body)
    assert (notice.key, notice.type) == ("e-1", kind)
    return event


INTENT = {"object": "payment_intent", "id": "p-1", "amount": 1050, "currency": "eur", "customer": "c-1"}
CAPTURE = {"id": "p-1", "amount": {"value": "10.50", "currency_code": "EUR"}}
SQUARE = {"id": "p-1", "amount_money": {"amount": 1050, "currency": "EUR"}, "customer_id": "c-1"}
CHARGE = {
    "object": "charge",
    "id": "ch",
    "payment_intent": "p-1",
    "amount": 9999,
    "amount_refunded": 1050,
    "currency": "eur",
}
DISPUTE = {
    "object": "dispute",
    "id": "d-1",
    "payment_intent": "p-1",
    "amount": 1050,
    "currency": "eur",
    "reason": "fraud",
}
CASE = {
    "dispute_id": "d-1", "disputed_transactions": [{"seller_transaction_id": "p-1"}], "reason": "fraud",
    "dispute_amount": CAPTURE["amount"],
}  # fmt: skip
CONTEST = {**SQUARE, "id": "d-1", "reason": "fraud", "disputed_payment": {"payment_id": "p-1"}}
SALE = {"id": "p-1", "amount": {"total": "10.50", "currency": "EUR"}}
BACK = {**SQUARE, "id": "r-1", "payment_id": "p-1"}
UP = [{"rel": "self", "href": "https://api/r-1"}, {"rel": "up", "href": "https://api/v2/payments/captures/p-1"}]
WON, LOST = {"outcome_code": "RESOLVED_SELLER_FAVOUR"}, {"outcome_code": "RESOLVED_BUYER_FAVOUR"}


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (stripe("payment_intent.requires_action", INTENT), "payment.requires_action"),
        (stripe("payment_intent.amount_capturable_updated", INTENT), "payment.authorized"),
        (stripe("payment_intent.processing", INTENT), "payment.processing"),
        (stripe("payment_intent.succeeded", INTENT), "payment.succeeded"),
        (stripe("payment_intent.payment_failed", INTENT), "payment.failed"),
        (stripe("payment_intent.canceled", INTENT), "payment.canceled"),
        (stripe("charge.refunded", CHARGE), "payment.refunded"),
        (stripe("charge.dispute.created", DISPUTE), "payment.disputed"),
        (stripe("charge.dispute.closed", {**DISPUTE, "status": "won"}), "payment.dispute_won"),
        (stripe("charge.dispute.closed", {**DISPUTE, "status": "lost"}), "payment.dispute_lost"),
        (paypal("PAYMENT.AUTHORIZATION.CREATED", CAPTURE), "payment.authorized"),
        (paypal("PAYMENT.CAPTURE.PENDING", CAPTURE), "payment.processing"),
        (paypal("PAYMENT.CAPTURE.COMPLETED", CAPTURE), "payment.succeeded"),
        (paypal("PAYMENT.CAPTURE.DENIED", CAPTURE), "payment.failed"),
        (paypal("PAYMENT.AUTHORIZATION.VOIDED", CAPTURE), "payment.canceled"),
        (paypal("PAYMENT.CAPTURE.REFUNDED", {**CAPTURE, "id": "r-1", "links": UP}), "payment.refunded"),
        (paypal("PAYMENT.SALE.COMPLETED", SALE), "payment.succeeded"),
        (paypal("CUSTOMER.DISPUTE.CREATED", CASE), "payment.disputed"),
        (paypal("CUSTOMER.DISPUTE.RESOLVED", {**CASE, "dispute_outcome": WON}), "payment.dispute_won"),
        (paypal("CUSTOMER.DISPUTE.RESOLVED", {**CASE, "dispute_outcome": LOST}), "payment.dispute_lost"),
        (square("payment.updated", {**SQUARE, "status": "APPROVED"}), "payment.authorized"),
        (square("payment.created", {**SQUARE, "status": "PENDING"}), "payment.processing"),
        (square("payment.updated", {**SQUARE, "status": "COMPLETED"}), "payment.succeeded"),
        (square("payment.updated", {**SQUARE, "status": "FAILED"}), "payment.failed"),
        (square("payment.updated", {**SQUARE, "status": "CANCELED"}), "payment.canceled"),
        (square("refund.updated", {**BACK, "status": "COMPLETED"}), "payment.refunded"),
        (square("refund.updated", {**BACK, "status": "FAILED"}), "payment.refund_failed"),
        (square("dispute.created", CONTEST), "payment.disputed"),
        (square("dispute.state.updated", {**CONTEST, "state": "WON"}), "payment.dispute_won"),
        (square("dispute.state.updated", {**CONTEST, "state": "ACCEPTED"}), "payment.dispute_lost"),
    ],
)  # fmt: skip
def test_a_payment_is_told_of_in_the_same_words(event: Event | None, wanted: str) -> None:
    assert event is not None
    assert isinstance(event.data, PaymentNews)
    assert (event.type, event.subject, event.occurred_at) == (wanted, "p-1", AT)
    assert event.data.amount == Money(1050, "EUR")
    if "dispute" in wanted:
        assert (event.data.dispute, event.data.reason) == ("d-1", "fraud")
    if "refund" in wanted:
        assert event.data.refund in {"r-1", None}


SUBSCRIPTION = {"object": "subscription", "id": "s-1", "customer": "c-1", "status": "active"}
INVOICE = {"object": "invoice", "id": "in-1", "customer": "c-1", "billing_reason": "subscription_cycle"}
OF_OLD = {**INVOICE, "subscription": "s-1"}
OF_NOW = {**INVOICE, "parent": {"subscription_details": {"subscription": "s-1"}}}
PLAN = {"id": "s-1", "status": "ACTIVE", "customer_id": "c-1"}


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (stripe("customer.subscription.created", SUBSCRIPTION), "subscription.started"),
        (stripe("customer.subscription.updated", SUBSCRIPTION), "subscription.changed"),
        (stripe("customer.subscription.updated", {**SUBSCRIPTION, "status": "past_due"}), "subscription.past_due"),
        (stripe("customer.subscription.paused", SUBSCRIPTION), "subscription.paused"),
        (stripe("customer.subscription.resumed", SUBSCRIPTION), "subscription.resumed"),
        (stripe("customer.subscription.trial_will_end", SUBSCRIPTION), "subscription.trial_ending"),
        (stripe("customer.subscription.deleted", SUBSCRIPTION), "subscription.canceled"),
        (stripe("invoice.paid", OF_OLD), "subscription.renewed"),
        (stripe("invoice.paid", OF_NOW), "subscription.renewed"),
        (stripe("invoice.payment_failed", OF_NOW), "subscription.past_due"),
        (paypal("BILLING.SUBSCRIPTION.ACTIVATED", {"id": "s-1"}), "subscription.started"),
        (paypal("BILLING.SUBSCRIPTION.PAYMENT.FAILED", {"id": "s-1"}), "subscription.past_due"),
        (paypal("BILLING.SUBSCRIPTION.SUSPENDED", {"id": "s-1"}), "subscription.paused"),
        (paypal("BILLING.SUBSCRIPTION.CANCELLED", {"id": "s-1"}), "subscription.canceled"),
        (paypal("PAYMENT.SALE.COMPLETED", {"id": "sale", "billing_agreement_id": "s-1"}), "subscription.renewed"),
        (square("subscription.created", PLAN), "subscription.started"),
        (square("subscription.updated", PLAN), "subscription.changed"),
        (square("subscription.updated", {**PLAN, "status": "PAUSED"}), "subscription.paused"),
        (square("subscription.updated", {**PLAN, "status": "DEACTIVATED"}), "subscription.canceled"),
        (square("invoice.payment_made", {"id": "i", "subscription_id": "s-1"}), "subscription.renewed"),
        (square("invoice.scheduled_charge_failed", {"id": "i", "subscription_id": "s-1"}), "subscription.past_due"),
    ],
)
def test_a_subscription_is_told_of_in_the_same_words(event: Event | None, wanted: str) -> None:
    assert event is not None
    assert isinstance(event.data, SubscriptionNews)
    assert (event.type, event.subject, event.occurred_at) == (wanted, "s-1", AT)


@pytest.mark.parametrize(
    "event",
    [
        stripe("charge.succeeded", CHARGE),  # its payment intent says so as well
        stripe("invoice.paid", INVOICE),
        stripe("invoice.finalized", OF_NOW),
        stripe("charge.dispute.closed", {**DISPUTE, "status": "warning_closed"}),
        stripe("account.updated", {"object": "account", "id": "acct", "amount": "of another type"}),
        paypal("CHECKOUT.ORDER.APPROVED", {"id": "o-1"}),
        paypal("CUSTOMER.DISPUTE.RESOLVED", {**CASE, "dispute_outcome": {"outcome_code": "CANCELED_BY_BUYER"}}),
        square("dispute.state.updated", {**CONTEST, "state": "PROCESSING"}),
        square("invoice.payment_made", {"id": "i"}),
        square("customer.created", {"id": "c-1"}),
    ],
)
def test_what_has_no_neutral_word_is_none(event: Event | None) -> None:
    assert event is None


@pytest.mark.parametrize(
    ("currency", "amount", "wanted"),
    [
        ("jpy", 500, Money(500, "JPY")),
        ("bhd", 5000, Money(5000, "BHD")),
        ("isk", 4000, Money(40, "ISK")),
        ("ugx", 500, None),
        ("usdc", 500, None),
        (None, 500, None),
    ],
)
def test_an_amount_in_doubt_is_left_out(currency: str | None, amount: int, wanted: Money | None) -> None:
    event = stripe("payment_intent.succeeded", {**INTENT, "amount": amount, "currency": currency})
    assert event is not None
    assert isinstance(event.data, PaymentNews)
    assert event.data.amount == wanted


def test_why_a_payment_failed_is_told() -> None:
    event = stripe(
        "payment_intent.payment_failed", {**INTENT, "last_payment_error": {"code": "a", "decline_code": "b"}}
    )
    assert event is not None
    assert isinstance(event.data, PaymentNews)
    assert (event.data.reason, event.data.customer) == ("b", "c-1")
