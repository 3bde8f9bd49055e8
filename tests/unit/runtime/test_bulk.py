"""Many requests at one connection: a few at a time, failures as data, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from fairlead import errors
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect
from fairlead.runtime.bulk import BulkProgress, BulkResult
from scripted import RESET, Gate, Line, World, answer, build_world, plain, turns

MANY = 20_000


def build(line: Line | list[Line], settings: str = "") -> World:
    return build_world(plain(settings=f"breaker = {{ min_attempts = 20 }}\n{settings}"), {"shop": line})


def echo(request: Request) -> Response:
    number = int(request.path.removeprefix("/things/"))
    return answer(404 if number % 5 == 3 else 200, {"number": number})


def requests(number: int) -> Iterator[Request]:
    return (Request.get(f"/things/{at}") for at in range(number))


async def collect(results: AsyncIterator[BulkResult]) -> list[BulkResult]:
    return [each async for each in results]


async def test_each_request_has_its_result_and_a_failure_is_one() -> None:
    world = build(echo)
    found = await collect(world.fl.http("shop").bulk(requests(23), at_once=4))
    assert sorted(each.index for each in found) == list(range(23))
    for each in found:
        if each.is_good:
            assert each.response is not None
            assert (each.response.json()["number"], each.response.served_by) == (each.index, "shop")
        else:
            assert isinstance(each.error, errors.NotFoundError)
            assert each.error.connection == "shop"
            assert each.error.__traceback__ is None
    assert [each.index % 5 for each in found if not each.is_good] == [3] * 4
    world.assert_at_rest()


async def test_the_input_may_be_asynchronous() -> None:
    async def source() -> AsyncIterator[Request]:
        for request in requests(9):
            await asyncio.sleep(0)
            yield request

    found = await collect(build(answer()).fl.http("shop").bulk(source(), at_once=3))
    assert sorted(each.index for each in found) == list(range(9))


async def test_nothing_is_a_bulk_too() -> None:
    assert await collect(build([]).fl.http("shop").bulk([])) == []


@pytest.mark.parametrize(("at_once", "limit", "most"), [(4, 50, 4), (1, 50, 1), (40, 6, 6)])
async def test_no_more_are_under_way_than_is_allowed(at_once: int, limit: int, most: int) -> None:
    async def later() -> Response:
        await turns(3)
        return answer()

    world = build(lambda _: later(), f"concurrency = {{ limit = {limit}, queue = 0 }}")
    found = await collect(world.fl.http("shop").bulk(requests(60), at_once=at_once))
    assert all(each.is_good for each in found)
    assert world.transports["shop"].most_under_way == most


async def test_a_slow_one_does_not_hold_the_others_up() -> None:
    gate = Gate()
    world = build(lambda request: gate if request.path == "/things/0" else answer())
    order = []
    async for each in world.fl.http("shop").bulk(requests(10), at_once=2):
        order.append(each.index)
        if len(order) == 9:
            gate.open(answer())
    assert order[-1] == 0
    assert sorted(order) == list(range(10))


async def test_the_input_is_read_no_further_than_needed() -> None:
    read: list[int] = []

    def source() -> Iterator[Request]:
        for at, request in enumerate(requests(1000)):
            read.append(at)
            yield request

    world = build(answer())
    async with aclosing(cast("Any", world.fl.http("shop").bulk(source(), at_once=5))) as results:
        async for _ in results:
            break
        await turns(200)
        assert len(read) <= 1 + 5 + 5  # taken, waiting to be taken, and in hand
    assert len(world.sent("shop")) <= len(read)
    world.assert_at_rest()


async def test_closing_it_cancels_what_is_under_way() -> None:
    gate = Gate()
    world = build(lambda request: answer() if request.path == "/things/0" else gate)
    async with aclosing(cast("Any", world.fl.http("shop").bulk(requests(100), at_once=5))) as results:
        async for _ in results:
            await gate.reached()
            break
    assert world.transports["shop"].under_way == 0
    assert len(asyncio.all_tasks()) == 1
    world.assert_at_rest()


async def test_cancelling_the_caller_stops_all() -> None:
    gate = Gate()
    world = build(gate)
    task = asyncio.create_task(collect(world.fl.http("shop").bulk(requests(100), at_once=5)))
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    assert (world.transports["shop"].under_way, len(asyncio.all_tasks())) == (0, 1)
    world.assert_at_rest()


async def test_an_input_that_raises_stops_all_and_is_heard() -> None:
    def source() -> Iterator[Request]:
        yield from requests(3)
        raise LookupError("the file ended early")

    world = build(answer())
    found: list[BulkResult] = []

    async def keep() -> None:
        async for each in world.fl.http("shop").bulk(source(), at_once=2):
            found.append(each)  # noqa: PERF401  # what came before it is kept

    with pytest.raises(LookupError, match="the file ended early"):
        await keep()
    assert [each.index for each in found] == [0, 1, 2]
    assert len(asyncio.all_tasks()) == 1
    world.assert_at_rest()


async def test_what_is_no_request_is_a_failure_of_its_own() -> None:
    mixed: list[Any] = [Request.get("/x"), "/y", Request.post("/z", idempotency_key="k")]
    found = await collect(build(answer(), 'idempotency_header = ""').fl.http("shop").bulk(mixed, at_once=1))
    assert [type(each.error) for each in found] == [
        type(None), errors.InvalidArgumentError, errors.UnsupportedFeatureError,
    ]  # fmt: skip


async def test_progress_is_told_and_may_stop_it() -> None:
    told: list[BulkProgress] = []
    world = build(echo)
    await collect(world.fl.http("shop").bulk(list(requests(7)), on_progress=told.append))
    assert [each.done for each in told] == list(range(1, 8))
    assert told[-1] == BulkProgress(done=7, failed=1, total=7)
    await collect(world.fl.http("shop").bulk(requests(1), on_progress=told.append))
    assert told[-1] == BulkProgress(done=1, failed=0)

    def enough(progress: BulkProgress) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await collect(world.fl.http("shop").bulk(requests(100), on_progress=enough))
    assert len(asyncio.all_tasks()) == 1


async def test_a_request_with_a_key_may_be_repeated_and_one_without_is_not() -> None:
    posts = [Request.post("/x", json={}, idempotency_key="k"), Request.post("/x", json={})]
    world = build([RESET, answer(), RESET])
    keyed, once = sorted(await collect(world.fl.http("shop").bulk(posts, at_once=1)), key=lambda each: each.index)
    assert keyed.is_good
    assert isinstance(once.error, errors.OutcomeUnknownError)
    assert {each.effect for each in world.sent("shop")} == {Effect.IDEMPOTENT, Effect.ONCE}


async def test_at_least_one_is_sent_at_a_time() -> None:
    with pytest.raises(errors.InvalidArgumentError, match="at_once is 0"):
        build([]).fl.http("shop").bulk([], at_once=0)


async def test_memory_does_not_grow_with_the_number_of_requests() -> None:
    world = build(echo)
    world.transports["shop"].sent = cast("Any", Forgetful())
    world.fl.ports.events.sinks = ()
    results = cast("Any", world.fl.http("shop").bulk(requests(MANY), at_once=20))
    done = 0
    tracemalloc.start()
    try:
        async with aclosing(results):
            async for _ in results:
                done += 1
                if done == 2_000:
                    gc.collect()
                    before, _ = tracemalloc.get_traced_memory()
                    tracemalloc.reset_peak()
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done == MANY
    assert after - before < 50_000
    assert peak - before < 2_000_000


class Forgetful(list[Any]):
    """Takes in, and keeps nothing."""

    def append(self, item: Any) -> None:
        pass
