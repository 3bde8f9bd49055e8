"""One call of the application: cache and coalescing for reads, the pipeline, and the report of how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import suppress
from typing import Any, TypedDict

import msgspec

from fairlead.errors import DeadlineExceededError, FairleadError, InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.call import CacheUse, Call, CallReport, drilled
from fairlead.model.deadline import Deadline
from fairlead.model.operation import Operation
from fairlead.model.outcome import Outcome
from fairlead.observe.events import CallFinished
from fairlead.resilience.cache import Cache
from fairlead.resilience.coalesce import Coalescing
from fairlead.runtime.bound import earlier
from fairlead.runtime.choose import NOBODY, checked_drill, choose
from fairlead.runtime.connection import Connection
from fairlead.runtime.join import Join, Joiner
from fairlead.runtime.pipeline import Begin, Trail, perform
from fairlead.runtime.ports import Ports
from fairlead.runtime.probing import PROBE_S, Prober
from fairlead.runtime.routing import Routing


class CallOptions(TypedDict, total=False):
    """What every call may be given. `deadline_s` bounds all of it, in seconds; tenants never share an answer.

    `sticky_key` is what a route with the strategy `sticky` goes by: a user, a session. The connections that `drill`
    names are treated as failed, to rehearse what happens then; such a call goes past the cache.
    """

    deadline_s: float
    tenant: str | None
    correlation_id: str | None
    sticky_key: str | None
    drill: Sequence[str]


class CachePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers of a route serve, in seconds."""

    ttl_s: float
    stale_if_error_s: float


def given_deadline_s(options: CallOptions, usual_s: float) -> float:
    """Return the seconds that a call may take; raise `InvalidArgumentError` where it has none."""
    deadline_s = options.get("deadline_s", usual_s)
    if not deadline_s > 0:
        raise InvalidArgumentError(f"deadline_s is {deadline_s}.", hint="Give the call some seconds, above 0.")
    return deadline_s


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its facade describes it. Without a `key` it is neither cached nor shared; with `join` it may be joined.

    Unless it `may_wait`, it fails when nobody can serve at once.
    """

    operation: str
    candidates: Sequence[Connection]
    begin: Begin
    deadline_s: float
    key: Hashable | None = None
    cache: Cache | None = None
    policy: CachePolicy | None = None
    join: Join | None = None
    may_wait: bool = True
    routing: Routing = Routing()


class Calls:
    """Makes calls. `drillable` names the connections that a drill may name; None where there are no drills."""

    def __init__(self, ports: Ports, *, drillable: Callable[[], Collection[str] | None]) -> None:
        self.clock = ports.clock
        self.random = ports.random
        self._ports = ports
        self._drillable = drillable
        self._coalescing = Coalescing()
        self._joiner = Joiner(ports.clock, self.make)
        self.prober = Prober(ports, self._probe)

    def disown(self) -> None:
        """Join no call that is under way, and know of no probe: after a fork, they are the parent's."""
        self._coalescing = Coalescing()
        self.prober.disown()

    async def _probe(self, connection: Connection) -> None:
        """Make the cheapest call there is: like any other, but for the waiting."""
        probe = connection.provider.probe
        if probe is None:
            return

        def begin(_: Connection) -> Operation[Answer]:
            yield from probe()
            return Answer()

        wanted = Wanted(
            operation="health.probe", candidates=(connection,), begin=begin, deadline_s=PROBE_S, may_wait=False
        )
        with suppress(FairleadError):  # what it says is known by now
            await self.make(wanted, {})

    async def make(self, wanted: Wanted, options: CallOptions) -> Any:
        """Return the answer, with its report; raise `FairleadError`."""
        clock = self._ports.clock
        started = clock.monotonic()
        call_id = self._ports.ids()
        deadline = earlier(Deadline.after(given_deadline_s(options, wanted.deadline_s), now=started))
        drill = checked_drill(options["drill"], self._drillable()) if options.get("drill") else NOBODY
        if drill:
            wanted = msgspec.structs.replace(wanted, key=None, join=None)
        call = Call(
            id=call_id,
            correlation_id=options.get("correlation_id") or call_id,
            operation=wanted.operation,
            deadline=deadline,
            is_hurried=deadline.at_s < Deadline.after(wanted.deadline_s, now=started).at_s,
            tenant=options.get("tenant"),
            sticky_key=options.get("sticky_key"),
            drill=drill,
        )
        trail = Trail()
        try:
            answer, served_by, use, age_s = await self._find(wanted, call, trail)
        except FairleadError as error:
            error.call_id = call.id  # an error that was shared names the call of another
            error.locate(operation=call.operation, attempts=tuple(trail.attempts))
            self._finish(call, trail, started, error=error)
            raise
        return self._finish(call, trail, started, answer=answer, served_by=served_by, use=use, age_s=age_s)

    async def _find(self, wanted: Wanted, call: Call, trail: Trail) -> tuple[Answer, str, CacheUse, float]:
        """Look in the cache, join whoever asks the same, ask the vendors, or fall back on the last good answer."""
        clock = self._ports.clock
        if wanted.key is None or wanted.cache is None:
            answer, connection = await self._perform(wanted, call, trail)
            return answer, connection.name, CacheUse.SHARED if trail.batch_id else CacheUse.OFF, 0.0
        key = (wanted.operation, call.tenant, tuple(each.name for each in wanted.candidates), wanted.key)
        kept = wanted.cache.fresh(key, clock.monotonic())
        if kept:
            return (*kept.value, CacheUse.HIT, clock.monotonic() - kept.stored_at)
        try:
            found, is_shared = await self._share(wanted, call, trail, key)
        except FairleadError as error:
            stale = wanted.cache.stale(key, clock.monotonic())
            if stale is None or error.is_request_fault:
                raise
            return (*stale.value, CacheUse.STALE, clock.monotonic() - stale.stored_at)
        return (*found, CacheUse.SHARED if is_shared or trail.batch_id else CacheUse.MISS, 0.0)

    async def _share(self, wanted: Wanted, call: Call, trail: Trail, key: Hashable) -> tuple[tuple[Answer, str], bool]:
        """Ask, or join whoever asks the same; the deadline of another is not ours."""
        clock = self._ports.clock
        while self._coalescing.is_under_way(key):
            theirs: Deadline = self._coalescing.note(key)
            try:
                async with asyncio.timeout(call.deadline.remaining(clock.monotonic())):
                    return await self._coalescing.run(key, lambda: self._ask(wanted, call, trail, key))
            except TimeoutError:
                raise DeadlineExceededError(
                    "The deadline passed while another call asked for the same.", outcome=Outcome.NOT_DONE
                ) from None
            except FairleadError as error:
                now, wait_s = clock.monotonic(), error.retry_after_s or 0.0
                is_for_want_of_time = not error.is_request_fault and not theirs.allows(wait_s, now)
                if not (is_for_want_of_time and call.deadline.allows(wait_s, now)):
                    raise
        return await self._coalescing.run(key, lambda: self._ask(wanted, call, trail, key), note=call.deadline)

    async def _ask(self, wanted: Wanted, call: Call, trail: Trail, key: Hashable) -> tuple[Answer, str]:
        """Ask the vendors, and keep the answer as long as the user and the vendor's terms allow."""
        cache = wanted.cache
        if cache is not None and cache.stale(key, self._ports.clock.monotonic()) is not None:
            wanted = msgspec.structs.replace(wanted, may_wait=False)
        answer, connection = await self._perform(wanted, call, trail)
        if cache and wanted.policy:
            longest_s = connection.policy.cache_max_age_s
            cache.keep(
                key,
                (answer, connection.name),
                now=self._ports.clock.monotonic(),
                fresh_s=min(wanted.policy.ttl_s, longest_s),
                stale_s=min(wanted.policy.stale_if_error_s, longest_s),
            )
        return answer, connection.name

    async def _perform(self, wanted: Wanted, call: Call, trail: Trail) -> tuple[Answer, Connection]:
        """Ask the vendors: together with others where that is declared, or else alone."""
        if wanted.join is not None:
            joined = await self._joiner.ask(wanted, wanted.join, call, trail)
            if joined is not None:
                return joined
        candidates = choose(wanted.candidates, wanted.routing, call, trail, self._ports)
        try:
            return await perform(call, candidates, wanted.begin, trail, self._ports, may_wait=wanted.may_wait)
        finally:
            self.prober.look_at(candidates)

    def _finish(
        self,
        call: Call,
        trail: Trail,
        started: float,
        *,
        answer: Answer | None = None,
        served_by: str | None = None,
        use: CacheUse = CacheUse.OFF,
        age_s: float = 0.0,
        error: FairleadError | None = None,
    ) -> Answer | None:
        """Tell the event stream how the call ended; return the answer with its report."""
        total_s = self._ports.clock.monotonic() - started
        overhead_s = max(0.0, total_s - trail.vendor_s - trail.waited_s) if use is not CacheUse.SHARED else 0.0
        self._ports.events.emit(
            CallFinished(
                call_id=call.id,
                correlation_id=call.correlation_id,
                operation=call.operation,
                served_by=served_by,
                cache=use,
                error=error.code if error else None,
                attempts=len(trail.attempts),
                total_s=total_s,
                overhead_s=overhead_s,
                batch_id=trail.batch_id,
                drilled=drilled(trail.attempts) if call.drill else (),
            )
        )
        if answer is None or served_by is None:
            return None
        report = CallReport(
            call_id=call.id,
            served_by=served_by,
            attempts=tuple(trail.attempts),
            cache=use,
            age_s=age_s,
            total_s=total_s,
            overhead_s=overhead_s,
            batch_id=trail.batch_id,
        )
        return msgspec.structs.replace(answer, call=report)
