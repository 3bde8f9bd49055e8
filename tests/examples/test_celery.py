"""Celery: a real worker, whose pool was forked, over a broker of files."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from examples.backdrop import Backdrop, backdrop
from fairlead.testing.faults import Fault, Faults
from programs import PATIENCE_S, next_line, running, script
from shop import ShopFake

WORKER = (sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2", "--loglevel", "INFO")
ORDER = """
    import sys
    from celery_app import place_order

    result = place_order.delay(sys.argv[1], int(sys.argv[2]))
    print(result.id, flush=True)
    try:
        print(result.get(timeout=60))
    except Exception as error:
        print(type(error).__name__)
"""


async def says(worker: Process, word: str) -> str:
    """Wait until a worker logs something, and return the line."""
    assert worker.stderr
    async with asyncio.timeout(PATIENCE_S):
        while word not in (line := (await worker.stderr.readline()).decode()):
            assert line, "it ended"
    return line


@asynccontextmanager
async def working(scene: Backdrop) -> AsyncIterator[Process]:
    """Start a worker, and wait until it is ready."""
    async with running(*WORKER, cwd=scene.directory, environment=scene.environment) as worker:
        await says(worker, "ready.")
        yield worker


class Placed(NamedTuple):
    """A task, and the program that waits for its result."""

    task_id: str
    process: Process

    async def result(self) -> str:
        """Wait for the result, or the name of the error."""
        return await next_line(self.process)


@asynccontextmanager
async def placing(item: str, quantity: int, scene: Backdrop) -> AsyncIterator[Placed]:
    """Send the task."""
    command = script(ORDER, item, str(quantity))
    async with running(*command, cwd=scene.directory, environment=scene.environment) as process:
        yield Placed(await next_line(process), process)


class Dice(Random):
    """Falls low once, and then high."""

    def __init__(self) -> None:
        super().__init__()
        self._rolls = [0.0]

    def random(self) -> float:
        """Roll."""
        return self._rolls.pop() if self._rolls else 0.9


async def test_an_order_whose_answer_is_lost_is_placed_once(tmp_path: Path) -> None:
    shop = ShopFake(random=Dice(), faults=Faults(reset_share=0.5))
    async with backdrop(tmp_path, shop=shop) as scene, working(scene) as worker:
        async with placing("tea", 3, scene) as placed:
            assert await placed.result() == "order-1"
        assert "ForkPoolWorker" in await says(worker, "succeeded")
        assert list(shop.orders) == [f"place-order-{placed.task_id}"]
        assert shop.books.operations == {"placeOrder": 2}
        assert shop.books.faults == {Fault.RESET: 1}


async def test_a_task_is_retried_when_the_error_says_when(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene, working(scene) as worker:
        await scene.shop.go_down()
        async with placing("tea", 3, scene) as placed:
            await says(worker, "Retry in")
            await scene.shop.come_up()
            assert await placed.result() == "order-1"
        assert list(scene.shop.orders) == [f"place-order-{placed.task_id}"]


async def test_a_task_that_is_refused_is_not_retried(tmp_path: Path) -> None:
    async with backdrop(tmp_path) as scene, working(scene):
        async with placing("tea", 0, scene) as placed:
            assert await placed.result() == "InvalidRequestError"
        assert scene.shop.books.operations == {"placeOrder": 1}
        assert not scene.shop.orders
