"""A payment that the payer contests."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from fairlead.capabilities.payments.fields import check_texts
from fairlead.model.answer import Answer
from fairlead.model.call import Ref
from fairlead.model.money import Money


class DisputeState(StrEnum):
    """Where a dispute stands."""

    #: Evidence is awaited until `due_at`.
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    #: Also what was accepted.
    LOST = "lost"


class Dispute(Answer, frozen=True, kw_only=True):
    """A dispute as the vendor has it. `payment` is the vendor's id of the payment, where it says."""

    ref: Ref
    payment: str | None
    state: DisputeState
    vendor_state: str
    amount: Money
    #: The vendor's word for why.
    reason: str | None = None
    due_at: float | None = None
    created_at: float | None = None
    #: Ids of the payment's parts, where the dispute names such a one.
    parts: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for us in a dispute. `dispute` is the vendor's id. `extra` is in the vendor's own words."""

    dispute: str
    #: What was sold, and how it came to the payer.
    explanation: str | None = None
    product: str | None = None
    customer_name: str | None = None
    customer_email: str | None = None
    #: As `2026-11-25`.
    service_date: str | None = None
    tracking_number: str | None = None
    carrier: str | None = None
    refund_policy: str | None = None
    extra: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        texts = ("product", "customer_name", "customer_email", "service_date", "tracking_number", "carrier")
        check_texts({name: getattr(self, name) for name in texts})
        for name in ("explanation", "refund_policy"):
            text = getattr(self, name)
            check_texts({name: text and " ".join(text.split())})

    def __repr__(self) -> str:  # what is said of a customer is private
        return f"Evidence({self.dispute})"


class DisputeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which disputes: begun from `since` to before `until`, in seconds since 1970."""

    since: float | None = None
    until: float | None = None
    limit: int = 100
    cursor: str | None = None
