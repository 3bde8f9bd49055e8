"""Working off calls: those in the background, and those whose outcome is unknown.

A row without a mark is made; one with a mark may have had its effect already, and is made again only where the vendor
makes that harmless. Otherwise somebody who knows is heard (a webhook, a person), or the vendor is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from fairlead import errors
from fairlead.model.answer import Answer
from fairlead.model.outcome import Outcome
from fairlead.runtime.calls import Calls
from fairlead.runtime.connection import Connection
from fairlead.runtime.desk import Desk
from fairlead.runtime.entry import RowEntry
from fairlead.runtime.ledger import not_done, unknowable_reason
from fairlead.runtime.packing import pack, unpack
from fairlead.runtime.record import Record, record_of
from fairlead.runtime.rows import (
    KIND,
    SETTLE,
    Asked,
    Conclusion,
    Evidence,
    Mark,
    Told,
    conclude,
    evidence_key,
    find_call,
    line_of,
    read_mark,
)
from fairlead.runtime.settling import LOOK_AFTER_S, evidence_of, looked_again, value_of
from fairlead.runtime.wanted import Wanted
from fairlead.runtime.work import Runner
from fairlead.spec.settlement import Decision
from fairlead.storage.jobs import Ending, Job, JobState, Query

# The seconds from one try to the next, each up to a tenth longer; when they are used up, the call is given up.
TRY_AFTER_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0)
# How soon a call is looked at again that somebody is just working on.
_SOON_S = 5.0
#: What would fail in the same way again.
_FINAL = (
    errors.UsageError,
    errors.ConfigError,
    errors.FileError,
    errors.DrillError,
    errors.HostBlockedError,
    errors.CallCancelledError,
)


class CallRunner:
    """Runs jobs of the kind `call`, and with `settle` what others know of them."""

    def __init__(self, calls: Calls, desk: Desk, revive: Callable[[Asked], Wanted]) -> None:
        self._calls = calls
        self._settler = calls.ledger.settler
        self._desk = desk
        self._revive = revive
        self._clock = desk.ports.clock

    @property
    def runners(self) -> Mapping[str, Runner]:
        """What each kind of job is worked off by."""
        return {KIND: self.run, SETTLE: self.hurry}

    # --- One turn of a call ---------------------------------------------------------------------------------------

    async def run(self, job: Job) -> Ending:
        """Make a call, or find out what became of it."""
        mark = read_mark(job)
        try:
            asked: Asked = unpack(job.payload, Asked)
            wanted = self._revive(asked)
            record = record_of(wanted)
        except errors.FairleadError as error:  # its connection is gone, or it was kept by another version
            return self._give_up(job, error, mark)
        with self._calls.ledger.working_on(job.id):
            if mark is None:
                if asked.is_foreground:
                    died = errors.UnavailableError(
                        "Its process died before anything was sent.", outcome=Outcome.NOT_DONE
                    )
                    return self._give_up(job, died, None)
                return await self._make(job, asked, wanted, record, None)
            return await self._find_out(job, asked, wanted, record, mark)

    async def _find_out(self, job: Job, asked: Asked, wanted: Wanted, record: Record, mark: Mark) -> Ending:
        """Go on with a call that may have had its effect."""
        known = await self._desk.store.find_key(SETTLE, "", evidence_key(job.subject or "", mark))
        if known is not None:
            return self._heed(job, asked, record, mark, unpack(known.payload, Evidence))
        name = mark.last.connection
        connection = next((each for each in wanted.candidates if each.name == name), None)
        if connection is None:
            return self._leave_open(job, record, mark, f"The connection {name!r} is gone, which alone could be asked.")
        if self._settler.is_repeatable(mark, connection):
            pinned = msgspec.structs.replace(wanted, candidates=(connection,))
            return await self._make(job, asked, pinned, record, mark)
        return await self._look(job, asked, record, mark, connection)

    async def _make(self, job: Job, asked: Asked, wanted: Wanted, record: Record, mark: Mark | None) -> Ending:
        """Make a call, from the start; where it was begun before, with the same keys."""
        call_id = job.subject or ""
        entry = RowEntry(self._desk.store, job.claim, call_id, clock=self._clock, marked=mark)
        wanted = msgspec.structs.replace(wanted, begin=entry.counting(record), keeping=None, join=None)
        try:
            answer = await self._calls.make_again(wanted, asked, call_id, entry)
        except errors.FairleadError as error:
            return self._after(job, wanted, record, entry.marked, error, was_begun=mark is not None)
        if mark is not None:
            self._settler.tell(record, mark, call_id, Outcome.DONE, "the vendor answered the repeat with the same key")
        return self._end_well(job, record, answer, answer.served_by or "")

    def _after(
        self,
        job: Job,
        wanted: Wanted,
        record: Record,
        mark: Mark | None,
        error: errors.FairleadError,
        *,
        was_begun: bool,
    ) -> Ending:
        """Say what follows from a failure. A repeat that is refused says nothing of the request before it."""
        outcome = Outcome.UNKNOWN if was_begun else error.outcome
        if mark is None or outcome is Outcome.NOT_DONE:
            return self._try_later(job, error)
        if outcome is Outcome.DONE:
            result, line = conclude(error), line_of(error)
            return Ending(claim=job.claim, state=JobState.DONE, result=result, error=line, mark=b"")
        connection = next(each for each in wanted.candidates if each.name == mark.last.connection)
        return self._look_later(job, record, mark, connection, str(error))

    def _try_later(self, job: Job, error: errors.FairleadError) -> Ending:
        """Put back what was not done, unless it would fail again."""
        is_final = isinstance(error, _FINAL) or (isinstance(error, errors.ProviderError) and error.is_request_fault)
        if is_final or job.failures >= len(TRY_AFTER_S):
            return self._give_up(job, error, None)
        wait_s = TRY_AFTER_S[job.failures] * (1 + self._desk.ports.random() / 10)
        run_at = self._clock.wall() + max(wait_s, error.retry_after_s or 0.0)
        return Ending(
            claim=job.claim, state=JobState.WAITING, run_at=run_at, error=line_of(error), has_failed=True, mark=b""
        )

    # --- In doubt -------------------------------------------------------------------------------------------------

    async def _look(self, job: Job, asked: Asked, record: Record, mark: Mark, connection: Connection) -> Ending:
        """Ask the vendor what became of a call, where it can be asked and it is time."""
        settlement = self._settler.settlement(record, connection)
        if settlement is None:
            return self._leave_open(job, record, mark, unknowable_reason(record, connection))
        call_id = job.subject or ""
        decision, seen = await self._settler.look(record, mark, connection, call_id)
        mark = looked_again(mark)
        if decision is Decision.DONE:
            self._settler.tell(record, mark, call_id, Outcome.DONE, evidence_of(seen))
            return self._end_well(job, record, value_of(seen), connection.name)
        if decision is Decision.NOT_DONE:
            return self._end_undone(job, asked, record, mark, evidence_of(seen))
        if decision is Decision.GIVE_UP:
            return self._leave_open(job, record, mark, evidence_of(None))
        run_at = self._settler.next_look_at(mark, settlement)
        return Ending(
            claim=job.claim, state=JobState.WAITING, run_at=run_at, error="outcome_unknown: It is being settled.",
            mark=pack(mark),
        )  # fmt: skip

    def _look_later(self, job: Job, record: Record, mark: Mark, connection: Connection, why: str) -> Ending:
        """Put back what is in doubt, or leave it to a person where nothing can be found out."""
        settlement = self._settler.settlement(record, connection)
        if self._settler.is_repeatable(mark, connection):
            mark = looked_again(mark)
            run_at = self._clock.wall() + LOOK_AFTER_S[min(mark.looks, len(LOOK_AFTER_S)) - 1]
        elif settlement is None:
            return self._leave_open(job, record, mark, unknowable_reason(record, connection))
        else:
            run_at = self._settler.next_look_at(mark, settlement)
        return Ending(
            claim=job.claim, state=JobState.WAITING, run_at=run_at, error=f"outcome_unknown: {why}", mark=pack(mark)
        )

    def _heed(self, job: Job, asked: Asked, record: Record, mark: Mark, known: Evidence) -> Ending:
        """End a call as somebody knows it."""
        if known.outcome is Outcome.NOT_DONE:
            return self._end_undone(job, asked, record, mark, known.says)
        self._settler.tell(record, mark, job.subject or "", Outcome.DONE, known.says)
        error = None
        if not known.value:
            error = Told(
                code=errors.UnexpectedAnswerError.code,
                message=f"It was done ({known.says}); what the vendor answered is not known.",
                outcome=Outcome.DONE,
            )
        conclusion = Conclusion(value=known.value, served_by=known.served_by or mark.last.connection, error=error)
        return Ending(claim=job.claim, state=JobState.DONE, result=pack(conclusion), mark=b"")

    def _end_undone(self, job: Job, asked: Asked, record: Record, mark: Mark, evidence: str) -> Ending:
        """End a call that turned out not to have been done; in the background it is tried again."""
        self._settler.tell(record, mark, job.subject or "", Outcome.NOT_DONE, evidence)
        error = not_done(errors.FairleadError().locate(connection=mark.last.connection, operation=job.name), evidence)
        return self._give_up(job, error, None) if asked.is_foreground else self._try_later(job, error)

    def _leave_open(self, job: Job, record: Record, mark: Mark, why: str) -> Ending:
        """Set a call aside whose outcome nobody can find out: a person has to say."""
        self._settler.tell(record, mark, job.subject or "", Outcome.UNKNOWN, why)
        error = errors.OutcomeUnknownError(
            f"Whether it was done is not known. {why}",
            hint="Ask the vendor, and say it by `fairlead calls settle`.",
            outcome=Outcome.UNKNOWN,
        )
        return self._give_up(job, error.locate(connection=mark.last.connection, operation=job.name), mark)

    # --- The end --------------------------------------------------------------------------------------------------

    def _end_well(self, job: Job, record: Record, answer: Answer, served_by: str) -> Ending:
        conclusion = Conclusion(value=record.pack(answer), served_by=served_by)
        return Ending(claim=job.claim, state=JobState.DONE, result=pack(conclusion), mark=b"")

    def _give_up(self, job: Job, error: errors.FairleadError, mark: Mark | None) -> Ending:
        """Set a call aside; what may have been sent stays written down."""
        if mark is not None and not isinstance(error, errors.OutcomeUnknownError):
            error = errors.OutcomeUnknownError(
                f"Whether it was done is not known: {error.message}", hint=error.hint, outcome=Outcome.UNKNOWN
            )
        return Ending(
            claim=job.claim,
            state=JobState.DEAD,
            result=conclude(error),
            error=line_of(error),
            has_failed=True,
            mark=b"" if mark is None else pack(mark),
        )

    # --- What others know -----------------------------------------------------------------------------------------

    async def hurry(self, job: Job) -> Ending:
        """See to it that a call takes note of what somebody knows of it: now, and not when it would look next."""
        store, call_id = self._desk.store, (job.key or "").partition(":")[0]
        call = await find_call(store, call_id)
        if call is None or call.state is JobState.DONE or not call.mark:
            return Ending(claim=job.claim, state=JobState.DONE)
        state = call.state
        if state is JobState.WAITING and await store.cancel(call.id):
            state = JobState.CANCELLED  # only what is over can be put in line anew; its mark stays
        if state in {JobState.CANCELLED, JobState.DEAD}:  # and not what was done since: it would be done twice
            await store.again(Query(kind=KIND, subject=call_id, state=state, limit=1), run_at=self._clock.wall())
        return Ending(claim=job.claim, state=JobState.WAITING, run_at=self._clock.wall() + _SOON_S)
