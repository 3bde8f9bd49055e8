"""Quotas: reserved before the call, settled after it, never overspent, and by the vendor's own calendar."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidArgumentError
from fairlead.resilience.quota import Allowance, Quota, Reservation, Spent
from fairlead.spec.provider import QuotaReset
from fairlead.storage.quotas import MemoryQuotas

DAY = Allowance(points=50, reset=QuotaReset.MIDNIGHT_UTC, name="day")
MONTH = Allowance(points=60, reset=QuotaReset.MONTH_UTC, name="month")


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


NOON = at("2026-01-31T12:00:00")


async def taken(quota: Quota, now: float, points: float) -> Reservation:
    reservation = await quota.reserve(now, points)
    assert isinstance(reservation, Reservation)
    return reservation


async def test_what_is_spent_is_refused_until_the_vendors_own_reset() -> None:
    quota = Quota(MemoryQuotas(), "acme", DAY)
    await taken(quota, NOON, 50)
    assert await quota.reserve(NOON) == Spent("day", 12 * 3600)
    assert await quota.reserve(at("2026-01-31T23:59:59")) == Spent("day", 1)
    await taken(quota, at("2026-02-01T00:00:00"), 50)


async def test_a_month_begins_on_its_first_day() -> None:
    quota = Quota(MemoryQuotas(), "acme", MONTH)
    await taken(quota, NOON, 60)
    assert await quota.reserve(NOON) == Spent("month", 12 * 3600)
    await taken(quota, at("2026-02-01T00:00:00"), 60)
    assert await quota.reserve(at("2026-02-28T23:00:00")) == Spent("month", 3600)


async def test_all_allowances_or_none() -> None:
    quota = Quota(MemoryQuotas(), "acme", DAY, MONTH)
    await taken(quota, at("2026-01-30T12:00:00"), 45)
    refused = await quota.reserve(NOON, 20)
    assert isinstance(refused, Spent)
    assert refused.name == "month"
    assert await quota.left(NOON, name="day") == 50  # the day was not charged for it
    await taken(quota, NOON, 15)


async def test_settling_counts_what_it_did_cost() -> None:
    quota = Quota(MemoryQuotas(), "acme", DAY)
    cheap, dear = await taken(quota, NOON, 10), await taken(quota, NOON, 10)
    await quota.settle(cheap, 1.5)
    await quota.settle(cheap, 0)  # once is enough
    assert await quota.left(NOON, name="day") == 38.5
    await quota.settle(dear, 60)
    assert await quota.left(NOON, name="day") == 0


async def test_what_was_not_done_costs_nothing() -> None:
    quota = Quota(MemoryQuotas(), "acme", DAY, MONTH)
    reservation = await taken(quota, NOON, 50)
    await quota.give_back(reservation)
    await quota.give_back(reservation)
    await taken(quota, NOON, 50)


async def test_a_call_across_midnight_is_settled_in_its_own_day() -> None:
    quota = Quota(MemoryQuotas(), "acme", DAY)
    reservation = await taken(quota, at("2026-01-31T23:59:59"), 10)
    morning = at("2026-02-01T00:00:01")
    await taken(quota, morning, 50)
    await quota.settle(reservation, 4)
    assert isinstance(await quota.reserve(morning), Spent)


async def test_the_vendor_is_believed_when_it_says_less() -> None:
    quota = Quota(MemoryQuotas(), "acme", DAY)
    await taken(quota, NOON, 5)
    await quota.note_left(NOON, 3.25, name="day")
    assert await quota.left(NOON, name="day") == 3.25
    await quota.note_left(NOON, 40, name="day")  # we know of more, some of it under way
    assert await quota.left(NOON, name="day") == 3.25


async def test_background_calls_leave_the_reserve() -> None:
    quota = Quota(MemoryQuotas(), "acme", Allowance(points=10, reset=QuotaReset.MIDNIGHT_UTC, reserve=0.2))
    assert isinstance(await quota.reserve(NOON, 8, is_background=True), Reservation)
    assert isinstance(await quota.reserve(NOON, 1, is_background=True), Spent)
    assert isinstance(await quota.reserve(NOON, 2), Reservation)


async def test_accounts_do_not_share() -> None:
    store = MemoryQuotas()
    await taken(Quota(store, "acme", DAY), NOON, 50)
    await taken(Quota(store, "other", DAY), NOON, 50)
    assert isinstance(await Quota(store, "acme", DAY).reserve(NOON), Spent)  # as a second process would


async def test_a_name_that_no_allowance_has() -> None:
    with pytest.raises(KeyError):
        await Quota(MemoryQuotas(), "acme", DAY).left(NOON, name="week")


@pytest.mark.parametrize("given_", [{}, {"reset": QuotaReset.MONTH_UTC, "rolling_s": 5.0}])
def test_an_allowance_has_one_kind_of_period(given_: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        Allowance(points=1, **given_)  # type: ignore[arg-type]


@given(
    gaps=st.lists(st.tuples(st.floats(0, 9000), st.sampled_from([1.0, 2.5, 7.0])), min_size=1, max_size=200),
    began=st.floats(0, 2e9),
)
def test_a_rolling_day_is_never_overspent(gaps: list[tuple[float, float]], began: float) -> None:
    async def run() -> list[tuple[float, float]]:
        quota = Quota(MemoryQuotas(), "ses", Allowance(points=40, rolling_s=86_400))
        now, spent = began, list[tuple[float, float]]()
        for gap, points in gaps:
            now += gap
            outcome = await quota.reserve(now, points)
            if isinstance(outcome, Reservation):
                spent.append((now, points))
            else:
                assert 0 < outcome.retry_after_s <= 1800
        return spent

    spent = asyncio.run(run())
    for end, _ in spent:
        assert sum(points for when, points in spent if end - 86_400 < when <= end) <= 40 + 1e-6


async def test_a_rolling_quota_does_not_come_back_before_its_time() -> None:
    quota = Quota(MemoryQuotas(), "ses", Allowance(points=5, rolling_s=48.0))
    await taken(quota, 0.9, 5)
    assert isinstance(await quota.reserve(48.0), Spent)
    await taken(quota, 49.0, 5)


async def test_a_rolling_quota_comes_back_in_time() -> None:
    quota, now, served = Quota(MemoryQuotas(), "ses", Allowance(points=480, rolling_s=4800)), 0.0, 0
    while now < 48_000:
        served += isinstance(await quota.reserve(now), Reservation)
        now += 5.0
    assert served >= 0.97 * 4800


class Slow:
    """A store like one across a network: others get in between any two steps."""

    def __init__(self, store: MemoryQuotas, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)  # noqa: S311  # chance in a test

    async def _travel(self) -> None:
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)

    async def add(self, key: str, points: float, *, slot: int, slots: int, most: float) -> bool:
        await self._travel()
        is_counted = await self._store.add(key, points, slot=slot, slots=slots, most=most)
        await self._travel()
        return is_counted

    async def correct(self, key: str, points: float, *, slot: int, slots: int) -> None:
        await self._travel()
        await self._store.correct(key, points, slot=slot, slots=slots)

    async def raise_to(self, key: str, points: float, *, slot: int, slots: int) -> None:
        await self._travel()
        await self._store.raise_to(key, points, slot=slot, slots=slots)

    async def used(self, key: str, *, slot: int, slots: int) -> float:
        await self._travel()
        return await self._store.used(key, slot=slot, slots=slots)


@pytest.mark.parametrize("seed", range(5))
async def test_many_processes_never_overspend_and_leave_nothing_unused(seed: int) -> None:
    """Eight processes of fifty callers, of whom some fail, and some cost less than was reserved."""
    chance = random.Random(seed)  # noqa: S311
    store = MemoryQuotas()
    truth = {"day": 0.0, "month": 0.0}
    allowances = (
        Allowance(points=300, reset=QuotaReset.MIDNIGHT_UTC, name="day"),
        Allowance(points=320, reset=QuotaReset.MONTH_UTC, name="month"),
    )

    async def call(quota: Quota) -> None:
        most = chance.choice([1.0, 2.0, 4.5])
        for _ in range(4):
            outcome = await quota.reserve(NOON, most)
            if isinstance(outcome, Spent):
                continue
            await asyncio.sleep(0)
            cost = chance.choice([0.0, most / 2, most])
            for name in truth:
                truth[name] += cost
            assert truth["day"] <= 300
            await quota.settle(outcome, cost)

    quotas = [Quota(Slow(store, seed + at), "acme", *allowances) for at in range(8)]
    await asyncio.gather(*(call(quota) for quota in quotas for _ in range(50)))
    while isinstance(await quotas[0].reserve(NOON, 0.25), Reservation):  # what was given back can be had
        truth = {name: used + 0.25 for name, used in truth.items()}
    assert truth["day"] == 300
    assert await quotas[0].left(NOON, name="day") == pytest.approx(300 - truth["day"])
    assert await quotas[0].left(NOON, name="month") == pytest.approx(320 - truth["month"])
