"""New settings under calls that are under way: what is kept, what is closed, and what a mistake changes."""

from __future__ import annotations

import asyncio

import pytest

from fairlead import errors
from fairlead.config.read import parse_settings
from fairlead.config.settings import Settings
from fairlead.model.call import CacheUse
from fairlead.observe.events import ConfigRejected, ConfigReloaded
from fairlead.resilience.breaker import State
from fairlead.resilience.health import Condition
from fairlead.runtime.fairlead import Fairlead
from fairlead.testing.clock import FakeClock
from scripted import (
    CANARY,
    ENVIRONMENT,
    RESET,
    SOUP,
    Gate,
    ScriptedTransport,
    Slow,
    World,
    answer,
    build_world,
    plain,
    recipes,
    report,
    route,
    turns,
)

TWO = recipes("one") + recipes("two") + route("one", "two")
SETTINGS = "retry = { max_attempts = 1 }\nbreaker = { window = 2, min_attempts = 2, open_s = 5.0 }"


def settings(text: str) -> Settings:
    return parse_settings(text, source="new.toml")


def build(text: str = TWO) -> World:
    return build_world(text, {name: SOUP for name in ("one", "two", "three", "shop")})  # noqa: C420  # each its own


def closed(world: World) -> set[str]:
    return {name for name, transport in world.transports.items() if transport.is_closed}


async def reload(world: World, text: str) -> ConfigReloaded:
    return await world.fl.reload(settings(text), source="new.toml")


# --- What goes on -------------------------------------------------------------------------------------------------


async def test_what_did_not_change_is_the_same_connection() -> None:
    world = build()
    before = dict(world.fl.connections)
    told = await reload(world, TWO.replace("'one', 'two'", "'two', 'one'"))
    assert dict(world.fl.connections) == before
    assert told == ConfigReloaded(source="new.toml", added=(), changed=(), removed=())
    assert world.told(ConfigReloaded) == [told]
    assert (await world.fl.recipes.search("soup")).served_by == "two"
    assert not any(each.is_closed for each in world.transports.values())


async def test_whoever_holds_on_to_a_facade_sees_the_new_settings() -> None:
    world = build(TWO + plain())
    facade, shop = world.fl.recipes, world.fl.http("shop")
    await facade.search("soup")
    told = await reload(world, recipes("three") + plain(settings="retry = { max_attempts = 1 }"))
    assert (told.added, told.changed, told.removed) == (("three",), ("shop",), ("one", "two"))
    assert (await facade.search("soup")).served_by == "three"
    assert shop.connection is world.connection("shop")
    assert shop.connection.retry.max_attempts == 1
    await reload(world, recipes("three"))
    with pytest.raises(errors.UnknownConnectionError, match="There is no connection 'shop'"):
        await shop.get("/")


async def test_new_policies_are_applied_and_what_was_learnt_is_kept() -> None:
    text = recipes("one", SETTINGS) + recipes("two")
    world = build(text)
    world.transports["one"].otherwise = Slow(0.25, SOUP)
    await world.fl.recipes.search("bread")
    world.transports["one"].otherwise = RESET
    for word in ("soup", "pie"):
        await world.fl.recipes.search(word)
    old = world.connection("one")
    assert old.breaker.state is State.OPEN
    await reload(world, text.replace("max_attempts = 1", "max_attempts = 2"))
    new = world.connection("one")
    assert new is not old
    assert new.retry.max_attempts == 2
    assert new.breaker.state is State.OPEN
    assert new.usual_s == pytest.approx(0.25)
    assert (new.transport, new.rate, new.health) == (old.transport, old.rate, old.health)
    assert "one" not in closed(world)
    assert (await world.fl.recipes.search("cake")).served_by == "two"


async def test_a_strategy_whose_own_settings_changed_begins_anew() -> None:
    world = build(recipes("one", SETTINGS) + recipes("two"))
    old = world.connection("one")
    changed = SETTINGS.replace("open_s = 5.0", "open_s = 9.0") + "\nhealth = { rise = 5 }"
    await reload(world, recipes("one", changed) + recipes("two"))
    new = world.connection("one")
    assert new.breaker is not old.breaker
    assert new.health is not old.health
    assert new.health.condition is Condition.UP
    assert new.rate is old.rate


async def test_a_pause_outlives_every_change_of_policy() -> None:
    world = build()
    world.connection("one").pause.begin(600.0, "quota_exhausted", world.clock.monotonic())
    await reload(world, TWO.replace("requests = 100000", "requests = 5"))
    assert (await world.fl.recipes.search("soup")).served_by == "two"


async def test_another_account_is_a_stranger() -> None:
    world = build()
    world.connection("one").pause.begin(600.0, "quota_exhausted", world.clock.monotonic())
    await world.fl.recipes.search("soup")
    world.fl._world.sources._environment = {**ENVIRONMENT, "KEY": "another"}  # type: ignore[attr-defined]
    told = await reload(world, TWO)
    assert told.changed == ("one", "two")
    page = await world.fl.recipes.search("soup")
    assert (page.served_by, report(page).cache) == ("one", CacheUse.MISS)
    assert dict(world.sent("one")[-1].headers)["x-api-key"] == "another"


async def test_kept_answers_outlive_a_reload() -> None:
    world = build()
    await world.fl.recipes.search("soup")
    await reload(world, TWO + plain())
    assert report(await world.fl.recipes.search("soup")).cache is CacheUse.HIT
    await reload(world, TWO + "cache = { ttl_s = 0 }")
    assert report(await world.fl.recipes.search("soup")).cache is CacheUse.MISS


# --- What ends ----------------------------------------------------------------------------------------------------


async def test_a_removed_connection_is_closed_when_its_last_call_is_done() -> None:
    gate = Gate()
    world = build()
    world.transports["one"].otherwise = gate
    calls = [asyncio.create_task(world.fl.recipes.search(word)) for word in ("soup", "pie")]
    await gate.reached()
    await turns()
    told = await reload(world, recipes("two"))
    assert told.removed == ("one",)
    assert (await world.fl.recipes.search("bread")).served_by == "two"
    assert "one" not in closed(world)
    gate.open()
    assert {(await call).served_by for call in calls} == {"one"}
    await turns()
    assert "one" in closed(world)
    assert "two" not in closed(world)


async def test_one_that_nobody_uses_is_closed_at_once() -> None:
    world = build()
    await reload(world, recipes("two"))
    await turns()
    assert "one" in closed(world)


async def test_a_call_that_waits_to_try_again_finishes_on_the_old_connection() -> None:
    world = build(plain())
    world.transports["shop"].lines = [RESET, answer()]
    waiting = Gate()

    async def sleep(seconds: float) -> None:
        world.clock.advance(seconds)
        await waiting._wait()

    world.clock.sleep = sleep  # type: ignore[method-assign]
    call = asyncio.create_task(world.fl.http("shop").get("/"))
    await waiting.reached()
    await reload(world, recipes("one"))
    await turns()
    world.transports["shop"].is_closed = False
    waiting.open()
    assert (await call).status == 200
    await turns()
    assert "shop" in closed(world)  # what it has opened again is closed too


async def test_sockets_that_two_generations_share_outlive_the_first_and_not_the_last() -> None:
    gate = Gate()
    world = build(plain())
    world.transports["shop"].lines = [gate]
    call = asyncio.create_task(world.fl.http("shop").get("/"))
    await gate.reached()
    await reload(world, plain(settings="retry = { max_attempts = 1 }"))
    await turns()
    await reload(world, recipes("one"))
    await turns()
    assert "shop" not in closed(world)  # the first generation's call is still there
    gate.open(answer())
    assert (await call).status == 200
    await turns()
    assert "shop" in closed(world)


async def test_at_the_end_what_was_replaced_is_closed_too() -> None:
    gate = Gate()
    world = build(plain())
    world.transports["shop"].lines = [gate]
    call = asyncio.create_task(world.fl.http("shop").get("/"))
    await gate.reached()
    await reload(world, recipes("one"))
    await world.fl.close()
    assert "shop" in closed(world)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


# --- What is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (TWO.replace("env:KEY", "env:GONE"), "unresolved_reference", "connections.one.credentials.api_key"),
        (TWO.replace("'one', 'two'", "'one', 'three'"), "invalid_setting", "names 'three', which is no connection"),
        (recipes("one") + recipes("two", "base_url_ = 1").replace("base_url_ = 1", "plan = 'none'"), "invalid_setting",
         "connections.two.plan"),
        (TWO.replace('"spoonacular"', '"nobody"'), "unknown_provider", "connections.one.provider"),
    ],
)  # fmt: skip
async def test_a_mistake_changes_nothing_and_is_told(text: str, code: str, said: str) -> None:
    world = build()
    before, settings_before = dict(world.fl.connections), world.fl.settings
    with pytest.raises(errors.FairleadError) as caught:
        await reload(world, text)
    assert said in str(caught.value)
    assert dict(world.fl.connections) == before
    assert world.fl.settings is settings_before
    assert world.told(ConfigRejected) == [ConfigRejected(source="new.toml", error=code, message=str(caught.value))]
    assert world.told(ConfigReloaded) == []
    assert CANARY not in str(world.events)
    assert (await world.fl.recipes.search("soup")).served_by == "one"


async def test_a_file_is_read_anew(tmp_path) -> None:
    world = build()
    path = tmp_path / "fairlead.toml"
    path.write_text(recipes("two"))
    assert (await world.fl.reload_from(path)).removed == ("one",)
    path.write_text("connections = [")
    with pytest.raises(errors.ConfigFileError):
        await world.fl.reload_from(path)
    with pytest.raises(errors.ConfigFileError):
        await world.fl.reload_from(tmp_path / "gone.toml")
    assert [each.error for each in world.told(ConfigRejected)] == ["config_file", "config_file"]
    assert list(world.fl.connections) == ["two"]


async def test_what_needs_a_restart_is_said() -> None:
    world = build()
    told = await reload(world, TWO + "[gateway]\nport = 9000")
    assert told.needs_restart == ("gateway.port",)
    told = await reload(world, TWO + "[gateway]\nport = 9000\n[storage.retention]\ncalls_done_s = 60")
    assert told.needs_restart == ()
    told = await reload(world, TWO + '[gateway]\nport = 9000\n[storage]\nurl = "elsewhere.db"')
    assert told.needs_restart == ("storage",)


async def test_a_wrong_file_opens_nothing() -> None:
    opened = []

    def connect(options):
        opened.append(ScriptedTransport(FakeClock()))
        return opened[-1]

    with pytest.raises(errors.InvalidSettingError):
        Fairlead(settings(TWO.replace("'one', 'two'", "'one', 'three'")), environment=ENVIRONMENT, connect=connect)
    assert not any(each.sent for each in opened)


async def test_a_call_that_comes_late_is_not_cut_off() -> None:
    """It had chosen its connection before the reload, and sends at the very moment in which that is closed."""
    gate = Gate()
    world = build(plain())
    world.transports["shop"].lines = [gate]
    old = world.connection("shop")
    await reload(world, recipes("one"))  # nothing is under way: what closes it is on its way
    call = asyncio.create_task(world.fl.http(old).get("/"))
    old.usage.enter()
    await turns()
    assert "shop" not in closed(world)
    old.usage.leave()
    await gate.reached()
    gate.open(answer())
    assert (await call).status == 200
    await turns()
    assert "shop" in closed(world)
