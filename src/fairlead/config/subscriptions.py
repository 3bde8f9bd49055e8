"""The settings of subscriptions; `docs/how-to/sell-subscriptions.md` explains them."""

from __future__ import annotations

from fairlead.config.group import Age, Group, Seconds

_DAY_S = 86_400.0


class Plan(Group, frozen=True):
    """Something to subscribe to, by whichever processor bills it."""

    #: Connection -> the vendor's id of the price there.
    prices: dict[str, str]
    #: What a subscriber may do; the plan's own name unless set.
    grants: list[str] | None = None


class Subscriptions(Group, frozen=True):
    """What can be subscribed to, and how long one is taken for paid."""

    #: What can be subscribed to.
    plans: dict[str, Plan] = {}
    #: How often each subscription is looked at, beside whenever a webhook tells of it.
    poll_s: Seconds = 3600.0
    #: How long a subscriber keeps what was granted after a period was not paid for, or nobody could be asked.
    grace_s: Age = 3 * _DAY_S
