"""A server that runs somewhere else, for callers that block: in a loop and a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def elsewhere(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter it in another thread's event loop, which serves until the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def leave() -> None:
        await manager.__aexit__(None, None, None)

    async def enter() -> T:
        return await manager.__aenter__()

    try:
        entered = asyncio.run_coroutine_threadsafe(enter(), loop).result()
        try:
            yield entered
        finally:
            asyncio.run_coroutine_threadsafe(leave(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
