from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fairlead.errors import NotFoundError
from fairlead.resilience.coalesce import Coalescing


class Vendor:
    """Answers when it is told to, and remembers what became of each question."""

    def __init__(self) -> None:
        self.asked = 0
        self.cancelled = 0
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def ask(self) -> Any:
        self.asked += 1
        try:
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def callers(
    flights: Coalescing, start: Callable[[], Coroutine[Any, Any, Any]], count: int, key: str = "key"
) -> list[asyncio.Task[tuple[Any, bool]]]:
    return [asyncio.create_task(flights.run(key, start)) for _ in range(count)]


async def test_those_who_ask_the_same_share_one_answer() -> None:
    flights, vendor = Coalescing(), Vendor()
    tasks = callers(flights, vendor.ask, 3)
    await turns()
    vendor.answer.set_result("yes")
    assert await asyncio.gather(*tasks) == [("yes", False), ("yes", True), ("yes", True)]
    assert vendor.asked == 1


async def test_it_is_known_what_is_being_asked() -> None:
    flights, vendor = Coalescing(), Vendor()
    (task,) = callers(flights, vendor.ask, 1)
    known = [flights.is_under_way("key")]
    await turns()
    known += [flights.is_under_way("key"), flights.is_under_way("other")]
    vendor.answer.set_result("yes")
    await task
    await turns()
    assert [*known, flights.is_under_way("key")] == [False, True, False, False]


async def test_different_questions_are_asked_apart() -> None:
    flights, vendor = Coalescing(), Vendor()
    tasks = [*callers(flights, vendor.ask, 1, "a"), *callers(flights, vendor.ask, 1, "b")]
    await turns()
    vendor.answer.set_result("yes")
    assert await asyncio.gather(*tasks) == [("yes", False), ("yes", False)]
    assert vendor.asked == 2


async def test_who_asks_later_gets_a_new_answer() -> None:
    flights, vendor = Coalescing(), Vendor()
    vendor.answer.set_result("yes")
    assert await flights.run("key", vendor.ask) == ("yes", False)
    await turns()
    assert await flights.run("key", vendor.ask) == ("yes", False)
    assert vendor.asked == 2


@pytest.mark.parametrize("leaving", [0, 1])
async def test_one_who_leaves_takes_nothing_from_the_others(leaving: int) -> None:
    flights, vendor = Coalescing(), Vendor()
    tasks = callers(flights, vendor.ask, 3)
    await turns()
    left = tasks.pop(leaving)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    vendor.answer.set_result("yes")
    assert [answer for answer, _ in await asyncio.gather(*tasks)] == ["yes", "yes"]
    assert (vendor.asked, vendor.cancelled) == (1, 0)


async def test_when_the_last_one_leaves_nobody_is_asked_any_more() -> None:
    flights, vendor = Coalescing(), Vendor()
    tasks = callers(flights, vendor.ask, 2)
    await turns()
    tasks[0].cancel()
    await turns()
    assert vendor.cancelled == 0
    tasks[1].cancel()
    await turns()
    assert vendor.cancelled == 1
    assert all(task.cancelled() for task in tasks)


async def test_who_comes_after_the_last_one_left_does_not_share_its_end() -> None:
    flights, vendor = Coalescing(), Vendor()
    (first,) = callers(flights, vendor.ask, 1)
    await turns()
    first.cancel()
    second = asyncio.create_task(flights.run("key", vendor.ask))
    await turns()
    vendor.answer.set_result("yes")
    answer, _ = await second
    assert (answer, vendor.cancelled) == ("yes", 1)


async def test_an_error_is_shared_and_not_kept() -> None:
    flights, vendor = Coalescing(), Vendor()
    tasks = callers(flights, vendor.ask, 2)
    await turns()
    vendor.answer.set_exception(NotFoundError("no"))
    one, other = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(one, NotFoundError)
    assert isinstance(other, NotFoundError)
    assert one is not other  # each has a traceback of its own
    assert (other.args, other.__cause__) == (one.args, one)
    vendor.answer = asyncio.get_running_loop().create_future()
    vendor.answer.set_result("yes")
    assert await flights.run("key", vendor.ask) == ("yes", False)


async def test_leaving_as_the_answer_comes_breaks_nothing() -> None:
    flights, vendor = Coalescing(), Vendor()
    tasks = callers(flights, vendor.ask, 2)
    await turns()
    vendor.answer.set_result("yes")
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1] == ("yes", True)
    await turns()
    assert not flights._flights


async def test_an_error_that_nobody_waits_for_is_no_noise() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    flights, vendor = Coalescing(), Vendor()
    (task,) = callers(flights, vendor.ask, 1)
    await turns()
    vendor.answer.set_exception(NotFoundError("no"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await turns()
    del task
    assert complaints == []


async def test_after_a_parting_nobody_joins_and_nobody_is_left_alone() -> None:
    flights, vendor, later = Coalescing(), Vendor(), Vendor()
    tasks = callers(flights, vendor.ask, 2)
    await turns()
    flights.part()
    assert not flights.is_under_way("key")
    (new,) = callers(flights, later.ask, 1)
    await turns()
    vendor.answer.set_result("before")
    await turns()
    assert flights.is_under_way("key")  # the end of the old one is not the end of the new one
    later.answer.set_result("after")
    assert await asyncio.gather(*tasks, new) == [("before", False), ("before", True), ("after", False)]


async def test_it_comes_to_rest_when_what_was_cancelled_has_ended() -> None:
    flights, vendor = Coalescing(), Vendor()
    (task,) = callers(flights, vendor.ask, 1)
    await turns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await flights.come_to_rest()
    assert vendor.cancelled == 1
