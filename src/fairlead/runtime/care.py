"""Attempts that are more than one exchange: hedged reads, and trouble made on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from fairlead.model.attempt import Attempt
from fairlead.model.call import Call
from fairlead.model.exchange import Broken
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response
from fairlead.model.outcome import Effect, Failure, Outcome, Phase
from fairlead.observe.events import ChaosApplied, Hedged
from fairlead.resilience.chaos import Corrupt, Fail, LoseAnswer, Trouble, damaged
from fairlead.resilience.hedge import Hedge
from fairlead.runtime.attempt import Answered, exchange
from fairlead.runtime.connection import Connection
from fairlead.runtime.policy import Lease
from fairlead.runtime.ports import Ports
from fairlead.runtime.trail import Trail

_Running: TypeAlias = "asyncio.Task[Answered]"


def _answer(status: int) -> Response:
    return Response(status=status, headers=Headers([("content-type", "application/json")]), body=b"{}")


#: What a rule of chaos can let an exchange come to, by the code of the error that follows.
FAILURES: Mapping[str, Response | Broken] = {
    "connect": Broken(Failure.REFUSED, Phase.CONNECTING, "chaos"),
    "connection_lost": Broken(Failure.RESET, Phase.CONNECTING, "chaos"),
    "attempt_timeout": Broken(Failure.TIMEOUT, Phase.CONNECTING, "chaos"),
    "authentication": _answer(401),
    "quota_exhausted": _answer(402),
    "forbidden": _answer(403),
    "not_found": _answer(404),
    "throttled": _answer(429),
    "unavailable": _answer(503),
}
# What the vendor did is not known, as after a timeout.
_LOST = Broken(Failure.TIMEOUT, Phase.WAITING, "chaos")


async def exchange_with_care(
    call: Call, connection: Connection, lease: Lease, request: Request, trail: Trail, ports: Ports,
    *, started: float, left: int,
) -> Answered:  # fmt: skip
    """Have an exchange, with a second one beside it where it takes long, or with trouble where a rule says so.

    Returns the lease of the exchange that counts; the other's is settled. An attempt that was given up is written down.
    """
    chaos, hedge = connection.chaos, connection.hedge
    if chaos is not None:
        trouble = chaos.decide(connection.name, call.operation, now=ports.clock.wall(), random=ports.random)
        if trouble is not None:
            trail.chaos = type(trouble.fault).__name__.lower() if trouble.fault else "delay"
            return await _troubled(call, connection, lease, request, trouble, ports, left=left)
    if hedge is None or request.effect is not Effect.READ or request.is_streamed:
        return await exchange(call, connection, lease, request, ports, started=started, left=left)
    race = _Race(call, connection, request, ports, left=left)
    try:
        return await race.run(hedge, lease, started, trail)
    finally:
        await race.end()


class _Race:
    """Two exchanges for one read; the better one counts."""

    def __init__(self, call: Call, connection: Connection, request: Request, ports: Ports, *, left: int) -> None:
        self._call = call
        self._connection = connection
        self._request = request
        self._ports = ports
        self._left = left
        self._running: dict[_Running, Lease] = {}

    async def run(self, hedge: Hedge, lease: Lease, started: float, trail: Trail) -> Answered:
        first = self._start(lease, started)
        delay_s = hedge.delay_s()
        if delay_s is None or await self._has_ended(first, delay_s) or not self._start_second(hedge):
            answered = await first
            hedge.record(answered[1])
            del self._running[first]
            return answered
        winner = await self._better_one()
        (loser,) = self._running.keys() - {winner}
        clock = self._ports.clock
        hedge.record(clock.monotonic() - started)
        has_won = winner is not first
        self._ports.events.emit(
            Hedged(call_id=self._call.id, connection=self._connection.name, after_s=delay_s, has_won=has_won)
        )
        seconds = clock.monotonic() - started - (0.0 if loser is first else delay_s)
        trail.attempts.append(
            Attempt(connection=self._connection.name, outcome=Outcome.NOT_DONE, seconds=seconds, error="hedged")
        )
        del self._running[winner]
        return winner.result()

    async def end(self) -> None:
        """Cancel what is still under way; an answer that nobody waited for says nothing."""
        for task in self._running:
            task.cancel()
        for result, lease in zip(
            await asyncio.gather(*self._running, return_exceptions=True), self._running.values(), strict=True
        ):
            if not isinstance(result, BaseException):  # one that was cancelled has seen to that itself
                self._connection.forget(lease)

    def _start(self, lease: Lease, now: float) -> _Running:
        task = asyncio.ensure_future(
            exchange(self._call, self._connection, lease, self._request, self._ports, started=now, left=self._left)
        )
        self._running[task] = lease
        return task

    def _start_second(self, hedge: Hedge) -> bool:
        """Begin the second exchange, where a place, a turn and the budget allow it at once."""
        now = self._ports.clock.monotonic()
        if not hedge.admit():
            return False
        lease = self._connection.try_admit(now, self._call, self._request)
        if lease is None:
            hedge.release()
            return False
        self._start(lease, now)
        return True

    async def _has_ended(self, first: _Running, delay_s: float) -> bool:
        waiting = asyncio.ensure_future(self._ports.clock.sleep(delay_s))
        try:
            await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return first.done()

    async def _better_one(self) -> _Running:
        """Wait for the first good answer, or for the last one of two bad ones."""
        pending = set(self._running)
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            good = [task for task in done if _is_good(task)]
            if good or not pending:
                return (good or list(done))[0]


def _is_good(task: _Running) -> bool:
    if task.exception() is not None:
        return True  # of ours, or of the caller's: it is to be seen
    answer, *_ = task.result()
    return isinstance(answer, Response) and answer.status < 500 and answer.status != 429


async def _troubled(
    call: Call, connection: Connection, lease: Lease, request: Request, trouble: Trouble, ports: Ports, *, left: int
) -> Answered:
    """Have an exchange that goes as a rule wants it."""
    fault, clock = trouble.fault, ports.clock
    name = type(fault).__name__ if fault else "Delay"
    ports.events.emit(ChaosApplied(call_id=call.id, connection=connection.name, fault=name, delay_s=trouble.delay_s))
    started = clock.monotonic()
    try:
        if trouble.delay_s:
            await clock.sleep(min(trouble.delay_s, call.deadline.remaining(started)))
    except BaseException:
        connection.forget(lease)
        connection.leave_line()
        raise
    if isinstance(fault, Fail):
        connection.forget(lease)
        connection.leave_line()
        now = clock.monotonic()
        return FAILURES[fault.code], now - started, now, lease
    answer, *_ = await exchange(call, connection, lease, request, ports, started=clock.monotonic(), left=left)
    if isinstance(answer, Response) and answer.stream is None:
        if isinstance(fault, LoseAnswer):
            answer = _LOST
        elif isinstance(fault, Corrupt):
            answer = msgspec.structs.replace(answer, body=damaged(answer.body, fault.damage))
    now = clock.monotonic()
    return answer, now - started, now, lease
