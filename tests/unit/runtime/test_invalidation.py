"""What is kept can be forgotten by its tags, and is nobody else's: not another tenant's, not another account's."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead import errors
from fairlead.model.call import CacheUse, Ref
from fairlead.model.secret import Secret
from fairlead.storage.answers import MemoryAnswers
from scripted import CANARY, SOUP, Gate, World, build_world, found, kitchen, recipes, report, route, turns

ONE = recipes("one")


def entries(world: World) -> Mapping[str, Any]:
    """Return what is kept, by its names."""
    store = world.fl.route("recipes").cache.cache.store
    assert isinstance(store, MemoryAnswers)
    return store._entries


async def filled() -> World:
    """Build a world that keeps two searches and two recipes, of two tenants."""
    world = build_world(ONE, {"one": lambda request: kitchen()(request) if "informat" in request.path else SOUP})
    await world.fl.recipes.search("soup")
    await world.fl.recipes.search("soup", tenant="acme")
    await world.fl.recipes.fetch("one:1")
    await world.fl.recipes.fetch("one:2")
    return world


async def kept(world: World) -> set[str]:
    """Return what is still kept, and keep it no longer."""
    calls = {
        "search": world.fl.recipes.search("soup"),
        "acme": world.fl.recipes.search("soup", tenant="acme"),
        "1": world.fl.recipes.fetch("one:1"),
        "2": world.fl.recipes.fetch("one:2"),
    }
    return {name for name, call in calls.items() if report(await call).cache is CacheUse.HIT}


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        ([Ref("one", "1")], {"search", "acme", "2"}),
        (["one:1", "one:2"], {"search", "acme"}),
        (["one:0"], {"1", "2"}),  # what a page has in it
        (["recipes.search"], {"1", "2"}),
        (["recipes"], set()),
        (["one"], set()),
        (["tenant:acme"], {"search", "1", "2"}),
        (["two", "soup", ""], {"search", "acme", "1", "2"}),
        ([], {"search", "acme", "1", "2"}),
    ],
)
async def test_a_tag_forgets_what_has_it(tags, left):
    world = await filled()
    assert await world.fl.invalidate(*tags) == 4 - len(left)
    assert await kept(world) == left


async def test_an_answer_from_before_is_not_kept_after():
    gate = Gate()
    world = build_world(ONE, {"one": [gate, found("After")]})
    asking = asyncio.create_task(world.fl.recipes.search("soup"))
    await gate.reached()
    await world.fl.invalidate("recipes.search")
    gate.open(found("Before"))
    assert (await asking).items[0].title == "Before"
    page = await world.fl.recipes.search("soup")
    assert (page.items[0].title, report(page).cache) == ("After", CacheUse.MISS)


async def test_who_asks_after_does_not_join_who_asked_before():
    gate = Gate()
    world = build_world(ONE, {"one": [gate, found("After")]})
    before = [asyncio.create_task(world.fl.recipes.search("soup")) for _ in range(3)]
    await gate.reached()
    await world.fl.invalidate(Ref("one", "0"))
    assert (await world.fl.recipes.search("soup")).items[0].title == "After"
    gate.open(found("Before"))
    assert {(await each).items[0].title for each in before} == {"Before"}
    assert (await world.fl.recipes.search("soup")).items[0].title == "After"
    world.assert_at_rest()


async def test_those_who_were_parted_can_still_all_leave():
    gate = Gate()
    world = build_world(ONE, {"one": [gate, SOUP]})
    callers = [asyncio.create_task(world.fl.recipes.search("soup")) for _ in range(2)]
    await gate.reached()
    await world.fl.invalidate("one")
    for each in callers:
        each.cancel()
    await turns()
    assert world.transports["one"].under_way == 0
    world.assert_at_rest()


async def test_other_credentials_are_another_account():
    world = build_world(ONE, {"one": [found("Ours"), found("Theirs")]})
    assert (await world.fl.recipes.search("soup")).items[0].title == "Ours"
    world.connection("one").credentials = {"api_key": Secret("another")}
    assert (await world.fl.recipes.search("soup")).items[0].title == "Theirs"
    world.connection("one").credentials = {"api_key": Secret(CANARY)}
    assert (await world.fl.recipes.search("soup")).items[0].title == "Ours"


async def test_credentials_that_are_changed_in_place_are_seen_too():
    world = build_world(ONE, {"one": [found("Ours"), found("Theirs")]})
    credentials = dict(world.connection("one").credentials)
    world.connection("one").credentials = credentials
    await world.fl.recipes.search("soup")
    credentials["api_key"] = Secret("another")
    assert (await world.fl.recipes.search("soup")).items[0].title == "Theirs"


async def test_names_and_tags_give_nothing_away():
    world = build_world(ONE, {"one": SOUP})
    await world.fl.recipes.search("a secret soup", tenant="acme")
    store = entries(world)
    (name,) = store
    assert len(name) == 48
    assert set(name) <= set("0123456789abcdef")
    for text in (CANARY, "secret"):
        assert text not in repr(store)
    other = build_world(ONE, {"one": SOUP})
    await other.fl.recipes.search("a secret soup", tenant="acme")
    assert list(entries(other)) != [name]  # the key of a client is its own


async def test_an_operation_has_ages_of_its_own():
    settings = "[routes.recipes.cache.operations.fetch]\nttl_s = 600\n"
    world = build_world(ONE + route("one") + settings, {"one": lambda request: kitchen()(request) if "informat" in
                                                        request.path else SOUP})  # fmt: skip
    await world.fl.recipes.search("soup")
    await world.fl.recipes.fetch("one:1")
    world.clock.advance(599)
    uses = [
        report(each).cache for each in (await world.fl.recipes.search("soup"), await world.fl.recipes.fetch("one:1"))
    ]
    assert uses == [CacheUse.MISS, CacheUse.HIT]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("fetsh = { ttl_s = 5 }", r"routes.recipes.cache.operations.fetsh is no operation. Did you mean 'fetch'?"),
        ("fetch = { ttl_s = 50, stale_while_revalidate_s = 50 }", "operations.fetch.stale_while_revalidate_s is not"),
        ("fetch = { ttl = 50 }", "operations.fetch.ttl is not a setting"),
    ],
)
def test_settings_of_operations_are_checked(settings, said):
    with pytest.raises(errors.ConfigError) as caught:
        build_world(ONE + route("one") + f"[routes.recipes.cache.operations]\n{settings}", {"one": []})
    assert said in str(caught.value)
