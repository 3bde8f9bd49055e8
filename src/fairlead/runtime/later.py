"""Calls in the background: accepted once they are durable, made by whoever works off the jobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

import msgspec

from fairlead import errors
from fairlead.model.call import Call
from fairlead.model.deadline import Deadline
from fairlead.model.outcome import Outcome
from fairlead.observe.events import CallSettled
from fairlead.runtime.desk import Desk
from fairlead.runtime.ledger import Ledger, conclusion_of
from fairlead.runtime.packing import pack, unpack
from fairlead.runtime.record import Record, record_of
from fairlead.runtime.rows import KIND, SETTLE, Asked, Evidence, evidence_key, find_call, outcome_of, read_mark
from fairlead.runtime.wanted import LedgerOptions, Wanted
from fairlead.storage.jobs import Job, JobState, NewJob, Query

T = TypeVar("T")


class BackgroundCall(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A call that is kept, as it stands. Times are in seconds since 1970. `fl.calls.wait` gives its answer."""

    id: str
    #: As `http.post`, `recipes.search`.
    operation: str
    #: `waiting`, `running`, `done`, `dead` (given up, or for a person to look at) or `cancelled`.
    state: str
    #: Whether it was done; None while that is open.
    outcome: Outcome | None
    tenant: str | None
    created_at: float
    #: Not before then.
    run_at: float
    finished_at: float | None
    #: From 0 to 1.
    progress: float
    #: How often it was tried in vain.
    failures: int
    #: Something was sent, and what came of it is not known.
    is_in_doubt: bool
    #: The code and the sentence of the last error.
    error: str | None


def stand(job: Job) -> BackgroundCall[Any]:
    """Return how a call stands."""
    return BackgroundCall(
        id=job.subject or "",
        operation=job.name,
        state=job.state.name.lower(),
        outcome=outcome_of(job),
        tenant=job.source or None,
        created_at=job.created_at,
        run_at=job.run_at,
        finished_at=job.finished_at,
        progress=1.0 if job.state is JobState.DONE else job.progress,
        failures=job.failures,
        is_in_doubt=bool(job.mark) and job.state is not JobState.DONE,
        error=job.error,
    )


async def enqueue(ledger: Ledger, record: Record | None, call: Call, options: LedgerOptions) -> BackgroundCall[Any]:
    """Keep a call for later, or return the one that has its key."""
    assert record is not None  # noqa: S101  # what cannot be kept has been refused
    run_at = options.get("run_at")
    if isinstance(run_at, dt.datetime):
        if run_at.tzinfo is None:
            raise errors.InvalidArgumentError("run_at has no time zone.", hint="Use datetime.now(UTC) + ...")
        run_at = run_at.timestamp()
    job, _ = await ledger.keep(record, call, run_at=run_at)
    ledger.desk.wake()
    return stand(job)


class BackgroundCalls:
    """`fl.calls`: every call that is kept, in the background or with an idempotency key."""

    def __init__(self, ledger: Ledger, desk: Desk, revive: Callable[[Asked], Wanted]) -> None:
        self._ledger = ledger
        self._revive = revive
        self._desk = desk
        self._clock = desk.ports.clock

    @property
    def on_settled(self) -> list[Callable[[CallSettled], None]]:
        """What is called when a call in doubt is settled; it must be quick, and must not raise."""
        return self._ledger.settler.on_settled

    async def get(self, call_id: str) -> BackgroundCall[Any]:
        """Return how a call stands; raise `UnknownCallError` where none has this id."""
        return stand(await self._job(call_id))

    @overload
    async def wait(self, call: BackgroundCall[T], *, deadline_s: float | None = None) -> T: ...

    @overload
    async def wait(self, call: str, *, deadline_s: float | None = None) -> Any: ...

    async def wait(self, call: BackgroundCall[Any] | str, *, deadline_s: float | None = None) -> Any:
        """Return the answer of a call, once it is there; raise the error with which it ended.

        Raises `DeadlineExceededError` where that takes longer than `deadline_s`; the call goes on.
        """
        job = await self._job(call if isinstance(call, str) else call.id)
        deadline = None if deadline_s is None else Deadline.after(deadline_s, now=self._clock.monotonic())
        ended = await self._ledger.until_over(job, deadline)
        if ended is None:
            raise errors.DeadlineExceededError("The call goes on.", hint="Wait longer, or look at it later.")
        conclusion = conclusion_of(ended)
        return record_of(self._revive(unpack(ended.payload, Asked))).unpack(conclusion.value)

    async def list(
        self,
        *,
        operation: str | None = None,
        state: JobState | None = None,
        tenant: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[BackgroundCall[Any]]:
        """Return the newest calls that fit; `before` is the id of the last one seen."""
        last = (await self._job(before)).id if before is not None else None
        query = Query(kind=KIND, name=operation, state=state, source=tenant, before=last, limit=limit)
        return [stand(job) for job in await self._desk.store.list(query)]

    async def cancel(self, call_id: str) -> bool:
        """Cancel a call that is not over; False where it is. One that is being settled cannot be taken back."""
        job = await self._job(call_id)
        if job.mark and job.state is JobState.WAITING:
            raise errors.UsageError(
                "It may have been done already, and is being settled.", hint="Wait until that is known."
            )
        return await self._desk.store.cancel(job.id)

    async def retry(self, call_id: str) -> bool:
        """Try a call again that was given up or cancelled; False where it is neither.

        What may have been done is not sent again: the vendor is asked once more. A call that somebody had waited for,
        and that was not done, is repeated by them, with its key.
        """
        job = await self._job(call_id)
        if job.state not in {JobState.DEAD, JobState.CANCELLED}:
            return False
        if not job.mark and unpack(job.payload, Asked).is_foreground:
            raise errors.UsageError("It was not made in the background.", hint="Repeat it with its idempotency key.")
        return bool(await self._again(call_id, job.state))

    async def settle(
        self, call_id: str, outcome: Outcome, *, evidence: str, value: Any = None, served_by: str = ""
    ) -> bool:
        """Say what became of a call whose outcome is unknown: a webhook has told, or a person has asked the vendor.

        Durable once this returns; the call is ended by whoever works off the jobs. False where it is not in doubt, or
        somebody has said it before. `value` is what the operation would have returned.
        """
        if outcome is Outcome.UNKNOWN:
            raise errors.InvalidArgumentError("That is known already.", hint="Say done or not_done.")
        job = await self._job(call_id)
        mark = read_mark(job)
        if job.state is JobState.DONE or mark is None:
            return False
        packed = b"" if value is None else pack(value)
        known = Evidence(outcome=outcome, says=evidence, value=packed, served_by=served_by)
        new = NewJob(
            kind=SETTLE,
            source="",
            name=job.name,
            key=evidence_key(call_id, mark),
            run_at=self._clock.wall(),
            payload=pack(known),
        )
        (added,) = await self._desk.store.add([new])
        self._desk.wake()
        return added.is_new

    async def _again(self, call_id: str, state: JobState) -> int:
        """Put a call in line anew, if it still is in that state: one that was done since would be done twice."""
        query = Query(kind=KIND, subject=call_id, state=state, limit=1)
        changed = await self._desk.store.again(query, run_at=self._clock.wall())
        self._desk.wake()
        return changed

    async def _job(self, call_id: str) -> Job:
        job = await find_call(self._desk.store, call_id)
        if job is None:
            raise errors.UnknownCallError(f"No call has the id {call_id!r}.", hint="`fairlead calls list` has them.")
        return job
