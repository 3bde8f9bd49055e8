"""Limits that know keys, and the fair line, as a configuration asks for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.config.read import parse_settings
from fairlead.errors import BulkheadFullError, CircuitOpenError, InvalidSettingError, RateLimitedError
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.runtime.connection import Connection
from fairlead.runtime.fair import FairConnection
from fairlead.runtime.wanted import CallOptions, Wanted
from scripted import Gate, World, answer, build_world, plain, turns
from timers import HeldClock

EACH_TENANT = 'rates = [{ requests = 1, per_s = 60.0, burst = 1, per = "tenant" }]'
POINTS = 'rates = [{ requests = 10, per_s = 10.0, burst = 10, counts = "points" }]'
ONE_PLACE = "concurrency = { limit = 1, queue = 20 }"


def world_of(settings: str, line: Any = None) -> tuple[World, HeldClock]:
    clock = HeldClock()
    return build_world(plain(settings=settings), {"shop": line or answer()}, clock=clock), clock


def ask(
    world: World, path: str, *, cost: float = 1.0, operation: str = "test.ask", **options: Any
) -> asyncio.Task[Any]:
    """Begin a call that costs so much."""

    def begin(_: Connection) -> Operation[Response]:
        return (yield Request.get(path, cost=cost))

    candidates = [world.fl.connection("shop")]
    wanted = Wanted(operation=operation, candidates=candidates, begin=begin, deadline_s=1000.0)
    given: CallOptions = options  # type: ignore[assignment]  # a test knows the names
    return asyncio.ensure_future(world.fl._calls.make(wanted, given))


def sent(world: World) -> list[str]:
    return [each.path for each in world.sent("shop")]


async def test_a_tenant_that_is_held_back_delays_no_other() -> None:
    world, clock = world_of(f"{EACH_TENANT}\n{ONE_PLACE}")
    held = [ask(world, f"/a{at}", tenant="a") for at in range(5)]
    await turns()
    await ask(world, "/b", tenant="b")
    assert sent(world) == ["/a0", "/b"]
    clock.advance(60)
    await turns()
    assert sent(world) == ["/a0", "/b", "/a1"]
    for _ in range(3):
        clock.advance(60)
        await turns()
    await asyncio.gather(*held)
    assert clock.monotonic() == 1240
    world.assert_at_rest()


async def test_each_operation_can_have_a_limit_of_its_own() -> None:
    world, _ = world_of(EACH_TENANT.replace("tenant", "operation"))
    held = [ask(world, "/a", operation="test.a", tenant=str(at)) for at in range(2)]
    await turns()
    await ask(world, "/b", operation="test.b")
    assert sent(world) == ["/a", "/b"]
    held[1].cancel()


async def test_a_place_that_comes_free_goes_to_the_next_key_and_not_to_the_flood() -> None:
    gate = Gate()
    world, _ = world_of(f"{EACH_TENANT.replace('60.0', '0.001').replace('burst = 1', 'burst = 99')}\n{ONE_PLACE}", gate)
    calls = [ask(world, f"/a{at}", tenant="a") for at in range(6)]
    await turns()
    calls.append(ask(world, "/b", tenant="b"))
    await turns()
    assert sent(world) == ["/a0"]
    gate.open()
    await asyncio.gather(*calls)
    assert sent(world).index("/b") <= 2
    assert world.transports["shop"].most_under_way == 1
    world.assert_at_rest()


async def test_a_request_of_many_points_is_not_starved_by_those_of_one() -> None:
    world, clock = world_of(POINTS)
    await asyncio.gather(*(ask(world, "/small", tenant="a") for _ in range(10)))
    calls = [ask(world, "/large", cost=10, tenant="b")]
    await turns()
    calls += [ask(world, "/small", tenant="a") for _ in range(30)]
    for _ in range(40):
        clock.advance(1)
        await turns()
    await asyncio.gather(*calls)
    assert sent(world).index("/large") <= 21  # the other key had as many points before it, and no more
    world.assert_at_rest()


async def test_what_can_never_go_is_refused_at_once() -> None:
    world, _ = world_of(POINTS)
    with pytest.raises(RateLimitedError) as caught:
        await ask(world, "/x", cost=11)
    assert caught.value.retry_after_s is None
    assert sent(world) == []


async def test_a_background_call_leaves_the_reserve_and_stands_in_no_line() -> None:
    world, clock = world_of(POINTS.replace('counts = "points"', 'counts = "points", reserve = 0.5'))
    late = [ask(world, "/late", priority="background") for _ in range(7)]
    await turns()
    assert 4 <= len(sent(world)) <= 5  # half of the ten is left to those that somebody waits for
    urgent = [ask(world, "/x") for _ in range(4)]
    await turns()
    assert all(each.done() for each in urgent)
    for _ in range(100):
        clock.advance(1)
        await turns()
    assert all(each.done() for each in late)
    world.assert_at_rest()


async def test_a_key_has_so_many_in_line_and_others_still_have_room() -> None:
    world, clock = world_of(f"{EACH_TENANT}\nconcurrency = {{ limit = 5, queue = 2 }}")
    calls = [ask(world, "/a", tenant="a") for _ in range(3)]
    await turns()
    with pytest.raises(BulkheadFullError):
        await ask(world, "/a", tenant="a")
    others = [ask(world, "/b", tenant="b") for _ in range(3)]
    for _ in range(2):
        await turns()
        clock.advance(60)
    await asyncio.gather(*calls, *others)
    world.assert_at_rest()


async def test_the_longest_wait_ends_also_where_no_place_comes_free() -> None:
    gate = Gate()
    world, clock = world_of(f"{EACH_TENANT}\nconcurrency = {{ limit = 1, queue_s = 5 }}", gate)
    first, second = ask(world, "/a", tenant="a"), ask(world, "/b", tenant="b")
    await turns()
    clock.advance(6)
    await turns()
    assert not second.done()  # it is told to come again, and its deadline lets it
    gate.open()
    clock.advance(60)
    await turns()
    await asyncio.gather(first, second)
    world.assert_at_rest()


async def test_who_is_cancelled_in_line_gives_everything_back() -> None:
    world, clock = world_of(f"{EACH_TENANT}\n{ONE_PLACE}")
    await ask(world, "/a", tenant="a")
    waiting = ask(world, "/gone", tenant="a")
    await turns()
    waiting.cancel()
    await turns()
    clock.advance(60)
    await ask(world, "/a", tenant="a")
    assert sent(world) == ["/a", "/a"]
    world.assert_at_rest()


async def test_a_circuit_that_opened_meanwhile_gives_the_turn_back() -> None:
    world, clock = world_of(f"{EACH_TENANT}\n{ONE_PLACE}")
    await ask(world, "/a", tenant="a")
    waiting = ask(world, "/a", tenant="a")
    await turns()
    world.connection("shop").breaker.force_open()
    clock.advance(60)
    with pytest.raises(CircuitOpenError):
        await waiting
    world.connection("shop").breaker.force_closed()
    await ask(world, "/again", tenant="a")
    world.assert_at_rest()


async def test_after_a_fork_nobody_stands_in_line() -> None:
    world, _ = world_of(f"{EACH_TENANT}\n{ONE_PLACE}")
    calls = [ask(world, "/a", tenant="a") for _ in range(3)]
    await turns()
    connection = world.connection("shop")
    assert isinstance(connection, FairConnection)
    connection.disown()
    assert not connection.line.is_full("a")
    for each in calls:
        each.cancel()
    await ask(world, "/b", tenant="b")


async def test_a_reload_keeps_the_line_where_its_limits_are_the_same() -> None:
    text = plain(settings=EACH_TENANT)
    world, _ = world_of(EACH_TENANT)
    before = world.connection("shop")
    assert isinstance(before, FairConnection)
    await world.fl.reload(parse_settings(text + "\nmax_answer_bytes = 5000\n"))
    after = world.connection("shop")
    assert isinstance(after, FairConnection)
    assert after is not before
    assert after.line is before.line
    assert (after.concurrency, after.rate) == (before.concurrency, before.rate)
    await world.fl.reload(parse_settings(text.replace("60.0", "30.0")))
    changed = world.connection("shop")
    assert isinstance(changed, FairConnection)
    assert changed.line is not before.line
    assert changed.concurrency is not before.concurrency


async def test_a_connection_without_such_limits_has_no_line() -> None:
    world, _ = world_of("rates = [{ requests = 5 }, { requests = 100, per_s = 60 }]")
    assert type(world.connection("shop")) is Connection


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('rates = [{ requests = 1, per = "tenant" }, { requests = 1, per = "operation" }]', "one line"),
        ('rates = [{ requests = 1, counts = "points" }, { requests = 1 }]', "in all of them"),
        ('rate = { requests = 1, per = "tenant", reserve = 0.5 }', "reserve"),
    ],
)
async def test_what_contradicts_itself_is_refused(settings: str, says: str) -> None:
    with pytest.raises(InvalidSettingError, match="rates") as caught:
        world_of(settings)
    assert says in str(caught.value)


async def test_where_limits_are_shared_those_of_keys_are_refused() -> None:
    with pytest.raises(InvalidSettingError, match="each process would keep for itself"):
        build_world(plain(settings=EACH_TENANT) + '\n[state]\nurl = "redis://127.0.0.1:1/0"\n', {"shop": answer()})
