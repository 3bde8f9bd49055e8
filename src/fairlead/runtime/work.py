"""Do what the store keeps: claim what is due, hold on to it while it is done, and write down how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from fairlead.errors import FairleadError, StorageError
from fairlead.observe.events import JobEnded, WorkStalled
from fairlead.runtime.ports import Ports
from fairlead.storage.jobs import Claim, Ending, Job, JobState, JobStore


class Written(msgspec.Struct, frozen=True):
    """A turn whose end its runner has written down itself. `WAITING`: there is more to do, and at once."""

    state: JobState


#: Does one turn of a job, and says how that ends. What it raises is a failure.
Runner: TypeAlias = Callable[[Job], Awaitable[Ending | Written]]

#: The seconds from one failed turn to the next: quick at first, then for days, as an outage may last.
WAITS_S = (5, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
# Waits are spread by this share either way, so that what failed together does not come back together.
_SPREAD = 0.2
# However little is known of what is due, it is looked for that often; and no oftener while something stands in its way.
_LONGEST_S = 60.0
_SHORTEST_S = 0.05
# The store is asked again after it failed; its own events say that it did.
_AFTER_LOSS_S = 1.0
# How long a job that is under way may take to end when the worker stops.
_GRACE_S = 5.0


def put_back(job: Job, error: BaseException, ports: Ports, *, waits_s: Sequence[float] = WAITS_S) -> Ending:
    """Return how a failed turn ends: with another one after a wait, or, once the waits are used up, as dead."""
    told = f"{error.code}: {error}" if isinstance(error, FairleadError) else f"{type(error).__name__}: {error}"
    if job.failures >= len(waits_s):
        return Ending(claim=job.claim, state=JobState.DEAD, error=told, has_failed=True)
    wait_s = waits_s[job.failures] * (1 - _SPREAD + 2 * _SPREAD * ports.random())
    run_at = ports.clock.wall() + wait_s
    return Ending(claim=job.claim, state=JobState.WAITING, error=told, run_at=run_at, has_failed=True)


def is_told_to_stop() -> bool:
    """Whether it is the running task that was cancelled, and not something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Worker:
    """Does at most `at_once` jobs at a time, of the kinds that have a runner.

    A lease lasts `lease_s` seconds and is renewed while the job is done: what a dead process leaves is taken over as
    late as that. Who adds a job in this process calls `wake`.
    """

    def __init__(
        self,
        store: JobStore,
        ports: Ports,
        runners: Mapping[str, Runner],
        *,
        at_once: int = 32,
        lease_s: float = 30.0,
    ) -> None:
        self.store = store
        self.owner = ""
        self._ports = ports
        self._runners = runners
        self._at_once = at_once
        self._lease_s = lease_s
        self._running: dict[Claim, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._has_more = False
        self._is_stalled = False

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return bool(self._tasks)

    @property
    def under_way(self) -> int:
        """How many jobs it is doing."""
        return len(self._running)

    def bound(self, *, at_once: int, lease_s: float) -> None:
        """Go on with other bounds; what is held already is held as before until it is renewed."""
        self._at_once, self._lease_s = at_once, lease_s

    def start(self) -> None:
        """Begin, in the running loop; a second time does nothing."""
        if not self._tasks:
            self.owner = self._ports.ids()
            self.store.listen(self.wake)
            self._tasks = [asyncio.create_task(self._claim_for_ever()), asyncio.create_task(self._hold_for_ever())]

    def wake(self) -> None:
        """Look for what is due now."""
        self._woken.set()

    async def stop(self) -> None:
        """Claim nothing more, give what is under way some seconds to end, and put the rest back for others."""
        tasks, self._tasks = self._tasks, []
        await _cancel(tasks[:1])
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_GRACE_S)
        await _cancel([*self._running.values(), *tasks[1:]])

    def disown(self) -> None:
        """Know of nothing under way: for the child of a fork, which starts anew."""
        self._tasks, self._running = [], {}
        self._woken = asyncio.Event()

    async def _claim_for_ever(self) -> None:
        while True:
            self._woken.clear()
            try:
                delay_s = await self._claim()
                self._is_stalled = False
            except StorageError as error:
                self._tell_stalled(error)
                delay_s = _AFTER_LOSS_S
            if delay_s:
                await self._rest(delay_s)

    async def _claim(self) -> float:
        """Begin what is due, as far as there is room; return the seconds until it makes sense to look again."""
        room = self._at_once - len(self._running)
        if not room:
            self._has_more = True
            return _LONGEST_S
        runners = dict(self._runners)  # what is claimed is done, whatever is taken away meanwhile
        kinds = list(runners)
        jobs = await self.store.claim(kinds, self.owner, lease_s=self._lease_s, limit=room)
        for job in jobs:
            self._running[job.claim] = asyncio.create_task(self._do(job, runners[job.kind]))
        self._has_more = len(jobs) == room
        if jobs:
            return 0.0 if len(jobs) < room else _LONGEST_S
        due_s = await self.store.until_due(kinds)
        return _LONGEST_S if due_s is None else min(_LONGEST_S, max(_SHORTEST_S, due_s))

    async def _rest(self, seconds: float) -> None:
        """Wait until something wakes it, or for so long."""
        waiting = [
            asyncio.ensure_future(self._woken.wait()),
            asyncio.ensure_future(self._ports.clock.sleep(seconds)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _hold_for_ever(self) -> None:
        """Renew the leases of what is under way; give up what is no longer ours, or was cancelled."""
        while True:
            await self._ports.clock.sleep(self._lease_s / 3)
            claims = list(self._running)
            if not claims:
                continue
            with suppress(StorageError):  # the next renewal may still come in time
                for claim, is_ours in zip(claims, await self.store.renew(claims, lease_s=self._lease_s), strict=True):
                    task = self._running.get(claim)
                    if task and not is_ours:
                        task.cancel()

    async def _do(self, job: Job, run: Runner) -> None:
        clock = self._ports.clock
        started, begun_at = clock.monotonic(), clock.wall()
        try:
            ending = await self._turn(job, run)
            until = begun_at + self._lease_s
            try:
                is_written = isinstance(ending, Written) or await self._write(ending, until=until)
            except Exception as error:  # noqa: BLE001  # an effect that the database refuses is a failed turn
                ending = put_back(job, error, self._ports)
                is_written = await self._write(ending, until=until)
            if is_written and ending != Written(JobState.WAITING):
                self._tell(job, ending, clock.monotonic() - started, begun_at)
            if ending.state is JobState.WAITING:  # it is due before what was looked for last, perhaps
                self.wake()
        finally:
            self._running.pop(job.claim, None)
            if self._has_more:
                self.wake()

    async def _turn(self, job: Job, run: Runner) -> Ending | Written:
        """Have the runner do it. When we are to stop in the middle, the job waits for somebody else."""
        try:
            return await run(job)
        except asyncio.CancelledError as error:
            if not is_told_to_stop():  # something else was cancelled, and the runner let that out
                return put_back(job, error, self._ports)
            ending = Ending(claim=job.claim, state=JobState.WAITING, run_at=self._ports.clock.wall())
            with suppress(StorageError):  # then the lease ends by itself
                await asyncio.shield(self.store.finish(ending))
            raise
        except Exception as error:  # noqa: BLE001  # whatever the application's own code raises is a failed turn
            return put_back(job, error, self._ports)

    async def _write(self, ending: Ending, *, until: float) -> bool:
        """Write down how it ended, as soon as the store takes it; without that, the job is done again."""
        while True:
            try:
                return await self.store.finish(ending)
            except StorageError as error:
                self._tell_stalled(error)
                if self._ports.clock.wall() >= until:
                    return False
                await self._ports.clock.sleep(_AFTER_LOSS_S)

    def _tell(self, job: Job, ending: Ending | Written, seconds: float, begun_at: float) -> None:
        failed = ending if isinstance(ending, Ending) and ending.has_failed else None
        self._ports.events.emit(
            JobEnded(
                job_id=job.id,
                kind=job.kind,
                source=job.source,
                name=job.name,
                state=ending.state.name.lower(),
                failures=job.failures + (failed is not None),
                error=failed.error if failed else None,
                seconds=seconds,
                waited_s=max(0.0, begun_at - job.run_at),
                is_late=job.is_late,
            )
        )

    def _tell_stalled(self, error: StorageError) -> None:
        if not self._is_stalled:
            self._is_stalled = True
            self._ports.events.emit(WorkStalled(store=self.store.name, reason=error.message))


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
