"""Payments and subscriptions by name and words."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from fairlead.capabilities.payments.payment import NewPayment
from fairlead.errors import InvalidArgumentError
from fairlead.model.call import Ref
from fairlead.model.money import Money
from fairlead.runtime.fairlead import Fairlead
from fairlead.runtime.named import Named, Words
from fairlead.runtime.wanted import CallOptions

_KEY = {"idempotency_key": "one key is one call"}
_REF = {"ref!": "connection:id"}
_AMOUNT = {"amount": "as 10.50; all of it unless given", "currency": "with amount: as EUR"}


def _create(fl: Fairlead, words: Words, options: CallOptions) -> Awaitable[Any]:
    payment = NewPayment(
        amount=Money.of(words["amount"], words["currency"]),
        methods=_refs(words.get("methods")),
        customers=_refs(words.get("customers")),
        capture=words.get("capture", "yes") != "no",
        reference=words.get("reference"),
        description=words.get("description"),
        return_url=words.get("return_url"),
        country=words.get("country"),
    )
    return fl.payments.create(payment, **_keyed(words, options))


def _capture(fl: Fairlead, words: Words, options: CallOptions) -> Awaitable[Any]:
    return fl.payments.capture(words["ref"], amount=_amount(words), **_keyed(words, options))


def _refund(fl: Fairlead, words: Words, options: CallOptions) -> Awaitable[Any]:
    given = _keyed(words, options)
    return fl.payments.refund(words["ref"], amount=_amount(words), reason=words.get("reason"), **given)


def _cancel_subscription(fl: Fairlead, words: Words, options: CallOptions) -> Awaitable[Any]:
    is_later = words.get("when", "period_end") != "now"
    return fl.subscriptions.cancel(words["ref"], at_period_end=is_later, **_keyed(words, options))


def _keyed(words: Words, options: CallOptions) -> dict[str, Any]:
    return {**options, "idempotency_key": words.get("idempotency_key") or None}


def _refs(text: str | None) -> tuple[Ref, ...]:
    return tuple(Ref.parse(each.strip()) for each in (text or "").split(",") if each.strip())


def _amount(words: Words) -> Money | None:
    if bool(words.get("amount")) != bool(words.get("currency")):
        raise InvalidArgumentError("An amount has a currency.", hint="Give both, as amount=10.50 currency=EUR.")
    return Money.of(words["amount"], words["currency"]) if words.get("amount") else None


OPERATIONS: Mapping[str, Named] = {
    "payments.create": Named(
        words={
            "amount!": "as 10.50",
            "currency!": "as EUR",
            "methods": "tokens as connection:id, with commas between; only these connections are asked",
            "customers": "likewise",
            "capture": "no, to reserve the money and not take it yet",
            "reference": "your own: an order's number",
            "description": "what it is for",
            "return_url": "where the payer comes back to",
            "country": "the payer's, as DE",
            **_KEY,
        },
        run=_create,
    ),
    "payments.fetch": Named(words=_REF, run=lambda fl, words, options: fl.payments.fetch(words["ref"], **options)),
    "payments.capture": Named(words={**_REF, **_AMOUNT, **_KEY}, run=_capture),
    "payments.cancel": Named(
        words={**_REF, **_KEY},
        run=lambda fl, words, options: fl.payments.cancel(words["ref"], **_keyed(words, options)),
    ),
    "payments.refund": Named(
        words={
            **_REF,
            **_AMOUNT,
            "reason": "duplicate, fraudulent or requested_by_customer",
            **_KEY,
        },
        run=_refund,
    ),
    "subscriptions.fetch": Named(words=_REF, run=lambda fl, words, _: fl.subscriptions.fetch(words["ref"])),
    "subscriptions.cancel": Named(words={**_REF, "when": "period_end, or now", **_KEY}, run=_cancel_subscription),
}
