"""The ledger: a call that acts has a row before it sends, and one idempotency key is one call.

A concurrent duplicate waits for the first one's answer; a repeat after the end gets what was kept. What was not done,
and may go better another time, is made anew under the same key. An outcome that is unknown is settled: at once where
the deadline allows, else by whoever works off the jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

import msgspec

from fairlead import errors
from fairlead.model.answer import Answer
from fairlead.model.call import CacheUse, Call
from fairlead.model.deadline import Deadline
from fairlead.model.outcome import Outcome
from fairlead.observe.events import CallUnrecorded
from fairlead.runtime.caching import Reply
from fairlead.runtime.connection import Connection
from fairlead.runtime.desk import Desk
from fairlead.runtime.entry import RowEntry
from fairlead.runtime.packing import pack, unpack
from fairlead.runtime.record import Record
from fairlead.runtime.rows import (
    KIND,
    Asked,
    Conclusion,
    conclude,
    error_of,
    line_of,
)
from fairlead.runtime.settling import Settler, evidence_of, looked_again, value_of
from fairlead.runtime.trail import Trail
from fairlead.runtime.wanted import Find, Wanted
from fairlead.spec.settlement import Decision
from fairlead.storage.jobs import Claim, Ending, Job, JobState, NewJob

# A foreground call holds its row for so long, in seconds, and renews that in good time where it takes longer.
_LEASE_S = 60.0
_RENEW_S = 20.0
# Who waits for what another process does looks after so many seconds, and so on.
_LOOK_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# Between the parts of a key that stands for a later try: no header may hold it, so no key does.
_AGAIN = "\x1f"


class Ledger:
    """Keeps calls. `desk` has the store, which is opened at the first need."""

    def __init__(self, desk: Desk, settler: Settler) -> None:
        self.desk = desk
        self.settler = settler
        self._ports = desk.ports
        self._owner: str | None = None
        #: Rows that this process works on, for those who wait for them.
        self._over: dict[int, asyncio.Event] = {}

    def disown(self) -> None:
        """Be another process than the parent, after a fork."""
        self._owner = None
        self._over = {}

    # --- Beginning ------------------------------------------------------------------------------------------------

    async def keep(
        self, record: Record, call: Call, *, run_at: float | None = None, is_claimed: bool = False
    ) -> tuple[Job, bool]:
        """Return the row of a call, and whether it is new: where its key is known, it is the first one's."""
        asked = record.asked
        self._owner = self._owner or self._ports.ids()
        now = self._ports.clock.wall()
        new = NewJob(
            kind=KIND,
            source=asked.tenant or "",
            name=asked.name,
            run_at=now if run_at is None else run_at,
            fingerprint=record.fingerprint,
            subject=call.id,
            payload=pack(asked),
            owner=self._owner if is_claimed else None,
            lease_s=_LEASE_S if is_claimed else 0.0,
        )
        key = call.idempotency_key
        for tries in count():
            if key is not None:
                new = msgspec.structs.replace(new, key=f"{key}{_AGAIN}{tries}" if tries else key)
            async with self._bound(call.deadline, Outcome.NOT_DONE if is_claimed else Outcome.UNKNOWN):
                (added,) = await self.desk.store.add([new])
            job = added.job
            if added.is_new:
                return job, True
            if job.fingerprint != new.fingerprint:
                raise errors.KeyReusedError(hint="Give each request a key of its own.", outcome=Outcome.NOT_DONE)
            if not _is_free_again(job):
                return job, False
        raise AssertionError  # the tries do not end by themselves

    @asynccontextmanager
    async def _bound(self, deadline: Deadline, outcome: Outcome = Outcome.NOT_DONE) -> AsyncIterator[None]:
        """Wait for the store no longer than the call may take; without it, nothing is sent by us.

        A row that others may work off can have been written all the same: then its `outcome` is not known.
        """
        try:
            async with asyncio.timeout(deadline.remaining(self._ports.clock.monotonic())):
                yield
        except TimeoutError:
            raise errors.StorageError("The ledger did not answer before the deadline.", outcome=outcome) from None
        except errors.StorageError as error:
            error.outcome = error.outcome or outcome
            raise

    # --- A call that somebody waits for ---------------------------------------------------------------------------

    async def attend(self, record: Record, find: Find, wanted: Wanted, call: Call, trail: Trail) -> Reply:
        """Make a call by way of the ledger: once, however often it is asked for."""
        job, is_new = await self.keep(record, call, is_claimed=True)
        if not is_new:
            return await self._repeat(job, record, call.deadline)
        entry = RowEntry(self.desk.store, job.claim, call.id, clock=self._ports.clock)
        wanted = msgspec.structs.replace(wanted, begin=entry.counting(record), keeping=None, join=None)
        with self.working_on(job.id):
            try:
                async with self._held(job.claim, call.deadline):
                    reply = await find(wanted, msgspec.structs.replace(call, entry=entry), trail)
            except errors.FairleadError as error:
                async with self._held(job.claim, call.deadline):
                    return await self._after(error, record, wanted, call, entry)
            except asyncio.CancelledError:
                await self._abandon(record, entry)
                raise
            assert reply.answer is not None  # noqa: S101  # nothing but a cache answers with an error
            await self._end_well(record, entry, reply.answer, reply.served_by or "")
            return reply

    async def _after(
        self, error: errors.FairleadError, record: Record, wanted: Wanted, call: Call, entry: RowEntry
    ) -> Reply:
        """Write down how a call failed, and settle it first where that can be done in time."""
        if entry.marked is None or error.outcome is Outcome.NOT_DONE:
            await self._end(record, entry, JobState.DEAD, conclude(error), line_of(error), mark=b"")
            raise error
        if error.outcome is Outcome.DONE:
            await self._end(record, entry, JobState.DONE, conclude(error), line_of(error), mark=b"")
            raise error
        if isinstance(error, errors.OutcomeUnknownError):
            error.settlement_id = call.id
        connection = next(each for each in wanted.candidates if each.name == entry.marked.last.connection)
        return await self._settle(error, record, connection, call, entry)

    async def _settle(
        self, error: errors.FairleadError, record: Record, connection: Connection, call: Call, entry: RowEntry
    ) -> Reply:
        """Look until the deadline; what is not known by then is left to whoever works off the jobs."""
        settler, clock = self.settler, self._ports.clock
        assert entry.marked is not None  # noqa: S101  # only what was marked is in doubt
        settlement = settler.settlement(record, connection)
        while settlement is not None:
            wait_s = max(0.0, settler.next_look_at(entry.marked, settlement) - clock.wall())
            if not call.deadline.allows(wait_s, clock.monotonic()):
                break
            await clock.sleep(wait_s)
            left_s = call.deadline.remaining(clock.monotonic())
            decision, seen = await settler.look(record, entry.marked, connection, call.id, within_s=left_s)
            entry.marked = looked_again(entry.marked)
            if decision is Decision.DONE:
                settler.tell(record, entry.marked, call.id, Outcome.DONE, evidence_of(seen))
                found: Answer = value_of(seen)
                await self._end_well(record, entry, found, connection.name)
                return Reply(found, connection.name)
            if decision is Decision.NOT_DONE:
                settler.tell(record, entry.marked, call.id, Outcome.NOT_DONE, evidence_of(seen))
                refusal = not_done(error, evidence_of(seen))
                await self._end(record, entry, JobState.DEAD, conclude(refusal), line_of(refusal), mark=b"")
                raise refusal from error
            if decision is Decision.GIVE_UP:
                break
        await self._leave(error, record, connection, call, entry)
        raise error

    async def _leave(
        self, error: errors.FairleadError, record: Record, connection: Connection, call: Call, entry: RowEntry
    ) -> None:
        """Leave a call in doubt to whoever works off the jobs, or to a person where nothing can be found out."""
        settler = self.settler
        assert entry.marked is not None  # noqa: S101  # only what was marked is in doubt
        settlement = settler.settlement(record, connection)
        if settlement is None and not settler.is_repeatable(entry.marked, connection):
            settler.tell(record, entry.marked, call.id, Outcome.UNKNOWN, unknowable_reason(record, connection))
            await self._end(record, entry, JobState.DEAD, conclude(error), line_of(error), mark=None)
            return
        now = self._ports.clock.wall()
        run_at = settler.next_look_at(entry.marked, settlement) if settlement else now + 1.0
        ending = Ending(claim=entry.claim, state=JobState.WAITING, run_at=run_at, mark=pack(entry.marked))
        await self._finish(ending, record)

    async def _abandon(self, record: Record, entry: RowEntry) -> None:
        """Write down that nobody waits any more: what may have been done is settled, the rest was not done."""
        if entry.marked is None:
            error = errors.CallCancelledError("The caller left before anything was sent.", outcome=Outcome.NOT_DONE)
            await self._end(record, entry, JobState.DEAD, conclude(error), line_of(error), mark=b"")
            return
        now = self._ports.clock.wall()
        await self._finish(Ending(claim=entry.claim, state=JobState.WAITING, run_at=now), record)

    async def _end_well(self, record: Record, entry: RowEntry, answer: Answer, served_by: str) -> None:
        value = record.pack(answer)
        await self._end(
            record, entry, JobState.DONE, pack(Conclusion(value=value, served_by=served_by)), None, mark=b""
        )

    async def _end(
        self, record: Record, entry: RowEntry, state: JobState, result: bytes, error: str | None, *, mark: bytes | None
    ) -> None:
        await self._finish(Ending(claim=entry.claim, state=state, result=result, error=error, mark=mark), record)

    async def _finish(self, ending: Ending, record: Record) -> None:
        """End a row; where the store fails, the caller still gets the truth, and the row is settled later."""
        try:
            await self.desk.store.finish(ending)
            if ending.state is JobState.WAITING:
                self.desk.wake()
        except errors.StorageError as error:
            name = record.asked.name
            self._ports.events.emit(CallUnrecorded(call_id=str(ending.claim.id), operation=name, reason=error.message))

    # --- A repeat -------------------------------------------------------------------------------------------------

    async def _repeat(self, job: Job, record: Record, deadline: Deadline) -> Reply:
        """Return the first one's answer, once it is there; raise its error, or that it takes longer than this may."""
        ended = await self.until_over(job, deadline)
        if ended is None:
            error = errors.OutcomeUnknownError(
                "A call with this idempotency key is still under way.",
                hint="Ask again with the same key, or wait for it with `fl.calls.wait`.",
                outcome=Outcome.UNKNOWN,
            )
            error.settlement_id = job.subject
            raise error
        conclusion = conclusion_of(ended)
        return Reply(record.unpack(conclusion.value), conclusion.served_by, CacheUse.REPLAYED)

    async def until_over(self, job: Job, deadline: Deadline | None) -> Job | None:
        """Wait until a row is over, and return it whole; None where the deadline comes first."""
        clock = self._ports.clock
        if job.id in self._over:  # this process is at it, and needs not be asked again and again
            left_s = None if deadline is None else deadline.remaining(clock.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._over[job.id].wait()
        for looks in count():
            known = await self.desk.store.find(job.id)
            if known is None:
                raise errors.UnknownCallError(hint="Its retention is over.")
            if known.state.is_over:
                return known
            pause_s = _LOOK_S[min(looks, len(_LOOK_S) - 1)]
            if deadline is not None and not deadline.allows(pause_s, clock.monotonic()):
                return None
            await clock.sleep(pause_s)
        raise AssertionError  # the looks do not end by themselves

    # --- Holding --------------------------------------------------------------------------------------------------

    def working_on(self, identifier: int) -> _Working:
        """Let those who wait for a row in this process know when it is ended here."""
        return _Working(self._over, identifier)

    @asynccontextmanager
    async def _held(self, claim: Claim, deadline: Deadline) -> AsyncIterator[None]:
        """Hold on to a row for as long as its call takes; a call whose row is lost is cancelled."""
        if deadline.remaining(self._ports.clock.monotonic()) <= _LEASE_S - _RENEW_S:
            yield
            return
        main = asyncio.current_task()
        assert main is not None  # noqa: S101  # a coroutine runs in a task
        lost = asyncio.Event()
        keeper = asyncio.ensure_future(self._renew(claim, main, lost))
        try:
            yield
        except asyncio.CancelledError:
            if not lost.is_set():
                raise
            main.uncancel()
            raise errors.CallCancelledError from None
        finally:
            keeper.cancel()

    async def _renew(self, claim: Claim, main: asyncio.Task[object], lost: asyncio.Event) -> None:
        while True:
            await self._ports.clock.sleep(_RENEW_S)
            with suppress(errors.StorageError):  # the next one may go better; at worst another takes it over
                (is_held,) = await self.desk.store.renew([claim], lease_s=_LEASE_S)
                if not is_held:
                    lost.set()
                    main.cancel()
                    return


class _Working:
    """A row that this process works on, while it does."""

    def __init__(self, over: dict[int, asyncio.Event], identifier: int) -> None:
        self._over = over
        self._identifier = identifier

    def __enter__(self) -> None:
        self._event = self._over.setdefault(self._identifier, asyncio.Event())

    def __exit__(self, *_: object) -> None:
        self._over.pop(self._identifier, None)  # it may be worked on twice: after a lease was lost, for one
        self._event.set()


def conclusion_of(job: Job) -> Conclusion:
    """Return how a call that is over went well; raise the error with which it did not."""
    conclusion: Conclusion | None = unpack(job.result, Conclusion) if job.result else None
    if job.state is not JobState.DONE or conclusion is None or conclusion.error is not None:
        raise error_of(job)
    return conclusion


def not_done(error: errors.FairleadError, evidence: str) -> errors.FairleadError:
    """Return the error of a call that turned out not to have been done."""
    return errors.UnavailableError(
        f"It was not done: {evidence}.", hint="It may be tried again.", outcome=Outcome.NOT_DONE
    ).locate(
        provider=error.provider, connection=error.connection, operation=error.operation, attempts=error.attempts
    )  # fmt: skip


def unknowable_reason(record: Record, connection: Connection) -> str:
    """Say why nothing can be found out."""
    declared = record.settlement(connection)
    return getattr(declared, "reason", "") or "The provider has not said how it is found out."


def _is_free_again(job: Job) -> bool:
    """Whether a key stands for a call that was not done, and that its caller may make anew.

    What the vendor refused as wrong would be refused again: that is the answer.
    """
    if job.state not in {JobState.DEAD, JobState.CANCELLED} or job.mark:
        return False
    asked: Asked = unpack(job.payload, Asked)
    if not asked.is_foreground:
        return False
    error = error_of(job)
    return not (isinstance(error, errors.ProviderError) and error.is_request_fault)
