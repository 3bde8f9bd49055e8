"""Joining calls: single reads made within a short while become one request, where the connection says so.

A caller takes part with its own call, deadline and cache entry; the batch is a call of its own, with its own id, at
the same connection. Batching never makes a call fail that would have gone well alone: who is alone in a batch asks
as always, and so does everybody when the vendor refuses the batch as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead import errors
from fairlead.model.answer import Answer
from fairlead.model.attempt import Attempt
from fairlead.model.call import Call
from fairlead.model.message import Request, Response
from fairlead.model.operation import Operation
from fairlead.model.outcome import Outcome
from fairlead.model.ports import Clock
from fairlead.resilience.batch import Batching
from fairlead.runtime.bound import unbound
from fairlead.runtime.connection import Connection
from fairlead.runtime.explain import conceal
from fairlead.runtime.trail import Trail
from fairlead.spec.batch import BatchRule

if TYPE_CHECKING:
    from fairlead.runtime.wanted import CallOptions, Wanted

#: What may lie in the batch and not in each of its parts: a wrong id, a batch too long, no leave for the endpoint.
_OF_THE_BATCH = (
    errors.NotFoundError,
    errors.ConflictError,
    errors.InvalidRequestError,
    errors.ForbiddenError,
    errors.UnexpectedAnswerError,
    errors.AnswerTooLargeError,
    errors.UnsupportedFeatureError,
)

#: Asks for several at once, by their keys; what is left out of the answer does not exist.
AskMany = Callable[[Sequence[Any], Connection], Operation[Mapping[Any, Any]]]


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """How a call may be joined with others of the same operation, connection, tenant and `group`.

    `read` makes this caller's answer of the part that is its own. It waits `window_s` for others at most.
    """

    operation: str
    key: Hashable
    ask: AskMany
    window_s: float
    max_size: int
    group: Hashable = None
    read: Callable[[Any], Answer] | None = None


class _Many(Answer, frozen=True, kw_only=True):
    """The answer to a batch."""

    parts: Mapping[Any, Any]


class _Part(msgspec.Struct, frozen=True):
    """One caller's part of a batch."""

    value: Any
    batch: _Many


class _Alone(msgspec.Struct, frozen=True):
    """To be asked for alone, after these attempts."""

    attempts: tuple[Attempt, ...] = ()


class Joiner:
    """Joins calls. `make` makes the call of a batch."""

    def __init__(self, clock: Clock, make: Callable[[Wanted, CallOptions], Awaitable[Any]]) -> None:
        self._clock = clock
        self._make = make
        self._batching = Batching(clock)

    async def ask(self, wanted: Wanted, join: Join, call: Call, trail: Trail) -> tuple[Answer, Connection] | None:
        """Ask together with others; return None where this call has to be made alone.

        A call that has no time to wait for others is.
        """
        before = self._clock.monotonic()
        left_s = call.deadline.remaining(before)
        if left_s <= join.window_s:
            return None
        names = tuple(each.name for each in wanted.candidates)
        group = (join.operation, names, call.tenant, wanted.may_wait, join.group)
        run = partial(self._ask_many, wanted, join)
        try:
            async with asyncio.timeout(left_s):
                found: _Part | _Alone = await self._batching.ask(
                    group, join.key, run, window_s=join.window_s, max_size=join.max_size, note=call
                )
        except TimeoutError:
            raise errors.DeadlineExceededError(
                "The deadline passed while it was asked for together with others.", outcome=Outcome.NOT_DONE
            ) from None
        except errors.FairleadError as error:  # it names the batch, and is this caller's own object
            trail.batch_id, trail.attempts[:] = error.call_id, (*trail.attempts, *error.attempts)
            error.operation = call.operation
            raise
        finally:
            trail.waited_s += self._clock.monotonic() - before
        if isinstance(found, _Alone):
            trail.attempts += found.attempts
            return None
        return _read(found, join, wanted, trail)

    async def _ask_many(
        self, wanted: Wanted, join: Join, keys: Sequence[Any], calls: Sequence[Call]
    ) -> Mapping[Any, Any]:
        """Make the call of a batch: it may take as long as the most patient of its callers."""
        if len(calls) == 1:
            return {keys[0]: _Alone()}
        left_s = max(each.deadline.remaining(self._clock.monotonic()) for each in calls)
        if not left_s:
            raise errors.DeadlineExceededError(outcome=Outcome.NOT_DONE)
        batch = msgspec.structs.replace(
            wanted,
            operation=join.operation,
            begin=lambda connection: _gathered(join.ask(keys, connection)),
            deadline_s=wanted.deadline_s if all(each.is_hurried for each in calls) else left_s,
            keeping=None,
            join=None,
        )
        said = {each.correlation_id for each in calls}
        options: CallOptions = {
            "deadline_s": left_s,
            "tenant": calls[0].tenant,
            "correlation_id": said.pop() if len(said) == 1 else None,
        }
        try:
            with unbound():  # whoever began the batch may have less time than those who joined it
                many: _Many = await self._make(batch, options)
        except _OF_THE_BATCH as error:
            return dict.fromkeys(keys, _Alone(error.attempts))
        connection = _serving(wanted, many)
        return {key: _part(key, many, connection) for key in keys}


def join_plain(
    connection: Connection, request: Request, read: Callable[[Response], Answer] | None = None
) -> Join | None:
    """Return how a plain request may be joined with others, or None where it may not."""
    policy = connection.policy.batch
    if policy.window_s is None:
        return None
    for rule in policy.rules:
        identifier = rule.identify(request)
        if identifier is not None:
            return Join(
                operation="http.batch",
                key=identifier,
                ask=partial(_ask_by_rule, rule),
                window_s=policy.window_s,
                max_size=policy.max_size,
                group=rule.path,
                read=read,
            )
    return None


def _ask_by_rule(
    rule: BatchRule, identifiers: Sequence[str], _connection: Connection
) -> Operation[Mapping[str, Response]]:
    return rule.ask(identifiers)


def _gathered(operation: Operation[Mapping[Any, Any]]) -> Operation[_Many]:
    return _Many(parts=(yield from operation))


def _serving(wanted: Wanted, many: _Many) -> Connection:
    return next(each for each in wanted.candidates if each.name == many.served_by)


def _part(key: Any, many: _Many, connection: Connection) -> _Part | errors.FairleadError:
    """Return the part of a key, or its error with all that the batch knows of it."""
    part = many.parts[key] if key in many.parts else errors.NotFoundError()
    if not isinstance(part, errors.FairleadError):
        return _Part(part, many)
    part.outcome = part.outcome or Outcome.NOT_DONE
    conceal(part, connection).locate(provider=connection.provider.id, connection=connection.name)
    return part.locate(call_id=many.call.call_id, attempts=many.call.attempts) if many.call else part


def _read(found: _Part, join: Join, wanted: Wanted, trail: Trail) -> tuple[Answer, Connection]:
    """Make the caller's answer of its part, and write down how the batch went."""
    connection = _serving(wanted, found.batch)
    report = found.batch.call
    if report:
        trail.batch_id = report.call_id
        trail.attempts += report.attempts
    try:
        answer: Answer = join.read(found.value) if join.read else found.value
    except errors.FairleadError as error:
        error.outcome = error.outcome or Outcome.NOT_DONE
        conceal(error, connection).locate(provider=connection.provider.id, connection=connection.name)
        raise
    return answer, connection
