"""A thread that does what tasks ask of it, all that came together at once: for a library that blocks.

Whatever tasks ask for in one turn of the event loop wakes the thread once, and what it returns for them wakes the loop
once. A fork takes the thread away: `halt` leaves nothing under way before it, and `disown` begins anew after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

# How often it is looked whether a thread has ended.
_LOOK_S = 0.002
# How long a fork waits for what is under way.
_HALT_S = 30.0


class Task:
    """Something asked for: what to do, the future that waits for it, and what came of it."""

    __slots__ = ("error", "future", "loop", "result", "work")

    def __init__(self, work: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None


class Lane:
    """One thread, started when it is first needed. `run` is given tasks, and fills in their results or errors.

    `leave` lets go of what the thread holds; it is called with nothing under way, maybe by another thread.
    """

    def __init__(
        self, name: str, run: Callable[[Sequence[Task]], None], leave: Callable[[], None], *, most: int
    ) -> None:
        self._name = name
        self._run = run
        self._leave = leave
        self._most = most
        self._begin()

    def _begin(self) -> None:
        self._asked: deque[Task] = deque()
        self._wake = threading.Event()
        self._gate = threading.Lock()
        self._is_halted = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waking: asyncio.AbstractEventLoop | None = None
        self._end = threading.Event()

    def ask(self, work: Any) -> asyncio.Future[Any]:
        """Have something done; return what is to come of it. Whoever stops waiting for it changes nothing else."""
        loop = asyncio.get_running_loop()
        task = Task(work, loop)
        self._asked.append(task)
        if self._waking is not loop:
            self._waking = loop
            loop.call_soon(self._rouse)
        return task.future

    def _rouse(self) -> None:
        self._waking = None
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._end = threading.Event()
                    self._thread = threading.Thread(target=self._work, args=(self._end,), name=self._name, daemon=True)
                    self._thread.start()
        self._wake.set()

    async def close(self) -> None:
        """Do what was asked for, let go, and end the thread; asked again, it starts again."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._end.set()
        self._wake.set()
        if thread:
            # Not in the loop's own threads: an application's handlers may have taken all of them.
            while thread.is_alive():  # noqa: ASYNC110  # a thread tells no loop that it has ended
                await asyncio.sleep(_LOOK_S)
        with self._gate:
            self._leave()

    def halt(self) -> bool:
        """Let what is under way end, and let go; nothing more is begun until `resume`. False where it does not end."""
        self._is_halted = self._gate.acquire(timeout=_HALT_S)
        if self._is_halted:
            self._leave()
        return self._is_halted

    def resume(self) -> None:
        """Go on after `halt`."""
        if self._is_halted:
            self._is_halted = False
            self._gate.release()

    def disown(self) -> None:
        """Begin anew, in the child of a fork: the thread is the parent's, and so is what was asked for."""
        self._begin()

    def _work(self, end: threading.Event) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._asked:
                with self._gate:
                    self._turn()
            if end.is_set():
                return

    def _turn(self) -> None:
        tasks: list[Task] = []
        while self._asked and len(tasks) < self._most:
            tasks.append(self._asked.popleft())
        wanted = [task for task in tasks if not task.future.cancelled()]
        if not wanted:
            return
        try:
            self._run(wanted)
        except BaseException as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            for task in wanted:
                task.error = error
        for loop in {task.loop for task in wanted}:
            mine = [task for task in wanted if task.loop is loop]
            try:
                loop.call_soon_threadsafe(_hand_over, mine)
            except RuntimeError:  # its loop was closed: nobody waits
                continue


def _hand_over(tasks: Sequence[Task]) -> None:
    for task in tasks:
        if task.future.done():
            continue
        if task.error is not None:
            task.future.set_exception(task.error)
        else:
            task.future.set_result(task.result)
