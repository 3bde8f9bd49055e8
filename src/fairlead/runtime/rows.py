"""What stands in the row of a call: what was asked, what may have been sent, and how it ended.

The row's `subject` is the id of the call, by which everybody knows it: the application, the vendor's metadata, the
inbox of webhooks. A row whose mark is not empty may have had its effect; one that is over and has none has not, unless
it is done.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead import errors
from fairlead.model.call import Ref
from fairlead.model.outcome import Effect, Outcome
from fairlead.runtime.packing import pack, unpack
from fairlead.storage.jobs import Job, JobState, JobStore, Query

KIND = "call"
SETTLE = "settle"


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked, so that another process can ask it again. `target` is a capability, or `http:CONNECTION`."""

    target: str
    operation: str
    effect: Effect
    arguments: bytes
    ref: Ref | None = None
    #: Somebody waited for it: once its process is dead, nobody does.
    is_foreground: bool = False
    correlation_id: str = ""
    tenant: str | None = None
    sticky_key: str | None = None
    deadline_s: float | None = None

    @property
    def name(self) -> str:
        """What it is called in events and lists."""
        return f"{self.target.partition(':')[0]}.{self.operation}"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One request that acts, written down before it left. Times are in seconds since 1970."""

    connection: str
    #: Counts the requests of the operation from 1.
    step: int
    effect: Effect
    #: The idempotency key that the vendor gets.
    key: str | None
    at: float
    #: When it may last have reached the vendor.
    late_at: float


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """All that may have had an effect, in order; and how often it was looked for."""

    sent: tuple[Sent, ...]
    looks: int = 0

    @property
    def last(self) -> Sent:
        """The request that is in doubt."""
        return self.sent[-1]


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error, as far as it may be kept."""

    code: str
    message: str
    hint: str = ""
    outcome: Outcome | None = None
    status: int | None = None
    provider: str | None = None
    connection: str | None = None
    operation: str | None = None
    #: Of a payment that was declined: why, in the neutral word and the vendor's.
    decline: str | None = None
    vendor_code: str | None = None


class Conclusion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a call ended: with a packed value, or with an error."""

    value: bytes = b""
    served_by: str = ""
    error: Told | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody knows of a call in doubt: a webhook, a person. `value` is what the operation would have given."""

    outcome: Outcome
    says: str
    value: bytes = b""
    served_by: str = ""


def evidence_key(call_id: str, mark: Mark) -> str:
    """Return the key of what somebody knows of a call: of this sending of it, and of no later one."""
    return f"{call_id}:{mark.last.at!r}"


def read_mark(job: Job) -> Mark | None:
    """Return what may have been sent, where anything may."""
    return unpack(job.mark, Mark) if job.mark else None


def outcome_of(job: Job) -> Outcome | None:
    """Return whether a call was done; None while that is open."""
    if not job.state.is_over:
        return None
    if job.state is JobState.DONE:
        return Outcome.DONE
    return Outcome.UNKNOWN if job.mark else Outcome.NOT_DONE


def tell(error: errors.FairleadError) -> Told:
    """Take from an error what may be kept: never the vendor's answer."""
    return Told(
        code=error.code, message=error.message, hint=error.hint, outcome=error.outcome, status=error.status,
        provider=error.provider, connection=error.connection, operation=error.operation,
        decline=getattr(error, "decline", None), vendor_code=getattr(error, "vendor_code", None),
    )  # fmt: skip


def conclude(error: errors.FairleadError) -> bytes:
    """Return the result of a call that ended with an error."""
    return pack(Conclusion(error=tell(error)))


def line_of(error: errors.FairleadError) -> str:
    """Return an error as a row has it: its code and its sentence."""
    return f"{error.code}: {error}"


def error_of(job: Job) -> errors.FairleadError:
    """Return the error with which a call ended, as it was raised."""
    if job.state is JobState.CANCELLED:
        if job.mark:
            return _unknown(job, "It was cancelled while it was under way")
        return errors.CallCancelledError("The call was cancelled.", outcome=Outcome.NOT_DONE)
    told = unpack(job.result, Conclusion).error if job.result else None
    if told is None:  # set aside by the store itself
        if job.mark:
            return _unknown(job, job.error or "It was given up")
        return errors.UnavailableError(job.error or "It was given up.", outcome=Outcome.NOT_DONE)
    kind, told_of = _KINDS.get(told.code, errors.FairleadError), {}
    if kind is errors.DeclinedError:
        told_of = {"decline": errors.Decline(told.decline or "other"), "vendor_code": told.vendor_code}
    made = kind(told.message, hint=told.hint, outcome=told.outcome, status=told.status, **told_of)
    if isinstance(made, errors.OutcomeUnknownError):
        made.settlement_id = job.subject
    return made.locate(provider=told.provider, connection=told.connection, operation=told.operation)


def _unknown(job: Job, why: str) -> errors.OutcomeUnknownError:
    error = errors.OutcomeUnknownError(
        f"Whether it was done is not known: {why.rstrip('.')}.",
        hint="Ask the vendor, and say it by `fairlead calls settle`.",
        outcome=Outcome.UNKNOWN,
    )
    error.settlement_id = job.subject
    return error


async def find_call(store: JobStore, call_id: str) -> Job | None:
    """Return the row of a call, whole."""
    found = await store.list(Query(kind=KIND, subject=call_id, limit=1))
    return await store.find(found[0].id) if found else None


def _kinds(kind: type[Any]) -> dict[str, type[errors.FairleadError]]:
    found = {kind.code: kind}
    for each in kind.__subclasses__():
        found |= _kinds(each)
    return found


_KINDS = _kinds(errors.FairleadError)
