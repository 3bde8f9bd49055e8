"""The way of a call through the connections that may serve it: one flat coroutine over small state machines.

For each connection in order: take leave (pause, breaker, concurrency, rate limit), sign, send, judge, learn; then go
on with the operation, repeat the request, or leave for the next connection, as the outcome allows. Waiting happens in
line, in backoff and at the socket, all of it bounded by the call's one deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any

from fairlead import errors
from fairlead.model.call import Call
from fairlead.model.exchange import Broken
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.observe.events import AttemptFinished, RetryDecided
from fairlead.resilience.budget import AFTER_REFUSAL, AFTER_TIMEOUT
from fairlead.runtime.attempt import Answered, Step, exchange, judge, learn, mark, wait_after, was_cut_short
from fairlead.runtime.care import exchange_with_care
from fairlead.runtime.connection import Connection
from fairlead.runtime.doubt import NO_DOUBT, Doubt
from fairlead.runtime.drift import tell_drift
from fairlead.runtime.policy import Lease
from fairlead.runtime.ports import Ports
from fairlead.runtime.streams import is_repeatable, let_go
from fairlead.runtime.trail import Trail

# Python 3.11 looks the members of an enumeration up slowly.
_READ = Effect.READ

Begin = Callable[[Connection], Operation[Any]]


async def perform(
    call: Call, candidates: Sequence[Connection], begin: Begin, trail: Trail, ports: Ports, *, may_wait: bool = True
) -> tuple[Any, Connection]:
    """Return the operation's value, and the connection that gave it; raise the error that the caller shall see.

    When connections were refused by us (circuit open, paused, no turn) and no other could serve, it waits for the
    first of them that may serve again, if the deadline and `may_wait` allow, and begins another round.
    """
    failed: list[errors.FairleadError] = []
    waiting: Sequence[Connection] = candidates
    rounds = 0
    while True:
        rounds += 1
        met: dict[Connection, errors.FairleadError] = {}
        left = len(waiting)
        for connection in waiting:
            if ports.clock.monotonic() >= call.deadline.at_s:
                raise too_late(call, failed, trail)
            try:
                return await serve(call, connection, begin, trail, ports, left), connection
            except errors.FairleadError as error:
                failed.append(error)
                met[connection] = error
                if error.is_request_fault:
                    raise
            left -= 1
        if call.deadline.is_past(ports.clock.monotonic()):
            raise too_late(call, failed, trail)
        pause_s = until_next_round(call, met, candidates[-1], rounds, ports) if may_wait else None
        if pause_s is None:
            raise summarise(failed)
        await wait(pause_s, trail, ports)
        waiting = [connection for connection, error in met.items() if error.retry_after_s is not None]


def until_next_round(
    call: Call, met: Mapping[Connection, errors.FairleadError], last: Connection, rounds: int, ports: Ports
) -> float | None:
    """Return the seconds until another round makes sense, or None where none does before the deadline.

    A probe that is out may end any moment, so that the wait would be 0: the backoff keeps the waiters from a stampede.
    """
    refusals = [error for error in met.values() if isinstance(error, errors.RejectedError)]
    waits = [error.retry_after_s for error in refusals if error.retry_after_s is not None]
    if not waits:
        return None
    pause_s = min(waits) + last.retry.backoff_s(rounds, ports.random)
    return pause_s if call.deadline.allows(pause_s, ports.clock.monotonic()) else None


async def serve(call: Call, connection: Connection, begin: Begin, trail: Trail, ports: Ports, left: int) -> Any:
    """Drive the operation at one connection to its value; raise where this connection cannot give it.

    `left` counts the connections still to be tried, this one included: each gets its share of the time left.
    """
    visit = Visit(call, connection, trail, ports, left)
    operation: Operation[Any] | None = None
    restarts = 0
    try:
        operation, request = visit.opened(begin)
        now = ports.clock.monotonic()
        connection.budget.deposit(now)
        while True:
            answer, seconds, finished, lease = await visit.attempt(request, now)
            step = visit.conclude(operation, request, lease, answer, seconds, finished)
            if step.error is not None or connection.quota is not None:
                await visit.settle(lease, step, answer)
            if step.error is None:
                if step.next is None:
                    return step.value
                request, visit.failures, now = step.next, restarts, ports.clock.monotonic()
                continue
            if not visit.may_repeat(request, step):
                raise step.error
            await wait(step.error.retry_after_s or 0.0, trail, ports)
            if getgeneratorstate(operation) == GEN_CLOSED:  # by an answer it could not read; nothing was done yet
                restarts = visit.failures
                operation, request = visit.opened(begin)
            now = ports.clock.monotonic()
    except StopIteration as ended:  # an operation that needs no request
        return ended.value
    except errors.FairleadError as error:
        final = visit.final_error(error)
        if final is error:
            raise
        raise final from error
    finally:
        close(operation)


class Visit:
    """One operation at one connection: what came of it so far."""

    __slots__ = ("call", "connection", "doubt", "failures", "left", "ports", "trail")

    def __init__(self, call: Call, connection: Connection, trail: Trail, ports: Ports, left: int) -> None:
        self.call = call
        self.connection = connection
        self.trail = trail
        self.ports = ports
        self.left = left
        self.doubt = NO_DOUBT
        #: Tries of the present request that failed.
        self.failures = 0

    def opened(self, begin: Begin) -> tuple[Operation[Any], Request]:
        """Return an operation and what it asks first; that the vendor lacks the feature is written down."""
        try:
            operation = begin(self.connection)
            return operation, next(operation)
        except errors.UnsupportedFeatureError as error:
            self._note_refusal(error)
            raise

    def attempt(self, request: Request, now: float) -> Coroutine[Any, Any, Answered]:
        """Take leave and have an exchange; to be awaited at once. Mostly nothing else is to be awaited than that."""
        call, connection, ports = self.call, self.connection, self.ports
        left = 1 if self.doubt.has_any else self.left  # no other may be asked any more
        lease = None if call.drill else connection.try_admit(now, call, request)
        if lease is not None and connection.is_plain and call.entry is None:
            return exchange(call, connection, lease, request, ports, now, left)
        return self._attempt_with_care(request, lease, now, left)

    async def _attempt_with_care(self, request: Request, lease: Lease | None, now: float, left: int) -> Answered:
        """Wait in line if need be, and have an exchange, or what takes its place."""
        call, connection, ports = self.call, self.connection, self.ports
        if lease is None:
            lease = await self._take_leave(request, now, left)
            now = ports.clock.monotonic()
        if call.entry is not None and request.effect is not Effect.READ:
            await mark(call.entry, call, connection, lease, ports)
            now = ports.clock.monotonic()
        if connection.is_plain:
            return await exchange(call, connection, lease, request, ports, now, left)
        return await exchange_with_care(call, connection, lease, request, self.trail, ports, started=now, left=left)

    async def _take_leave(self, request: Request, now: float, left: int) -> Lease:
        """Take leave for one attempt, waiting in line if need be; a refusal is written down."""
        call, ports = self.call, self.ports
        try:
            if self.connection.name in call.drill:
                raise errors.DrillError(hint="It was treated as failed because the call's drill names it.")
            remaining_s = call.deadline.remaining(now)
            return await self.connection.admit(call, request, remaining_s=remaining_s, is_last=left == 1)
        except errors.RejectedError as error:
            self._note_refusal(error)
            raise
        finally:
            self.trail.waited_s += ports.clock.monotonic() - now

    def _note_refusal(self, error: errors.FairleadError) -> None:
        attempt = self.trail.note(self.connection, error=error)
        event = AttemptFinished(call_id=self.call.id, operation=self.call.operation, attempt=attempt)
        self.ports.events.emit(event)

    def conclude(
        self,
        operation: Operation[Any],
        request: Request,
        lease: Lease,
        answer: Response | Broken,
        seconds: float,
        finished: float,
    ) -> Step:
        """Judge an exchange, learn from it, and write it down; an error gets the wait before a repeat makes sense."""
        call, connection, ports = self.call, self.connection, self.ports
        step = judge(connection, operation, request, answer)
        error = step.error
        self.trail.vendor_s += seconds
        if connection.learned is not None:
            connection.note_limits(step.verdict, answer)
        if error is None:
            connection.settle_good(lease, seconds, finished)
        else:
            self.failures += 1
            cut_short = call.is_hurried and was_cut_short(answer, seconds, connection)
            asked = learn(connection, lease, step, answer, seconds, ports, was_cut_short=cut_short)
            error.retry_after_s = wait_after(connection, step.verdict, asked, self.failures, ports)
        attempt = self.trail.note(connection, step.verdict.outcome, error, answer, seconds)
        if ports.events.sinks:
            ports.events.emit(AttemptFinished(call_id=call.id, operation=call.operation, attempt=attempt))
            tell_drift(call, connection, ports)
        if error is not None or request.effect is not _READ:  # a read that is done leaves no doubt
            if self.doubt is NO_DOUBT:
                self.doubt = Doubt()
            self.doubt.learn(request.effect, step.verdict.outcome, error)
        return step

    async def settle(self, lease: Lease, step: Step, answer: Response | Broken) -> None:
        """Close what nobody will be given, and settle the quota."""
        if step.error is not None:
            await let_go(answer)
        if self.connection.quota is not None:
            await self.connection.settle_quota(lease, step.verdict, answer)

    def may_repeat(self, request: Request, step: Step) -> bool:
        """Whether the same request should go to the same connection again, and the budget has paid for it.

        Not where another can serve at once, and this one asked to be left alone, has no turn free under its rate
        limit, or has just let the time run out.
        """
        error, connection, doubt = step.error, self.connection, self.doubt
        if not step.verdict.may_repeat or error is None or self.failures >= connection.retry.max_attempts:
            return False
        wait_s = error.retry_after_s or 0.0
        if not self.call.deadline.allows(wait_s, self.ports.clock.monotonic()) or not is_repeatable(request):
            return False
        if doubt.has_acted and isinstance(error, errors.UnexpectedAnswerError):
            return False
        was_late = isinstance(error, errors.AttemptTimeoutError)
        if self.left > 1 and not doubt.has_any and (was_late or connection.busy_s() > 0):
            return False
        is_paid = connection.budget.withdraw(AFTER_TIMEOUT if was_late else AFTER_REFUSAL)
        self.ports.events.emit(
            RetryDecided(
                call_id=self.call.id, connection=connection.name, is_paid=is_paid, wait_s=wait_s, cause=error.code
            )
        )
        return is_paid

    def final_error(self, error: errors.FairleadError) -> errors.FairleadError:
        """Return the error with which the connection is left, saying to whom it happened."""
        return self.doubt.final_error(error).locate(
            provider=self.connection.provider.id,
            connection=self.connection.name,
            operation=self.call.operation,
            call_id=self.call.id,
            attempts=tuple(self.trail.attempts),
        )


def close(operation: Operation[Any] | None) -> None:
    """End an operation that may be in the middle of something."""
    if operation is not None:
        operation.close()


def too_late(call: Call, failed: list[errors.FairleadError], trail: Trail) -> errors.FairleadError:
    """Return the error of a call whose time is over, with what it had met until then."""
    last = f" Before that, {failed[-1].connection}: {failed[-1].message}" if failed else ""
    error = errors.DeadlineExceededError(
        f"The deadline passed.{last}", hint="Give the call more time: deadline_s.", outcome=Outcome.NOT_DONE
    )
    error.__cause__ = failed[-1] if failed else None
    return error.locate(operation=call.operation, call_id=call.id, attempts=tuple(trail.attempts))


def summarise(failed: list[errors.FairleadError]) -> errors.FairleadError:
    """Return one error for several connections that failed; a lone failure speaks for itself."""
    by_connection = {error.connection: error for error in failed}
    if len(by_connection) == 1 or all(isinstance(error, errors.UnsupportedFeatureError) for error in failed):
        return failed[-1]
    reasons = "; ".join(f"{name}: {error.message.rstrip('.')}" for name, error in by_connection.items())
    waits = [error.retry_after_s for error in by_connection.values() if error.retry_after_s is not None]
    summary = errors.UnavailableError(
        f"No connection could serve this. {reasons}.",
        hint="`fairlead check` tries each of them.",
        outcome=Outcome.NOT_DONE,
        retry_after_s=min(waits, default=None),
    )
    summary.__cause__ = failed[-1]
    return summary.locate(operation=failed[-1].operation, call_id=failed[-1].call_id, attempts=failed[-1].attempts)


async def wait(seconds: float, trail: Trail, ports: Ports) -> None:
    """Wait between attempts."""
    trail.waited_s += seconds
    await ports.clock.sleep(seconds)
