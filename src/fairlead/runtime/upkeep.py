"""What is known of subscriptions is kept true: each is looked at when an event tells of it, and again and again.

An event says only that something happened: what a subscription is like is asked of its vendor. So events that are lost,
come twice or in any order all lead to the same state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from fairlead.capabilities.subscriptions.subscription import Subscription, SubscriptionQuery, SubscriptionState
from fairlead.config.subscriptions import Subscriptions as Settings
from fairlead.errors import FairleadError, NotFoundError, UnknownConnectionError, UnknownRouteError
from fairlead.model.call import Ref
from fairlead.model.event import Event
from fairlead.model.page import Page
from fairlead.runtime.desk import Desk
from fairlead.runtime.entitlements import SUBSCRIPTION, Entitlements, read
from fairlead.runtime.packing import pack
from fairlead.runtime.schedules import Schedule
from fairlead.runtime.work import Runner
from fairlead.storage.jobs import Ending, Job, JobState, NewJob
from fairlead.storage.snapshots import Snapshot, Sought

#: The kind of the jobs that look at what an event tells of.
LOOK = "look"
# Until when of the list of a connection everything is known: a snapshot of its own.
_LISTED = "listed"
_FAMILY = "subscription."
# How often it is looked whether anything is due.
_TICK_S = 60.0
# A renewal takes its time: a subscription is looked at so long after a period is over.
_AFTER_PERIOD_S = 120.0
_LOT = 200
# Lists are asked for again from so long before the last time.
_OVERLAP_S = 3600.0

Fetch = Callable[[Ref], Awaitable[Subscription]]
ListPage = Callable[[str, SubscriptionQuery], Awaitable[Page[Subscription]]]


def look_at(event: Event, connection: str, key: str, *, now: float) -> NewJob | None:
    """Return the job that looks at what an event tells of; None where it tells of no subscription."""
    if not event.type.startswith(_FAMILY) or not event.subject:
        return None
    return NewJob(
        kind=LOOK, source=connection, name=SUBSCRIPTION, key=key, subject=event.subject, run_at=now,
    )  # fmt: skip


class Upkeep:
    """Looks. `fetch` and `list_page` ask a vendor; `find_connections` are those that serve subscriptions now."""

    def __init__(
        self,
        desk: Desk,
        entitlements: Entitlements,
        *,
        fetch: Fetch,
        list_page: ListPage,
        find_connections: Callable[[], Sequence[str]],
        find_settings: Callable[[], Settings],
    ) -> None:
        self._desk = desk
        self._clock = desk.ports.clock
        self._entitlements = entitlements
        self._fetch = fetch
        self._list_page = list_page
        self._find_connections = find_connections
        self._find_settings = find_settings

    @property
    def runners(self) -> Mapping[str, Runner]:
        """What each kind of job is worked off by."""
        return {LOOK: self.run}

    def schedule(self) -> Schedule:
        """Return the schedule that looks at what is due: once for all processes."""
        return Schedule(name="subscriptions", every_s=min(_TICK_S, self._find_settings().poll_s), run=self.poll)

    async def run(self, job: Job) -> Ending:
        """Look at what an event told of."""
        try:
            await self.look(Ref(job.source, job.subject or ""))
        except (NotFoundError, UnknownConnectionError, UnknownRouteError) as error:  # it would be the same again
            return Ending(claim=job.claim, state=JobState.DEAD, error=f"{error.code}: {error}", has_failed=True)
        return Ending(claim=job.claim, state=JobState.DONE)

    async def look(self, ref: Ref) -> Subscription:
        """Ask the vendor what a subscription is like, and keep that."""
        asked_at = self._clock.wall()
        subscription = await self._fetch(ref)
        await self.keep(subscription, at=asked_at)
        return subscription

    async def keep(self, subscription: Subscription, *, at: float) -> None:
        """Keep what a subscription is like, unless something newer is known; whose it is stays known."""
        subscription = msgspec.structs.replace(subscription, call=None)
        before = await self._desk.store.find_snapshot(SUBSCRIPTION, subscription.ref.connection, subscription.ref.id)
        if before is not None:
            known = read(before).subscription
            subscription = msgspec.structs.replace(
                subscription, account=subscription.account or known.account, price=subscription.price or known.price
            )
        snapshot = Snapshot(
            kind=SUBSCRIPTION,
            source=subscription.ref.connection,
            key=subscription.ref.id,
            subject=subscription.account or "",
            position=at,
            due_at=self._due_at(subscription),
            body=pack(subscription),
        )
        await self._desk.store.put_snapshots([snapshot])
        for account in {subscription.account, before.subject if before else None}:
            self._entitlements.forget(account or "")

    def _due_at(self, subscription: Subscription) -> float | None:
        if subscription.state is SubscriptionState.CANCELED:
            return None
        now, poll_s = self._clock.wall(), self._find_settings().poll_s
        after_period = (subscription.paid_until or now) + _AFTER_PERIOD_S
        return min(now + poll_s, after_period) if after_period > now else now + poll_s

    async def poll(self) -> None:
        """Look at every subscription that is due, and at the lists of the vendors for those that nobody told of."""
        connections = self._find_connections()
        failed = [error for name in connections if (error := await self._list(name)) is not None]
        while due := await self._desk.store.seek_snapshots(
            Sought(kind=SUBSCRIPTION, due_by=self._clock.wall(), limit=_LOT)
        ):
            errors = await asyncio.gather(*(self._look_if_there(each, connections) for each in due))
            failed += [error for error in errors if error is not None]
        if failed:
            raise failed[0]  # it is tried again, and told of

    async def _look_if_there(self, snapshot: Snapshot, connections: Sequence[str]) -> FairleadError | None:
        """Look at one; where that cannot be done, put it off."""
        error: FairleadError | None = None
        if snapshot.source in connections:
            try:
                await self.look(Ref(snapshot.source, snapshot.key))
            except FairleadError as its:
                error = its
            else:
                return None
        put_off = msgspec.structs.replace(snapshot, due_at=self._clock.wall() + self._find_settings().poll_s)
        await self._desk.store.put_snapshots([put_off])
        return error

    async def _list(self, connection: str) -> FairleadError | None:
        """Look through what was made lately, where that is due, for what no event told of."""
        store, now = self._desk.store, self._clock.wall()
        last = await store.find_snapshot(_LISTED, connection, "")
        if last is not None and now < last.position + self._find_settings().poll_s:
            return None
        query = SubscriptionQuery(since=max(0.0, last.position - _OVERLAP_S) if last else None)
        try:
            while True:
                page = await self._list_page(connection, query)
                for each in page.items:
                    if await store.find_snapshot(SUBSCRIPTION, connection, each.ref.id) is None:
                        await self.keep(each, at=now)
                if page.next is None:
                    break
                query = msgspec.structs.replace(query, cursor=page.next.id)
        except FairleadError as error:
            return error
        await store.put_snapshots([Snapshot(kind=_LISTED, source=connection, key="", position=now)])
        return None
