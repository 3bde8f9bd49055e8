"""What became of a subscription. `subject` is the vendor's id of the subscription."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

TYPES: Mapping[str, str] = {
    "subscription.started": "It exists; `status` says whether it is paid for yet.",
    "subscription.changed": "Its plan, its quantity or its state changed.",
    "subscription.renewed": "A period was paid for.",
    "subscription.past_due": "A period was not paid for; the vendor mostly tries again.",
    "subscription.paused": "Nothing is charged, and nothing owed, until it goes on.",
    "subscription.resumed": "It goes on after a pause.",
    "subscription.trial_ending": "The trial ends soon.",
    "subscription.canceled": "It is over.",
}


class SubscriptionNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else there is to say of it."""

    #: The state, in the vendor's own word.
    status: str | None = None
    #: The vendor's id of who subscribes.
    customer: str | None = None
    #: Until when it is paid for, in seconds since 1970.
    paid_until: float | None = None
