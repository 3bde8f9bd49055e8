"""What is known of subscriptions comes to the vendor's truth, whatever becomes of the events; and what it grants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.capabilities.subscriptions.subscription import Subscription, SubscriptionQuery, SubscriptionState
from fairlead.config.subscriptions import Plan, Subscriptions
from fairlead.errors import NotFoundError, StorageError, UnavailableError
from fairlead.model.call import Ref
from fairlead.model.event import Event
from fairlead.model.page import Page
from fairlead.runtime.consequences import NOTHING, Consequences, Followed
from fairlead.runtime.desk import Desk
from fairlead.runtime.entitlements import REFRESH_S, Entitlements, holds_until
from fairlead.runtime.ports import Ports
from fairlead.runtime.upkeep import LOOK, Upkeep, look_at
from fairlead.storage.jobs import JobState, Query
from fairlead.storage.sqlite import SqliteJobs
from fairlead.testing.clock import NOON, FakeClock

DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
SETTINGS = Subscriptions(
    plans={
        "premium": Plan(prices={"mine": "p1", "other": "q1"}),
        "team": Plan(prices={"mine": "p2"}, grants=["premium", "seats"]),
    },
    poll_s=600.0,
)


def made(state: SubscriptionState = SubscriptionState.ACTIVE, **more: object) -> Subscription:
    fields = {
        "ref": Ref("mine", "s1"),
        "state": state,
        "vendor_state": "x",
        "account": "ada",
        "price": "p1",
        "paid_until": NOON + MONTH_S,
        **more,
    }
    return Subscription(**fields)  # type: ignore[arg-type]  # as written above


class Vendor:
    """Subscriptions as the vendor has them; it can be down."""

    def __init__(self) -> None:
        self.has: dict[str, Subscription] = {}
        self.is_down = False
        self.looks = 0

    async def fetch(self, ref: Ref) -> Subscription:
        self.looks += 1
        if self.is_down:
            raise UnavailableError
        if ref.id not in self.has:
            raise NotFoundError
        return self.has[ref.id]

    async def list_page(self, connection: str, query: SubscriptionQuery) -> Page[Subscription]:
        if self.is_down:
            raise UnavailableError
        every = sorted(self.has)
        at = int(query.cursor or 0)
        more = Ref(connection, str(at + 2)) if at + 2 < len(every) else None
        return Page(items=tuple(self.has[each] for each in every[at : at + 2]), next=more)


class World:
    def __init__(self, desk: Desk, clock: FakeClock) -> None:
        self.desk, self.clock, self.vendor = desk, clock, Vendor()
        self.entitlements = self.another()
        self.upkeep = Upkeep(
            desk,
            self.entitlements,
            fetch=self.vendor.fetch,
            list_page=self.vendor.list_page,
            find_connections=lambda: ["mine"],
            find_settings=lambda: SETTINGS,
        )

    def another(self) -> Entitlements:
        """Return the answers of another process."""
        return Entitlements(self.desk.store, self.clock, lambda: SETTINGS)

    async def hear(self, kind: str, key: str, subject: str = "s1") -> None:
        """Take an event, and do what follows from it."""
        job = look_at(Event(type=kind, subject=subject), "mine", key, now=self.clock.wall())
        assert job is not None
        await self.desk.store.add([job])
        for each in await self.desk.store.claim([LOOK], "me", lease_s=30, limit=10):
            await self.desk.store.finish(await self.upkeep.run(each))


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    clock = FakeClock()
    store = SqliteJobs(folder / "f.db", clock=clock)
    try:
        yield World(Desk(store, Ports(clock=clock)), clock)
    finally:
        await store.close()


async def test_an_event_has_the_vendor_asked_and_what_it_says_is_known_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        assert not await it.entitlements.is_active("ada", "premium")
        it.vendor.has["s1"] = made()
        await it.hear("subscription.started", "e1")
        assert await it.entitlements.is_active("ada", "premium")
        assert not await it.entitlements.is_active("ada", "seats")
        assert not await it.entitlements.is_active("bob", "premium")
        it.vendor.has["s1"] = made(SubscriptionState.CANCELED)
        await it.hear("subscription.canceled", "e2")
        assert not await it.entitlements.is_active("ada", "premium")


async def test_an_event_that_asks_for_a_look_wakes_whoever_looks_and_another_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        woken: list[str] = []

        async def settle(*_: object, **__: object) -> bool:
            return False

        consequences = Consequences(it.desk.store, settle, lambda: woken.append("calls"))
        await consequences.follow("mine", NOTHING, ())
        assert woken == []
        job = look_at(Event(type="subscription.changed", subject="s1"), "mine", "e1", now=NOON)
        assert job is not None
        await consequences.follow("mine", Followed(jobs=(job,)), await it.desk.store.add([job]))
        assert woken == ["calls"]


async def test_what_a_late_look_says_does_not_overwrite_a_newer_one(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.upkeep.keep(made(SubscriptionState.CANCELED), at=NOON + 2)
        await it.upkeep.keep(made(), at=NOON + 1)
        assert not await it.entitlements.is_active("ada", "premium")


async def test_what_no_event_told_of_is_found_within_the_interval(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        for at in range(5):
            it.vendor.has[f"s{at}"] = made(ref=Ref("mine", f"s{at}"), account=f"a{at}")
        await it.upkeep.poll()
        assert all([await it.entitlements.is_active(f"a{at}", "premium") for at in range(5)])
        it.vendor.has["s3"] = made(SubscriptionState.CANCELED, ref=Ref("mine", "s3"), account="a3")
        looks = it.vendor.looks
        await it.upkeep.poll()
        assert it.vendor.looks == looks  # nothing is due yet
        it.clock.advance(SETTINGS.poll_s)
        await it.upkeep.poll()
        assert not await it.entitlements.is_active("a3", "premium")
        assert it.vendor.looks == looks + 5
        it.clock.advance(SETTINGS.poll_s)
        await it.upkeep.poll()
        assert it.vendor.looks == looks + 9  # what is over is not looked at any more


async def test_it_goes_on_answering_while_the_vendor_is_down_and_says_how_old_that_is(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.vendor.has["s1"] = made()
        await it.hear("subscription.started", "e1")
        it.vendor.is_down = True
        it.clock.advance(SETTINGS.poll_s)
        with pytest.raises(UnavailableError):
            await it.upkeep.poll()
        found = await it.entitlements.check("ada", "premium")
        assert (found.is_active, found.age_s, found.subscription) == (True, SETTINGS.poll_s, Ref("mine", "s1"))
        it.clock.advance(MONTH_S + SETTINGS.grace_s - SETTINGS.poll_s - 1)
        assert await it.entitlements.is_active("ada", "premium")
        it.clock.advance(1)
        assert not await it.entitlements.is_active("ada", "premium")


async def test_one_that_cannot_be_looked_at_does_not_keep_the_others(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.upkeep.keep(made(ref=Ref("gone", "s0"), account="zoe"), at=NOON)
        await it.upkeep.keep(made(ref=Ref("mine", "lost"), account="eve"), at=NOON)
        it.vendor.has["s1"] = made()
        await it.upkeep.keep(made(SubscriptionState.INCOMPLETE), at=NOON)
        it.clock.advance(SETTINGS.poll_s)
        with pytest.raises(NotFoundError):
            await it.upkeep.poll()
        assert await it.entitlements.is_active("ada", "premium")


async def test_an_event_of_a_subscription_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.hear("subscription.started", "e1")
        (job,) = await it.desk.store.list(Query(kind=LOOK))
        assert (job.state, job.error) == (JobState.DEAD, "not_found: The vendor has no such thing.")


async def test_another_process_sees_a_change_within_a_second(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        other = it.another()
        assert not await other.is_active("ada", "premium")
        await it.upkeep.keep(made(), at=NOON)
        it.clock.advance(REFRESH_S)
        assert await other.is_active("ada", "premium")


async def test_what_is_known_holds_on_while_the_store_is_away(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.upkeep.keep(made(), at=NOON)
        assert await it.entitlements.is_active("ada", "premium")
        await it.desk.store.close()
        (tmp_path / "f.db").unlink()
        (tmp_path / "f.db").mkdir()
        it.clock.advance(REFRESH_S)
        assert await it.entitlements.is_active("ada", "premium")
        with pytest.raises(StorageError):
            await it.entitlements.is_active("nobody", "premium")


async def test_whose_it_is_stays_known_where_the_vendor_has_no_place_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.upkeep.keep(made(), at=NOON)
        it.vendor.has["s1"] = made(account=None)
        await it.hear("subscription.changed", "e1")
        assert await it.entitlements.is_active("ada", "premium")


@pytest.mark.parametrize(
    ("subscription", "until"),
    [
        (made(), NOON + MONTH_S + SETTINGS.grace_s),
        (made(paid_until=None), float("inf")),
        (made(ends_at_period_end=True), NOON + MONTH_S),
        (made(SubscriptionState.TRIALING), NOON + MONTH_S + SETTINGS.grace_s),
        (made(SubscriptionState.PAST_DUE, paid_until=NOON), NOON + SETTINGS.grace_s),
        (made(SubscriptionState.PAUSED), NOON + MONTH_S),
        (made(SubscriptionState.INCOMPLETE), 0.0),
        (made(SubscriptionState.CANCELED), 0.0),
    ],
)
def test_until_when_a_subscription_grants(subscription: Subscription, until: float) -> None:
    assert holds_until(subscription, SETTINGS.grace_s) == until


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_loss_order_and_repeat_of_events_leads_to_the_vendors_state(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(_any_order(seed, tmp_path_factory.mktemp("any")))


async def _any_order(seed: int, folder: Path) -> None:
    chance = Random(seed)  # noqa: S311  # a test's
    async with world(folder) as it:
        events: list[tuple[str, str]] = []
        for step in range(12):
            subject = f"s{chance.randrange(3)}"
            before = it.vendor.has.get(subject)
            is_over = before is not None and before.state is SubscriptionState.CANCELED  # which no vendor takes back
            state = SubscriptionState.CANCELED if is_over else chance.choice(list(SubscriptionState))
            it.vendor.has[subject] = made(state, ref=Ref("mine", subject), account=subject)
            events.append((f"e{step}", subject))
            it.clock.advance(1)
            if chance.random() < 0.5:
                heard = chance.sample(events, k=min(len(events), 3))
                for key, whose in heard:
                    await it.hear("subscription.changed", key, whose)
        it.clock.advance(SETTINGS.poll_s)
        await it.upkeep.poll()
        for subject, truth in it.vendor.has.items():
            granted = it.clock.wall() < holds_until(truth, SETTINGS.grace_s)
            over = truth.state is SubscriptionState.CANCELED
            assert await it.entitlements.is_active(subject, "premium") == (granted and not over)
