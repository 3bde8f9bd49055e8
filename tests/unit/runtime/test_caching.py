"""Answers are kept as long as the user and the vendor's terms allow, and served stale when nothing fresh can be had."""

import pytest

from fairlead import errors
from fairlead.model.call import CacheUse
from fairlead.observe.events import CallFinished
from fairlead.storage.answers import MemoryAnswers
from scripted import RESET, SOUP, TIMEOUT, answer, build_world, found, plain, recipes, report, route

QUICK = "retry = { max_attempts = 1 }\nbreaker = { min_attempts = 20 }"
ONE = recipes("one", QUICK)


def caching(*names: str, ttl_s: float = 60.0, stale_s: float = 3600.0, entries: int = 10_000) -> str:
    return route(
        *names, settings=f"cache = {{ ttl_s = {ttl_s}, stale_if_error_s = {stale_s}, max_entries = {entries} }}"
    )


async def test_an_answer_serves_again_while_it_is_fresh():
    world = build_world(ONE + caching("one"), {"one": [SOUP]})
    first = await world.fl.recipes.search("soup")
    world.clock.advance(59.9)
    second = await world.fl.recipes.search("soup")
    assert (report(first).cache, report(second).cache) == (CacheUse.MISS, CacheUse.HIT)
    assert second.items == first.items
    assert report(second).age_s == pytest.approx(59.9)
    assert (report(second).attempts, second.served_by, second.is_stale) == ((), "one", False)
    assert report(second).call_id == "call-2"
    assert [each.cache for each in world.told(CallFinished)] == ["miss", "hit"]


async def test_an_answer_is_asked_for_anew_when_it_is_no_longer_fresh():
    world = build_world(ONE + caching("one"), {"one": [SOUP, found("Stew")]})
    await world.fl.recipes.search("soup")
    world.clock.advance(60)
    assert (await world.fl.recipes.search("soup")).items[0].title == "Stew"


async def test_every_operation_and_every_argument_has_an_answer_of_its_own():
    world = build_world(ONE, {"one": lambda _request: found("Soup")})
    for diets, minutes in (((), None), (("vegan",), None), ((), 600), (("vegan", "paleo"), None)):
        page = await world.fl.recipes.search("soup", diets=diets, max_total_time_s=minutes)
        assert report(page).cache is CacheUse.MISS
    assert len(world.sent("one")) == 4


async def test_tenants_never_share_an_answer():
    world = build_world(ONE, {"one": [found("A's"), found("B's"), found("nobody's")]})
    for tenant, title in (("a", "A's"), ("b", "B's"), (None, "nobody's"), ("a", "A's"), ("b", "B's")):
        assert (await world.fl.recipes.search("soup", tenant=tenant)).items[0].title == title
    world.transports["one"].otherwise = RESET
    world.clock.advance(100)
    assert (await world.fl.recipes.search("soup", tenant="b")).items[0].title == "B's"
    with pytest.raises(errors.FairleadError):
        await world.fl.recipes.search("soup", tenant="c")


async def test_without_the_vendors_permission_nothing_is_kept():
    world = build_world(recipes("one", QUICK, may_keep=False), {"one": [SOUP, SOUP, RESET]})
    for _ in range(2):
        assert report(await world.fl.recipes.search("soup")).cache is CacheUse.MISS
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.recipes.search("soup")


async def test_an_answer_of_a_vendor_that_permits_is_kept_beside_one_that_does_not():
    world = build_world(
        recipes("one", QUICK, may_keep=False) + recipes("two", QUICK) + caching("one", "two"),
        {"one": [RESET, SOUP], "two": [found("Stew")]},
    )
    assert (await world.fl.recipes.search("soup")).served_by == "two"
    assert report(await world.fl.recipes.search("soup")).cache is CacheUse.HIT
    world.clock.advance(100)
    assert (await world.fl.recipes.search("soup")).served_by == "one"


async def test_the_vendors_terms_cap_what_the_settings_wish():
    """The vendor allows an hour."""
    world = build_world(ONE + caching("one", ttl_s=7200, stale_s=86_400), {"one": [SOUP, RESET]})
    await world.fl.recipes.search("soup")
    world.clock.advance(3599)
    assert report(await world.fl.recipes.search("soup")).cache is CacheUse.HIT
    world.clock.advance(1)
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.recipes.search("soup")


async def test_a_stale_answer_is_better_than_none_and_says_its_age():
    world = build_world(ONE + caching("one"), {"one": [SOUP, RESET]})
    await world.fl.recipes.search("soup")
    world.clock.advance(1000)
    page = await world.fl.recipes.search("soup")
    assert page.is_stale
    assert report(page).cache is CacheUse.STALE
    assert report(page).age_s == pytest.approx(1000)
    assert page.served_by == "one"
    assert [each.error for each in report(page).attempts] == ["connection_lost"]
    finished = world.told(CallFinished)[-1]
    assert (finished.cache, finished.error, finished.attempts) == ("stale", None, 1)


async def test_a_stale_answer_has_an_end():
    world = build_world(ONE + caching("one", stale_s=500), {"one": [SOUP, RESET, RESET]})
    await world.fl.recipes.search("soup")
    world.clock.advance(499)
    assert (await world.fl.recipes.search("soup")).is_stale
    world.clock.advance(1)
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.recipes.search("soup")


@pytest.mark.parametrize("failure", [TIMEOUT, answer(401), answer(402), answer(429), answer(500), answer(302)])
async def test_whatever_is_no_fault_of_the_request_is_bridged(failure):
    world = build_world(ONE + caching("one"), {"one": [SOUP, failure]})
    await world.fl.recipes.search("soup")
    world.clock.advance(100)
    assert (await world.fl.recipes.search("soup")).is_stale


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (answer(404), errors.NotFoundError),
        (answer(410), errors.NotFoundError),
        (answer(422), errors.InvalidRequestError),
    ],
)
async def test_a_fault_of_the_request_is_never_bridged(failure, kind):
    """The vendor answered: a recipe that was deleted is not served any longer."""
    world = build_world(ONE + caching("one"), {"one": [answer(content={"id": 1, "title": "Soup"}), failure]})
    await world.fl.recipes.fetch("one:1")
    world.clock.advance(100)
    with pytest.raises(kind):
        await world.fl.recipes.fetch("one:1")


async def test_a_fresh_answer_takes_the_place_of_a_stale_one():
    world = build_world(ONE + caching("one"), {"one": [SOUP, RESET, found("Stew"), RESET]})
    titles = []
    for _ in range(4):
        titles.append((await world.fl.recipes.search("soup")).items[0].title)
        world.clock.advance(100)
    assert titles == ["Soup", "Soup", "Stew", "Stew"]


async def test_errors_are_not_kept():
    world = build_world(ONE + caching("one"), {"one": [RESET, SOUP]})
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.recipes.search("soup")
    assert report(await world.fl.recipes.search("soup")).cache is CacheUse.MISS


async def test_the_cache_is_bounded_and_forgets_what_was_not_used_for_longest():
    world = build_world(ONE + caching("one", entries=2), {"one": lambda _request: found("Soup")})
    for text in ("a", "b", "a", "c"):
        await world.fl.recipes.search(text)
    uses = [report(await world.fl.recipes.search(text)).cache for text in ("a", "c", "b")]
    assert uses == [CacheUse.HIT, CacheUse.HIT, CacheUse.MISS]
    store = world.fl.route("recipes").cache.cache.store
    assert isinstance(store, MemoryAnswers)
    assert len(store) == 2


async def test_with_the_cache_off_nothing_is_kept():
    world = build_world(ONE + caching("one", ttl_s=0, stale_s=0), {"one": [SOUP, SOUP, RESET]})
    for _ in range(2):
        assert report(await world.fl.recipes.search("soup")).cache is CacheUse.MISS
    with pytest.raises(errors.ConnectionLostError):
        await world.fl.recipes.search("soup")


async def test_plain_calls_are_never_kept():
    world = build_world(plain(), {"shop": [answer(content=1), answer(content=2), answer(content=3), answer(content=4)]})
    shop = world.fl.http("shop")
    answers = [await call for call in (shop.get("/x"), shop.get("/x"), shop.post("/x"), shop.post("/x"))]
    assert [each.json() for each in answers] == [1, 2, 3, 4]
    assert {report(each).cache for each in answers} == {CacheUse.OFF}


async def test_a_deadline_that_is_over_before_the_answer_is_bridged_as_well():
    world = build_world(ONE + caching("one"), {"one": [SOUP, TIMEOUT]})
    await world.fl.recipes.search("soup")
    world.clock.advance(100)
    page = await world.fl.recipes.search("soup", deadline_s=0.01)
    assert page.is_stale
