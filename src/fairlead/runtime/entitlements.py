"""What a subscriber may do: answered from what is known of their subscriptions, whether or not a vendor is up.

What was read once is kept in this process; what any process writes is seen within `REFRESH_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from fairlead.capabilities.subscriptions.subscription import Subscription, SubscriptionState
from fairlead.config.subscriptions import Subscriptions as Settings
from fairlead.errors import StorageError
from fairlead.model.call import Ref
from fairlead.model.ports import Clock
from fairlead.runtime.packing import unpack
from fairlead.storage.jobs import JobStore
from fairlead.storage.snapshots import Snapshot, Sought

#: The kind of the snapshots that subscriptions are.
SUBSCRIPTION = "subscription"
#: How late this process may be to see what another one has written, in seconds.
REFRESH_S = 1.0
# What was written at about the time of the last look may have been committed after it.
_OVERLAP_S = 5.0
_MOST_CHANGES = 1000
_MOST_ACCOUNTS = 100_000

_STATE = SubscriptionState


class Known(msgspec.Struct, frozen=True):
    """A subscription, and when it was last looked at: in seconds since 1970."""

    subscription: Subscription
    seen_at: float


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody may do something, by which subscription, and how old that knowledge is."""

    is_active: bool
    subscription: Ref | None = None
    state: SubscriptionState | None = None
    #: In seconds since 1970.
    paid_until: float | None = None
    #: Seconds since the vendor was last asked.
    age_s: float | None = None


_NOTHING = Entitlement(is_active=False)


def holds_until(subscription: Subscription, grace_s: float) -> float:
    """Return until when a subscription grants what it grants, in seconds since 1970."""
    for_ever = float("inf")
    paid_until = subscription.paid_until
    match subscription.state:
        case _STATE.ACTIVE | _STATE.TRIALING:
            if paid_until is None:
                return for_ever
            return paid_until if subscription.ends_at_period_end else paid_until + grace_s
        case _STATE.PAST_DUE:
            return (paid_until or 0.0) + grace_s
        case _STATE.PAUSED:
            return paid_until or 0.0
        case _:
            return 0.0


class Entitlements:
    """Answers. `find_settings` are those of the moment."""

    def __init__(self, store: JobStore, clock: Clock, find_settings: Callable[[], Settings]) -> None:
        self._store = store
        self._clock = clock
        self._find_settings = find_settings
        self._known: dict[str, tuple[Known, ...]] = {}
        self._seen_at: float | None = None
        self._refreshed_at = 0.0
        self._granting: tuple[Settings, Mapping[tuple[str, str], frozenset[str]]] | None = None

    async def is_active(self, account: str, entitlement: str) -> bool:
        """Whether an account has a subscription that grants this."""
        return (await self.check(account, entitlement)).is_active

    async def check(self, account: str, entitlement: str) -> Entitlement:
        """Return whether, by which subscription, and how old that knowledge is.

        Raises `StorageError` only where the store cannot be read and nothing is known of the account.
        """
        if self._clock.monotonic() - self._refreshed_at >= REFRESH_S or self._seen_at is None:
            await self._refresh()
        known = self._known.get(account)
        if known is None:
            known = await self.load(account)
        now, best = self._clock.wall(), _NOTHING
        grants, grace_s = self._grants(), self._find_settings().grace_s
        for each in known:
            subscription = each.subscription
            price = (subscription.ref.connection, subscription.price or "")
            if entitlement not in grants.get(price, frozenset()):
                continue
            is_active = now < holds_until(subscription, grace_s)
            if is_active or best is _NOTHING:
                best = Entitlement(
                    is_active=is_active,
                    subscription=subscription.ref,
                    state=subscription.state,
                    paid_until=subscription.paid_until,
                    age_s=max(0.0, now - each.seen_at),
                )
            if is_active:
                break
        return best

    async def load(self, account: str) -> tuple[Known, ...]:
        """Read what is known of an account."""
        rows = await self._store.seek_snapshots(Sought(kind=SUBSCRIPTION, subject=account))
        known = tuple(read(each) for each in rows)
        if len(self._known) >= _MOST_ACCOUNTS:
            del self._known[next(iter(self._known))]
        self._known[account] = known
        return known

    def forget(self, account: str) -> None:
        """Read anew what is known of an account when it is asked for next."""
        self._known.pop(account, None)

    async def _refresh(self) -> None:
        """Forget what was written anew since the last look; where the store does not answer, what is known holds on."""
        self._refreshed_at = self._clock.monotonic()
        if self._seen_at is None or not self._known:
            self._seen_at = self._clock.wall()
            return
        with suppress(StorageError):
            now = self._clock.wall()
            sought = Sought(kind=SUBSCRIPTION, changed_since=self._seen_at - _OVERLAP_S, limit=_MOST_CHANGES)
            changed = await self._store.seek_snapshots(sought)
            if len(changed) == _MOST_CHANGES:
                self._known.clear()
            for each in changed:
                self._known.pop(each.subject, None)
            self._seen_at = now

    def _grants(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Return what each price at each connection grants."""
        settings = self._find_settings()
        if self._granting is None or self._granting[0] is not settings:
            made: dict[tuple[str, str], frozenset[str]] = {}
            for name, plan in settings.plans.items():
                for price in plan.prices.items():
                    made[price] = made.get(price, frozenset()) | set(plan.grants or [name])
            self._granting = (settings, made)
        return self._granting[1]


def read(snapshot: Snapshot) -> Known:
    """Return the subscription of a snapshot."""
    return Known(unpack(snapshot.body, Subscription), snapshot.position)
