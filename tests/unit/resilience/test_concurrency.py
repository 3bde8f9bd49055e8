from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import pytest

from fairlead.resilience.adaptive import AdaptiveLimit, AdaptiveOptions
from fairlead.resilience.concurrency import Concurrency, Priority
from timers import Timers

PATIENCE_S = 60.0
INTERACTIVE, BACKGROUND = Priority.INTERACTIVE, Priority.BACKGROUND


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def full(limit: int = 1, queue: int = 10) -> Concurrency:
    room = Concurrency(limit=limit, queue=queue)
    while room.admit():
        pass
    return room


def waiters(
    room: Concurrency, count: int, seconds: float = PATIENCE_S, priority: Priority = INTERACTIVE
) -> list[asyncio.Task[bool]]:
    return [asyncio.create_task(room.wait(seconds, priority)) for _ in range(count)]


async def test_so_many_and_no_more() -> None:
    room = Concurrency(limit=2, queue=1)
    assert [room.admit() for _ in range(3)] == [True, True, False]
    room.release()
    assert room.admit()


async def test_the_queue_has_an_end() -> None:
    room = full(queue=2)
    tasks: list[asyncio.Task[bool]] = []
    was_full = []
    for _ in range(2):
        was_full.append(room.is_full())
        tasks += waiters(room, 1)
        await turns()
    assert (was_full, room.is_full()) == ([False, False], True)
    for _ in tasks:
        room.release()
    assert await asyncio.gather(*tasks) == [True, True]


def test_without_a_queue_it_is_always_full() -> None:
    assert Concurrency(limit=1, queue=0).is_full()


async def test_first_come_first_served() -> None:
    room, order = full(), list[int]()
    tasks = waiters(room, 3)
    for number, task in enumerate(tasks):
        task.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    for _ in tasks:
        await turns()
        room.release()
    await asyncio.gather(*tasks)
    await turns()
    assert order == [0, 1, 2]


async def test_nobody_passes_those_who_wait() -> None:
    room = full()
    (task,) = waiters(room, 1)
    await turns()
    room.release()
    assert not room.admit()  # the place is given already
    assert await task
    room.release()
    assert room.admit()


async def test_waiting_ends() -> None:
    room = full()
    task = asyncio.current_task()
    assert task is not None
    has_place = await room.wait(0.0)
    assert (has_place, task.cancelling()) == (False, 0)
    room.release()
    assert room.free == 1


async def test_a_place_given_as_time_runs_out_is_had_or_given_on() -> None:
    room = full()
    (task,) = waiters(room, 1, seconds=0.0)
    await asyncio.sleep(0)  # it waits, and its time runs out with this turn
    room.release()
    has_place = await task
    assert room.free == (0 if has_place else 1)


@pytest.mark.parametrize("count", [1, 3])
async def test_those_who_are_cancelled_leave_the_queue(count: int) -> None:
    room = full(queue=count)
    tasks = waiters(room, count)
    await turns()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not room.is_full()
    room.release()
    assert room.free == 1


Step = Callable[[Concurrency, asyncio.Task[bool]], None]


def release_then_cancel(room: Concurrency, task: asyncio.Task[bool]) -> None:
    room.release()
    task.cancel()


def cancel_then_release(room: Concurrency, task: asyncio.Task[bool]) -> None:
    task.cancel()
    room.release()


@pytest.mark.parametrize("step", [release_then_cancel, cancel_then_release])
@pytest.mark.parametrize("others", [0, 1])
async def test_a_place_given_to_one_who_is_cancelled_at_once_goes_on(step: Step, others: int) -> None:
    room = full()
    first, *rest = waiters(room, 1 + others)
    await turns()
    step(room, first)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.gather(*rest) == [True] * others
    assert room.free == 1 - others


async def test_who_waits_while_a_place_is_free_has_it_at_once() -> None:
    room = Concurrency(limit=1, queue=1)
    assert await room.wait(0.0)
    assert (room.free, room.waiting) == (0, 0)


# --- Time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("queue_s", "patience_s", "waited_s"), [(inf, 5.0, 5.0), (3.0, 5.0, 3.0), (9.0, 5.0, 5.0)])
async def test_whoever_has_less_patience_ends_the_wait(queue_s: float, patience_s: float, waited_s: float) -> None:
    timers = Timers()
    room = Concurrency(limit=1, queue=1, queue_s=queue_s, later=timers.later)
    assert room.admit()
    (task,) = waiters(room, 1, seconds=patience_s)
    await turns()
    assert timers.waits == [waited_s]
    timers.advance(waited_s)
    assert await task is False
    assert (room.waiting, room.free) == (0, 0)


async def test_once_a_place_is_had_no_timer_runs() -> None:
    timers = Timers()
    room = Concurrency(limit=1, queue=1, later=timers.later)
    assert room.admit()
    (task,) = waiters(room, 1)
    await turns()
    room.release()
    assert await task
    assert timers.waits == []


async def test_a_wait_that_ends_leaves_the_task_as_it_was() -> None:
    room, task = full(), asyncio.current_task()
    assert task is not None
    async with asyncio.timeout(PATIENCE_S):
        assert not await room.wait(0.0)
    assert task.cancelling() == 0


# --- Priorities ---------------------------------------------------------------------------------------------------


async def served_in_order(room: Concurrency, tasks: dict[str, list[asyncio.Task[bool]]]) -> str:
    order: list[str] = []
    for name, each in tasks.items():
        for task in each:
            task.add_done_callback(lambda _, name=name: order.append(name))  # type: ignore[misc]
    for _ in range(sum(map(len, tasks.values()))):
        await turns()
        room.release()
    await turns()
    return "".join(order)


async def test_who_waits_for_an_answer_goes_first() -> None:
    room = full()
    background = waiters(room, 2, priority=BACKGROUND)
    await turns()
    tasks = {"b": background, "i": waiters(room, 2)}
    assert await served_in_order(room, tasks) == "iibb"


async def test_the_background_is_late_and_not_never() -> None:
    room = full(queue=100)
    tasks = {"b": waiters(room, 3, priority=BACKGROUND), "i": waiters(room, 30)}
    assert await served_in_order(room, tasks) == "iiiiiiib" * 3 + "i" * 9


async def test_each_line_has_its_own_end() -> None:
    room = full(queue=1)
    tasks = waiters(room, 1, priority=BACKGROUND)
    await turns()
    assert (room.is_full(BACKGROUND), room.is_full(INTERACTIVE)) == (True, False)
    room.release()
    assert await asyncio.gather(*tasks) == [True]


# --- A limit that moves -------------------------------------------------------------------------------------------


async def test_a_limit_that_rises_serves_those_who_wait() -> None:
    room = full(limit=1)
    tasks = waiters(room, 3)
    await turns()
    room.resize(3)
    await turns()
    assert [task.done() for task in tasks] == [True, True, False]
    room.resize(9)
    assert await tasks[2]
    assert (room.free, room.waiting) == (5, 0)


async def test_a_limit_that_falls_is_kept_as_soon_as_it_can_be() -> None:
    room = full(limit=4)
    tasks = waiters(room, 1)
    await turns()
    room.resize(2)
    for _ in range(2):
        room.release()
        await turns()
        assert (tasks[0].done(), room.admit()) == (False, False)
    room.release()
    assert await tasks[0]
    for _ in range(2):
        room.release()
    assert room.free == room.limit == 2


def test_with_an_adaptive_limit_it_follows_what_it_is_told() -> None:
    room = Concurrency(limit=99, queue=0, adaptive=AdaptiveLimit(AdaptiveOptions(initial=10, max_limit=12)))
    assert room.limit == room.free == 10
    for _ in range(10):
        assert room.admit()
    for at in range(100):
        room.record(0.1, now=at)
    assert (room.limit, room.free) == (12, 2)
    room.record(5.0, now=200, is_drop=True)
    assert (room.limit, room.free) == (8, -2)


def test_without_one_it_stays() -> None:
    room = Concurrency(limit=5, queue=0)
    for at in range(100):
        room.record(9.0, now=at, is_drop=True)
    assert room.limit == 5
