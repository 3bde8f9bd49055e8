"""One attempt at one connection: sign, send, judge, learn. What to do next is the pipeline's to say."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import msgspec

from fairlead import errors
from fairlead.auth.sign import sign
from fairlead.model.call import Call
from fairlead.model.entry import Entry
from fairlead.model.exchange import Broken
from fairlead.model.headers import checked_headers
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Failure, Outcome, Phase
from fairlead.runtime.assess import assess
from fairlead.runtime.connection import Connection
from fairlead.runtime.explain import conceal, explain, explain_stumble
from fairlead.runtime.policy import Lease
from fairlead.runtime.ports import Ports
from fairlead.runtime.streams import hold
from fairlead.spec.outcomes import Verdict, Wait, classify
from fairlead.spec.retry_after import parse_retry_after
from fairlead.spec.watch import WATCHING

#: What came, how many seconds it took, when that was over, and the lease that is to be settled.
Answered: TypeAlias = tuple[Response | Broken, float, float, Lease]

# When a request may last reach the vendor is told by when it was written down: that may take so long, in seconds.
_MARK_S = 5.0


class Step(msgspec.Struct, frozen=True, gc=False):
    """Where an operation stands after an exchange: finished, at its next request, or failed.

    It is dropped before anything could refer to it, so the garbage collector need not know it.
    """

    verdict: Verdict
    error: errors.FairleadError | None = None
    next: Request | None = None
    value: Any = None


async def exchange(
    call: Call, connection: Connection, lease: Lease, request: Request, ports: Ports, started: float, left: int
) -> Answered:
    """Sign and send one request.

    A cancelled exchange is no attempt: its lease is given back. A stream keeps its place until it is read.
    """
    clock = ports.clock
    timeout_s = (call.deadline.at_s - started) / left
    attempt_s = connection.policy.attempt_s
    if timeout_s > attempt_s and request.content is None:  # one that sends a stream takes as long as that
        timeout_s = attempt_s
    is_held = False
    try:
        wanted = request
        if connection.adds_headers or request.idempotency_key:
            wanted = dressed(request, connection)
        if connection.policy.passes_deadline:
            wanted = with_deadline(wanted, timeout_s)
        if connection.is_signed:
            provider = connection.provider
            base_url, now = provider.base_url, clock.wall()
            wanted = sign(wanted, provider.auth, connection.credentials, base_url=base_url, now=now)
        answer = await connection.transport.exchange(wanted, timeout_s=timeout_s if timeout_s > 0 else 0.0)
        if request.is_streamed and isinstance(answer, Response) and answer.stream is not None:
            left_s = timeout_s - (clock.monotonic() - started)
            answer = await hold(request, answer, connection, timeout_s=left_s)
            is_held = isinstance(answer, Response) and answer.stream is not None
        finished = clock.monotonic()
        if connection.concurrency.is_adaptive:
            connection.concurrency.record(finished - started, now=finished, is_drop=_is_drop(answer))
    except BaseException:
        connection.forget(lease)
        raise
    finally:
        if not is_held:
            connection.leave_line()
    return answer, finished - started, finished, lease


async def mark(entry: Entry, call: Call, connection: Connection, lease: Lease, ports: Ports) -> None:
    """Let a request that acts be written down before it leaves; where it cannot be, the lease is given back."""
    left_s = call.deadline.remaining(ports.clock.monotonic())
    try:
        async with asyncio.timeout(min(left_s, _MARK_S)):
            await entry.mark(connection.name, within_s=min(left_s, _MARK_S + connection.policy.attempt_s))
    except BaseException as error:
        connection.forget(lease)
        connection.leave_line()
        if isinstance(error, TimeoutError):
            raise errors.StorageError("The ledger did not answer in time.") from None
        raise


def _is_drop(answer: Response | Broken) -> bool:
    """Whether the vendor has more to do than it can."""
    if isinstance(answer, Broken):
        return answer.failure is Failure.TIMEOUT
    return answer.status in {429, 503}


def dressed(request: Request, connection: Connection) -> Request:
    """Return the request with the vendor's fixed headers, and its idempotency key: the same in every repeat."""
    header = connection.provider.idempotency_header
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
    if verdict.error is not None or isinstance(answer, Broken):  # the latter never without the former
        error = explain(verdict, answer, connection)
        error.response = None if isinstance(answer, Broken) else answer
        return Step(verdict, error)
    WATCHING.watch = connection.watch
    try:
        return Step(verdict, None, operation.send(answer))
    except StopIteration as ended:
        return Step(verdict, None, None, ended.value)
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
    finally:
        WATCHING.watch = None


def was_cut_short(answer: Response | Broken, seconds: float, connection: Connection) -> bool:
    """Whether an attempt ran into the call's deadline before the connection's own limit."""
    is_timeout = isinstance(answer, Broken) and answer.failure is Failure.TIMEOUT
    return is_timeout and seconds < connection.policy.attempt_s


def learn(
    connection: Connection, lease: Lease, step: Step, answer: Response | Broken, seconds: float, ports: Ports,
    *, was_cut_short: bool,
) -> float | None:  # fmt: skip
    """Tell the connection how an attempt failed; return the wait that the vendor asked for, where it did."""
    asked = None
    if step.verdict.wait is Wait.RETRY_AFTER and isinstance(answer, Response):
        asked = parse_retry_after(answer.headers, now=ports.clock.wall())
    if was_cut_short:
        connection.release(lease)
    elif step.error is not None:
        connection.settle(lease, step.verdict, seconds=seconds, message=step.error.message, retry_after_s=asked)
    return asked


def wait_after(
    connection: Connection, verdict: Verdict, asked: float | None, failures: int, ports: Ports
) -> float | None:
    """Return the seconds after which a repeat makes sense, or None where the outcome names no wait."""
    if verdict.wait is Wait.QUOTA_RESET:
        return connection.quota_wait_s()
    if verdict.wait is Wait.NOTHING:
        return None
    paused_s = connection.pause.retry_after_s(ports.clock.monotonic())
    return max(paused_s, connection.retry.wait_s(failures, ports.random, asked_s=asked))
