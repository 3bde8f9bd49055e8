"""What is to be done again and again: once for all processes that share a store.

The turn of a schedule is a job whose key is the start of its slot: whoever adds it first, wins, and whoever works off
the jobs does it. Slots begin at multiples of the interval since 1970, so that all processes mean the same ones. A turn
that was missed while nobody ran is done once, late; older ones are not made up for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from fairlead.config.storage import Retention
from fairlead.errors import InvalidArgumentError, StorageError
from fairlead.runtime.desk import Desk
from fairlead.storage.jobs import Ending, Job, JobState, NewJob

TASK = "task"
# So many rows are deleted in one go: a batch takes milliseconds, and others have their turn in between.
_BATCH = 500
# However far the next slot is, the calendar is looked at that often: somebody may set the machine's.
_LONGEST_S = 60.0
# The store is asked again after it failed.
_AFTER_LOSS_S = 5.0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is to be done every so many seconds. What `run` raises is tried again, as with every job."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


class Schedules:
    """Adds the turns, and does them where this process claims one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._clock = desk.ports.clock
        self._known: dict[str, Schedule] = {}
        self._loop: asyncio.Task[None] | None = None

    def add(self, schedule: Schedule) -> None:
        """Know of a schedule; raise `InvalidArgumentError` for one that cannot be."""
        if not schedule.every_s >= 1 or schedule.name in self._known:
            raise InvalidArgumentError(
                f"The schedule {schedule.name!r} cannot be.", hint="Give it a name of its own, and a second or more."
            )
        self._known[schedule.name] = schedule

    def start(self) -> None:
        """Begin, in the running loop; a second time does nothing."""
        if self._known and (self._loop is None or self._loop.done()):
            self._loop = asyncio.get_running_loop().create_task(self._for_ever())

    async def stop(self) -> None:
        """Add no more turns."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    def disown(self) -> None:
        """Know of no loop: for the child of a fork, which starts anew."""
        self._loop = None

    async def tick(self) -> float:
        """See to it that the present turn of each schedule is there; return the seconds until the next slot."""
        now = self._clock.wall()
        slots = {each: now // each.every_s * each.every_s for each in self._known.values()}
        if not slots:
            return _AFTER_LOSS_S
        await self._desk.store.add([_turn(each, slot) for each, slot in slots.items()])
        self._desk.wake()
        return min(slot + each.every_s for each, slot in slots.items()) - now

    async def run(self, job: Job) -> Ending:
        """Do one turn; the runner of the kind `task`."""
        schedule = self._known.get(job.name)
        if schedule is None:  # of another version, or another application on the same store: the next slot is theirs
            error = f"unknown_schedule: Nobody here knows the schedule {job.name!r}."
            return Ending(claim=job.claim, state=JobState.DEAD, error=error)
        await schedule.run()
        return Ending(claim=job.claim, state=JobState.DONE)

    async def _for_ever(self) -> None:
        while True:
            try:
                wait_s = await self.tick()
            except StorageError:  # the worker's events tell of it
                wait_s = _AFTER_LOSS_S
            await self._clock.sleep(min(wait_s, _LONGEST_S))


def _turn(schedule: Schedule, slot: float) -> NewJob:
    return NewJob(
        kind=TASK, source="", name=schedule.name, run_at=slot, key=f"{schedule.name}:{slot:.0f}", subject=schedule.name
    )


def ages_of(retention: Retention) -> Mapping[tuple[str, JobState], float]:
    """Return how long jobs that are over are kept, by their kind and state."""
    over = (JobState.DONE, JobState.DEAD, JobState.CANCELLED)
    kinds = {"call": "calls", "settle": "calls", "event": "events", TASK: "tasks"}
    ages = {
        (kind, state): getattr(retention, f"{setting}_{state.name.lower()}_s")
        for kind, setting in kinds.items()
        for state in over
    }
    return ages | {("nonce", JobState.DONE): 0.0}  # it is done once no signature with it counts any more


def pruning(desk: Desk, find_retention: Callable[[], Retention], *, every_s: float = 3600.0) -> Schedule:
    """Return the schedule that deletes what was kept for long enough, in small batches."""

    async def prune() -> None:
        ages_s = ages_of(find_retention())
        has_more = True
        while has_more:  # each batch is a commit of its own
            has_more = await desk.store.prune(ages_s, limit=_BATCH) == _BATCH

    return Schedule(name="prune", every_s=every_s, run=prune)
