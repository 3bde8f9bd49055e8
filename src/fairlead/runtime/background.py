"""One event loop a process, in a thread of its own, for callers that have none.

A fork copies everything but threads. So the loop stands still while a process forks, between two steps, where neither
it nor a sink of events holds a lock; and the child begins with a loop of its own. What the parent had open stays the
parent's: a child that wrote to a kept connection, or only told the shared selector (`epoll`) to forget one, would break
the parent's calls. At exit what is under way is cancelled and every socket closed, without a word and without a hang.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from fairlead.errors import UsageError
from fairlead.runtime.fairlead import Fairlead

T = TypeVar("T")
A = TypeVar("A")

# A step takes microseconds, unless a sink blocks. Neither a fork nor an exit waits longer for it than this, in seconds.
_PATIENCE_S = 1.0


class Background:
    """The event loop of this process. `halt`, `resume` and `disown` belong around a fork, `end` at exit."""

    def __init__(self) -> None:
        self._clients: WeakSet[Fairlead] = WeakSet()
        self._left_behind: list[object] = []
        self._start_anew()

    def _start_anew(self) -> None:
        self._lock = threading.RLock()
        self._go_on = threading.Event()
        self._closing: set[asyncio.Future[None]] = set()
        self._selector: selectors.BaseSelector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def look_after(self, client: Fairlead) -> None:
        """Close this client's sockets at exit, and leave them to the parent after a fork."""
        self._clients.add(client)

    def run(
        self,
        start: Callable[[], Coroutine[Any, Any, T]],
        *,
        wait: Callable[[Future[T]], T] = Future.result,
        where: asyncio.AbstractEventLoop | None = None,
    ) -> T:
        """Run a coroutine there and wait for it; an interrupt cancels it, whenever it comes.

        `wait` is how the caller waits. Raises `UsageError` in a thread whose own event loop would be blocked, and
        where `where`, the loop in which something was begun, is not this process's any more.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises where there is none
            raise UsageError(
                "The synchronous face would block the running event loop.", hint="Use fairlead.Fairlead with await."
            )
        loop = self._started()
        if where not in {None, loop}:
            raise UsageError("This was begun before a fork, by the parent.", hint="Begin it again in the child.")
        answer: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            if not answer.cancelled():
                tasks.append(loop.create_task(start()))
                tasks[0].add_done_callback(partial(self._hand_over, loop, answer))

        def stop() -> None:
            for task in tasks:
                task.cancel()

        try:
            loop.call_soon_threadsafe(begin)  # it carries the context of the caller
            return wait(answer)
        finally:
            if not answer.done():  # the caller was interrupted
                answer.cancel()
                loop.call_soon_threadsafe(stop)

    def iterate(
        self,
        stream: AsyncIterator[T],
        *,
        wait: Callable[[Future[T | None]], T | None] = Future.result,
        keep: object = None,
    ) -> Generator[T, None, None]:
        """Yield what an asynchronous iterator yields, a step at a time; leaving early closes it.

        `keep` is what must not become garbage until then.
        """
        _ = keep

        async def step() -> T | None:
            return await anext(stream, None)

        loop = self._started()
        try:
            while (item := self.run(step, wait=wait, where=loop)) is not None:
                yield item
        except GeneratorExit:  # also when it is garbage, in whatever thread and place: nobody may wait here
            if isinstance(stream, AsyncGenerator) and loop is self._loop:
                loop.call_soon_threadsafe(self._finish, stream.aclose)
            raise

    def let_go(self, client: Fairlead) -> None:
        """Close a client that nobody can use any more, without waiting: garbage may be found in any thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._finish, client.close)

    def _finish(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.ensure_future(close())
        self._closing.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(self._closing.discard)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._selector = selectors.DefaultSelector()
                self._loop = asyncio.SelectorEventLoop(self._selector)
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="fairlead", daemon=True)
                self._thread.start()
            return self._loop

    def _hand_over(self, loop: asyncio.AbstractEventLoop, answer: Future[T], task: asyncio.Task[T]) -> None:
        """Pass the end of a task on to whoever waits for it in another thread."""
        error = None if task.cancelled() else task.exception()
        if loop is not self._loop:
            return  # the program is over: a daemon thread that still waits would only print a traceback
        if task.cancelled() or not answer.set_running_or_notify_cancel():
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())

    def halt(self) -> None:
        """Before a fork: let the loop stand still between two steps, and nobody start one."""
        self._lock.acquire()
        self._go_on = go_on = threading.Event()
        if self._loop is None or self._thread is threading.current_thread():
            return
        is_halted = threading.Event()

        def stand_still() -> None:
            is_halted.set()
            go_on.wait()

        self._loop.call_soon_threadsafe(stand_still)
        is_halted.wait(_PATIENCE_S)

    def resume(self) -> None:
        """After a fork, in the parent: go on."""
        self._go_on.set()
        self._lock.release()

    def disown(self) -> None:
        """After a fork, in the child: know nothing of the parent's loop and sockets any more."""
        loop, selector = self._loop, self._selector
        self._start_anew()
        if loop is None or selector is None:
            return
        _cut_off(selector)
        clients = tuple(self._clients)
        for client in clients:
            client.disown()
        # Collected, all this would complain that nobody closed it. The frame of the thread that is gone keeps the loop.
        loop.set_exception_handler(partial(_say_nothing, clients))
        self._left_behind.append(loop)

    def end(self) -> None:
        """At exit: cancel what is under way, close every socket, and end the thread."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._wind_up(), loop).result(_PATIENCE_S)
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(_PATIENCE_S)

    async def _wind_up(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for client in list(self._clients):
            await client.close()
        await asyncio.get_running_loop().shutdown_asyncgens()


class Feed(Generic[T]):
    """The caller's iterator, for the loop to read: each item is made in the caller's thread, while that waits.

    There it may itself make calls, and use what belongs to its thread, as a database connection does.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._wanted: SimpleQueue[asyncio.Future[T] | None] = SimpleQueue()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        wanted: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._wanted.put(wanted)
        return await wanted

    def wait(self, answer: Future[A]) -> A:
        """Wait for an answer, and make items as long as it needs them."""
        answer.add_done_callback(lambda _: self._wanted.put(None))
        while (wanted := self._wanted.get()) is not None:
            try:
                give = partial(_give, wanted, next(self._items))
            except StopIteration:
                give = partial(_refuse, wanted, StopAsyncIteration())
            except Exception as error:  # noqa: BLE001  # it is the caller's own, and comes back to it
                give = partial(_refuse, wanted, error)
            wanted.get_loop().call_soon_threadsafe(give)
        return answer.result()


def _give(wanted: asyncio.Future[T], item: T) -> None:
    if not wanted.done():
        wanted.set_result(item)


def _refuse(wanted: asyncio.Future[Any], error: Exception) -> None:
    if not wanted.done():
        wanted.set_exception(error)


def _say_nothing(_kept: object, _loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """Take what the parent's loop would complain of in the child."""


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run until it is stopped. What would end the program goes to the caller whose call raised it; the loop goes on."""
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue
        break
    loop.close()


def _cut_off(selector: selectors.BaseSelector) -> None:
    """Put /dev/null in the place of the selector and of every socket that it watches.

    The numbers stay taken, so that whatever still holds one can do nothing with it, and harms nobody when it closes it.
    The vendor's connection is the parent's alone.
    """
    numbers = {key.fd for key in selector.get_map().values()}
    if sys.platform == "linux" and isinstance(selector, selectors.EpollSelector):  # a kqueue is not inherited
        numbers.add(selector.fileno())
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in numbers:
        os.dup2(nothing, number, inheritable=False)
    os.close(nothing)
