"""The way of a call through the connections that may serve it: one flat coroutine over small state machines.

For each connection in order: take leave (pause, breaker, concurrency, rate limit), sign, send, judge, learn; then go
on with the operation, repeat the request, or leave for the next connection, as the outcome allows. Waiting happens in
line, in backoff and at the socket, all of it bounded by the call's one deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import count
from typing import Any

import msgspec

from fairlead import errors
from fairlead.auth.sign import sign
from fairlead.model.attempt import Attempt
from fairlead.model.call import Call
from fairlead.model.exchange import Broken
from fairlead.model.headers import checked_headers
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Failure, Outcome, Phase
from fairlead.observe.events import AttemptFinished
from fairlead.runtime.assess import assess
from fairlead.runtime.connection import Connection, Lease
from fairlead.runtime.doubt import Doubt
from fairlead.runtime.drift import tell_drift
from fairlead.runtime.explain import conceal, explain, explain_stumble
from fairlead.runtime.ports import Ports
from fairlead.runtime.streams import hold, is_repeatable, longest_s
from fairlead.spec.outcomes import Verdict, Wait, classify
from fairlead.spec.retry_after import parse_retry_after

Begin = Callable[[Connection], Operation[Any]]


class Trail:
    """What a call has been through: its attempts, and the seconds it spent at vendors and waiting.

    `batch_id` is the call that asked for several at once, where this one was joined into it.
    """

    __slots__ = ("attempts", "batch_id", "vendor_s", "waited_s")

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.batch_id: str | None = None
        self.vendor_s = 0.0
        self.waited_s = 0.0

    def note(
        self,
        connection: Connection,
        *,
        outcome: Outcome = Outcome.NOT_DONE,
        error: errors.FairleadError | None = None,
        answer: Response | Broken | None = None,
        seconds: float = 0.0,
    ) -> Attempt:
        """Write an attempt down; without an answer it is our refusal."""
        attempt = Attempt(
            connection=connection.name,
            outcome=outcome,
            seconds=seconds,
            was_tried=answer is not None,
            status=answer.status if isinstance(answer, Response) else None,
            error=error.code if error else None,
        )
        self.attempts.append(attempt)
        return attempt


class Step(msgspec.Struct, frozen=True):
    """Where an operation stands after an exchange: finished, at its next request, or failed."""

    verdict: Verdict
    error: errors.FairleadError | None = None
    next: Request | None = None
    value: Any = None


async def perform(
    call: Call, candidates: Sequence[Connection], begin: Begin, trail: Trail, ports: Ports, *, may_wait: bool = True
) -> tuple[Any, Connection]:
    """Return the operation's value, and the connection that gave it; raise the error that the caller shall see.

    When connections were refused by us (circuit open, paused, no turn) and no other could serve, it waits for the
    first of them that may serve again, if the deadline and `may_wait` allow, and begins another round.
    """
    failed: list[errors.FairleadError] = []
    waiting = list(candidates)
    for rounds in count(1):
        met: dict[Connection, errors.FairleadError] = {}
        for position, connection in enumerate(waiting):
            if call.deadline.is_past(ports.clock.monotonic()):
                raise too_late(call, failed, trail)
            try:
                value = await serve(call, connection, begin, trail, ports, left=len(waiting) - position)
            except errors.FairleadError as error:
                failed.append(error)
                met[connection] = error
                if error.is_request_fault:
                    raise
            else:
                return value, connection
        if call.deadline.is_past(ports.clock.monotonic()):
            raise too_late(call, failed, trail)
        pause_s = until_next_round(call, met, candidates[-1], rounds, ports) if may_wait else None
        if pause_s is None:
            raise summarise(failed)
        await wait(pause_s, trail, ports)
        waiting = [connection for connection, error in met.items() if error.retry_after_s is not None]
    raise AssertionError  # the rounds do not end by themselves


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


async def serve(call: Call, connection: Connection, begin: Begin, trail: Trail, ports: Ports, *, left: int) -> Any:
    """Drive the operation at one connection to its value; raise where this connection cannot give it.

    `left` counts the connections still to be tried, this one included: each gets its share of the time left.
    """
    failures = restarts = 0
    doubt = Doubt()
    operation = begun(begin, connection)
    try:
        request = first_request(call, operation, connection, trail, ports)
        while True:
            share = 1 if doubt.has_any else left  # no other may be asked any more
            lease = await take_leave(call, connection, trail, ports, left=share)
            answer, seconds = await exchange(call, connection, lease, request, trail, ports, left=share)
            step = judge(connection, operation, request, answer)
            cut_short = call.is_hurried and was_cut_short(answer, seconds, connection)
            took_s = None if cut_short else seconds
            wait_s = learn(connection, lease, step, answer, failures + 1, ports, took_s=took_s)
            attempt = trail.note(
                connection, outcome=step.verdict.outcome, error=step.error, answer=answer, seconds=seconds
            )
            ports.events.emit(AttemptFinished(call_id=call.id, operation=call.operation, attempt=attempt))
            tell_drift(call, connection, ports)
            doubt.learn(request.effect, step.verdict.outcome, step.error)
            if step.error is None:
                if step.next is None:
                    return step.value
                request, failures = step.next, restarts
                continue
            failures += 1
            step.error.retry_after_s = wait_s
            has_time = call.deadline.allows(wait_s or 0.0, ports.clock.monotonic())
            has_tries = failures < connection.retry.max_attempts and is_repeatable(request)
            may_leave = left > 1 and not doubt.has_any
            if not (has_time and has_tries and may_repeat(step, connection, doubt, may_leave=may_leave)):
                raise step.error
            await wait(wait_s or 0.0, trail, ports)
            if getgeneratorstate(operation) == GEN_CLOSED:  # by an answer it could not read; nothing was done yet
                operation, restarts = begun(begin, connection), failures
                request = first_request(call, operation, connection, trail, ports)
    except StopIteration as ended:  # an operation that needs no request
        return ended.value
    except errors.FairleadError as error:
        final = doubt.final_error(error).locate(
            provider=connection.provider.id,
            connection=connection.name,
            operation=call.operation,
            call_id=call.id,
            attempts=tuple(trail.attempts),
        )
        if final is error:
            raise
        raise final from error
    finally:
        operation.close()


def begun(begin: Begin, connection: Connection) -> Operation[Any]:
    """Return the operation such that even a refusal to make it comes from its first step."""
    return (yield from begin(connection))


def first_request(call: Call, operation: Operation[Any], connection: Connection, trail: Trail, ports: Ports) -> Request:
    """Return what the operation asks first; that the vendor lacks the feature is written down."""
    try:
        return next(operation)
    except errors.UnsupportedFeatureError as error:
        attempt = trail.note(connection, error=error)
        ports.events.emit(AttemptFinished(call_id=call.id, operation=call.operation, attempt=attempt))
        raise


async def take_leave(call: Call, connection: Connection, trail: Trail, ports: Ports, *, left: int) -> Lease:
    """Take leave for one attempt; a refusal is written down."""
    before = ports.clock.monotonic()
    try:
        if connection.name in call.drill:
            raise errors.DrillError(hint="It was treated as failed because the call's drill names it.")
        return await connection.admit(remaining_s=call.deadline.remaining(before), is_last=left == 1)
    except errors.RejectedError as error:
        attempt = trail.note(connection, error=error)
        ports.events.emit(AttemptFinished(call_id=call.id, operation=call.operation, attempt=attempt))
        raise
    finally:
        trail.waited_s += ports.clock.monotonic() - before


async def exchange(
    call: Call, connection: Connection, lease: Lease, request: Request, trail: Trail, ports: Ports, *, left: int
) -> tuple[Response | Broken, float]:
    """Sign and send one request; return what came and how long it took.

    A cancelled exchange is no attempt: its lease is given back. A stream keeps its place until it is read.
    """
    started = ports.clock.monotonic()
    timeout_s = longest_s(request, connection.policy.attempt_s, call.deadline.remaining(started) / left)
    is_held = False
    try:
        provider, now = connection.provider, ports.clock.wall()
        wanted = dressed(request, connection)
        if connection.policy.passes_deadline:
            wanted = with_deadline(wanted, timeout_s)
        signed = sign(wanted, provider.auth, connection.credentials, base_url=provider.base_url, now=now)
        answer = await connection.transport.exchange(signed, timeout_s=timeout_s)
        if isinstance(answer, Response) and answer.stream is not None:
            answer = await hold(request, answer, connection)
            is_held = isinstance(answer, Response) and answer.stream is not None
    except BaseException:
        connection.release(lease)
        raise
    finally:
        if not is_held:
            connection.leave_line()
    seconds = ports.clock.monotonic() - started
    trail.vendor_s += seconds
    return answer, seconds


def dressed(request: Request, connection: Connection) -> Request:
    """Return the request with the vendor's fixed headers, and its idempotency key: the same in every repeat."""
    header = connection.provider.idempotency_header
    if not connection.provider.fixed_headers and not (request.idempotency_key and header):
        return request
    pairs = list(connection.provider.fixed_headers)
    if pairs:
        given = {name.lower() for name, _ in request.headers}
        pairs = [pair for pair in pairs if pair[0].lower() not in given]
    if request.idempotency_key and header:
        pairs += checked_headers(((header, request.idempotency_key),))
    return msgspec.structs.replace(request, headers=(*request.headers, *pairs)) if pairs else request


def with_deadline(request: Request, seconds: float) -> Request:
    """Return the request with what is left of its time, for a gateway like ours; at least a millisecond."""
    kept = (pair for pair in request.headers if pair[0].lower() != "fairlead-deadline-ms")
    left = ("fairlead-deadline-ms", str(max(1, int(seconds * 1000))))
    return msgspec.structs.replace(request, headers=(*kept, left))


def judge(connection: Connection, operation: Operation[Any], request: Request, answer: Response | Broken) -> Step:
    """Classify an exchange, and let the operation read a good answer."""
    verdict = assess(connection.provider, request, answer)
    if verdict.error is not None or isinstance(answer, Broken):
        error = explain(verdict, answer, connection)
        error.response = None if isinstance(answer, Broken) else answer
        return Step(verdict, error)
    try:
        with connection.watch:
            return Step(verdict, next=operation.send(answer))
    except StopIteration as ended:
        return Step(verdict, value=ended.value)
    except errors.UnexpectedAnswerError as error:
        seen = Failure.MALFORMED if error.is_garbled else Failure.CHANGED
        verdict = classify(seen, phase=Phase.ANSWERED, effect=request.effect)
        error.outcome = verdict.outcome
        return Step(verdict, conceal(error, connection))
    except errors.FairleadError as error:  # the provider found a refusal in a good answer, or cannot go on from here
        said_no = isinstance(error, errors.ProviderError)
        error.outcome = error.outcome or (Outcome.NOT_DONE if said_no else verdict.outcome)
        refused = msgspec.structs.replace(verdict, outcome=error.outcome, error=type(error), name="refused in the body")
        return Step(refused, conceal(error, connection))
    except Exception as cause:  # noqa: BLE001  # a provider that stumbles over an answer could not read it
        verdict = classify(Failure.CHANGED, phase=Phase.ANSWERED, effect=request.effect)
        return Step(verdict, explain_stumble(cause, verdict))


def was_cut_short(answer: Response | Broken, seconds: float, connection: Connection) -> bool:
    """Whether an attempt ran into the call's deadline before the connection's own limit."""
    is_timeout = isinstance(answer, Broken) and answer.failure is Failure.TIMEOUT
    return is_timeout and seconds < connection.policy.attempt_s


def learn(
    connection: Connection,
    lease: Lease,
    step: Step,
    answer: Response | Broken,
    failures: int,
    ports: Ports,
    *,
    took_s: float | None,
) -> float | None:
    """Tell the connection how the attempt ended; return the seconds after which a repeat makes sense.

    `took_s` is how long it took; None for one that the caller's haste cut short, which says nothing.
    """
    asked = None
    if step.verdict.wait is Wait.RETRY_AFTER and isinstance(answer, Response):
        asked = parse_retry_after(answer.headers, now=ports.clock.wall())
    if took_s is None:
        connection.release(lease)
    else:
        connection.settle(lease, step.verdict, retry_after_s=asked, seconds=took_s)
    if step.verdict.wait is Wait.QUOTA_RESET:
        return connection.quota_wait_s()
    if step.verdict.wait is Wait.NOTHING:
        return None
    paused_s = connection.pause.retry_after_s(ports.clock.monotonic())
    return max(paused_s, connection.retry.wait_s(failures, ports.random, asked_s=asked))


def may_repeat(step: Step, connection: Connection, doubt: Doubt, *, may_leave: bool) -> bool:
    """Whether the same request should go to the same connection again.

    Not where another can serve at once, and this one asked to be left alone, has no turn free under its rate limit,
    or has just let the time run out.
    """
    if not step.verdict.may_repeat or (doubt.has_acted and isinstance(step.error, errors.UnexpectedAnswerError)):
        return False
    is_busy = connection.busy_s() > 0
    return not (may_leave and (is_busy or isinstance(step.error, errors.AttemptTimeoutError)))


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
