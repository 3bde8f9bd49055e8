"""One call of the application: cache and coalescing for reads, the pipeline, and the report of how it went."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, cast

import msgspec

from fairlead.errors import FairleadError, InvalidArgumentError, UsageError
from fairlead.model.answer import Answer
from fairlead.model.call import CacheUse, Call, CallReport, drilled
from fairlead.model.deadline import Deadline
from fairlead.model.operation import Operation
from fairlead.observe.events import CallFinished
from fairlead.runtime.bound import earlier
from fairlead.runtime.caching import Caching, Keeping, Reply
from fairlead.runtime.choose import NOBODY, checked_drill, choose
from fairlead.runtime.connection import Connection
from fairlead.runtime.desk import Desk
from fairlead.runtime.entry import RowEntry
from fairlead.runtime.join import Joiner
from fairlead.runtime.later import enqueue
from fairlead.runtime.ledger import Ledger
from fairlead.runtime.pipeline import Begin, perform
from fairlead.runtime.ports import Ports
from fairlead.runtime.probing import PROBE_S, Prober
from fairlead.runtime.record import Record, acts
from fairlead.runtime.rows import Asked
from fairlead.runtime.settling import Settler
from fairlead.runtime.trail import Trail
from fairlead.runtime.wanted import CallOptions, Find, LedgerOptions, Wanted


def given_deadline_s(options: CallOptions, usual_s: float) -> float:
    """Return the seconds that a call may take; raise `InvalidArgumentError` where it has none."""
    deadline_s = options.get("deadline_s", usual_s)
    if not deadline_s > 0:
        raise InvalidArgumentError(f"deadline_s is {deadline_s}.", hint="Give the call some seconds, above 0.")
    return deadline_s


class Calls:
    """Makes calls. `drillable` names the connections that a drill may name; None where there are no drills."""

    def __init__(self, ports: Ports, desk: Desk, *, drillable: Callable[[], Collection[str] | None]) -> None:
        self.ledger = Ledger(desk, Settler(ports, self._look))
        self.clock = ports.clock
        self.caching = Caching(ports.clock)
        self.random = ports.random
        self._ports = ports
        self._drillable = drillable
        self._joiner = Joiner(ports.clock, self.make)
        self.prober = Prober(ports, self._probe)

    def disown(self) -> None:
        """Join no call that is under way, and know of no probe: after a fork, they are the parent's."""
        self.caching.disown()
        self.prober.disown()
        self.ledger.disown()

    async def close(self) -> None:
        """End what runs in the background."""
        await self.prober.close()
        await self.caching.close()

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

    async def _look(self, name: str, connection: Connection, begin: Begin, deadline_s: float) -> Any:
        """Ask one connection what became of a call."""
        wanted = Wanted(operation=name, candidates=(connection,), begin=begin, deadline_s=deadline_s)
        return await self.make(wanted, {})

    def make(self, wanted: Wanted, given: CallOptions) -> Coroutine[Any, Any, Any]:
        """Begin a call. Awaited, it returns the answer, or a `BackgroundCall`; or raises `FairleadError`."""
        options = cast("LedgerOptions", given)  # which of them there may be, the facades' types say
        call = self._begun(wanted, options)
        if call.drill:  # a rehearsal that is answered from elsewhere rehearses nothing
            wanted = msgspec.structs.replace(wanted, keeping=None, join=None)
        if wanted.is_kept or "background" in options or call.idempotency_key is not None or "run_at" in options:
            return self._make_kept(call, wanted, options)
        return self._conclude(call, wanted, self._find)

    async def _make_kept(self, call: Call, wanted: Wanted, options: LedgerOptions) -> Any:
        """Make a call that has a row in the ledger, where it acts; or only keep it, for later."""
        record = recorded(wanted, call, options)
        if options.get("background"):
            return await enqueue(self.ledger, record, call, options)
        if record is not None and acts(record):
            return await self._conclude(call, wanted, partial(self.ledger.attend, record, self._find))
        return await self._conclude(call, wanted, self._find)

    async def make_again(self, wanted: Wanted, asked: Asked, call_id: str, entry: RowEntry) -> Answer:
        """Make a call that was kept: under its own id, and with its row."""
        options: CallOptions = {
            "correlation_id": asked.correlation_id, "tenant": asked.tenant, "sticky_key": asked.sticky_key,
            "priority": "background",
        }  # fmt: skip
        if asked.deadline_s is not None:
            options["deadline_s"] = asked.deadline_s
        call = msgspec.structs.replace(self._begun(wanted, options, call_id), entry=entry)
        answer: Answer = await self._conclude(call, wanted, self._find)
        return answer

    async def _refresh(self, keeping: Keeping, wanted: Wanted, first: Call) -> None:
        """Make the call that refreshes what another was served; only the event stream hears how it ended."""
        options: CallOptions = {"correlation_id": first.correlation_id, "tenant": first.tenant}
        with suppress(FairleadError):
            await self._conclude(self._begun(wanted, options), wanted, partial(self._renew, keeping))

    def _begun(self, wanted: Wanted, given: CallOptions, call_id: str | None = None) -> Call:
        options = cast("LedgerOptions", given)
        call_id = call_id or self._ports.ids()
        now = self.clock.monotonic()
        deadline = earlier(Deadline.after(given_deadline_s(options, wanted.deadline_s), now=now))
        drill = checked_drill(options["drill"], self._drillable()) if options.get("drill") else NOBODY
        return Call(
            id=call_id,
            correlation_id=options.get("correlation_id") or call_id,
            operation=wanted.operation,
            deadline=deadline,
            is_background=options.get("priority") == "background",
            is_hurried=deadline.at_s < Deadline.after(wanted.deadline_s, now=now).at_s,
            tenant=options.get("tenant"),
            idempotency_key=options.get("idempotency_key"),
            sticky_key=options.get("sticky_key"),
            drill=drill,
        )

    async def _conclude(self, call: Call, wanted: Wanted, find: Find) -> Any:
        """Find the answer, and tell how the call went."""
        started = self.clock.monotonic()
        trail = Trail()
        try:
            reply = await find(wanted, call, trail)
        except FairleadError as error:
            self._finish(call, trail, started, Reply(None, None, error=error))
            raise
        try:
            answer = self._finish(call, trail, started, reply)
            if reply.error is not None:
                raise reply.error
            return answer
        finally:
            del reply  # or an error would hold the frame that holds it

    async def _find(self, wanted: Wanted, call: Call, trail: Trail) -> Reply:
        """Ask the vendors, by way of the cache where the call has one."""
        if wanted.keeping is None:
            answer, connection = await self._perform(wanted, call, trail)
            return Reply(answer, connection.name, CacheUse.SHARED if trail.batch_id else CacheUse.OFF)
        ask = partial(self._ask, wanted, call, trail)
        reply = await self.caching.find(wanted.keeping, call, ask, partial(self._refresh, wanted.keeping, wanted, call))
        return reply._replace(use=CacheUse.SHARED) if trail.batch_id and reply.use is CacheUse.MISS else reply

    async def _renew(self, keeping: Keeping, wanted: Wanted, call: Call, trail: Trail) -> Reply:
        """Ask the vendors for the cache alone."""
        return await self.caching.renew(keeping, call, partial(self._ask, wanted, call, trail))

    async def _ask(
        self, wanted: Wanted, call: Call, trail: Trail, begin: Begin | None, may_wait: bool
    ) -> tuple[Answer, Connection]:
        """Ask the vendors; with a `begin` in that way, and alone."""
        wanted = msgspec.structs.replace(wanted, may_wait=may_wait and wanted.may_wait)
        if begin is not None:
            wanted = msgspec.structs.replace(wanted, begin=begin, join=None)
        return await self._perform(wanted, call, trail)

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

    def _finish(self, call: Call, trail: Trail, started: float, reply: Reply) -> Answer | None:
        """Tell the event stream how the call ended; return the answer with its report."""
        if reply.error is not None:
            reply.error.call_id = call.id  # an error that was shared names the call of another
            reply.error.locate(operation=call.operation, attempts=tuple(trail.attempts))
        total_s = self._ports.clock.monotonic() - started
        is_shared = reply.use is CacheUse.SHARED
        overhead_s = 0.0 if is_shared else max(0.0, total_s - trail.vendor_s - trail.waited_s)
        self._ports.events.emit(
            CallFinished(
                call_id=call.id,
                correlation_id=call.correlation_id,
                operation=call.operation,
                served_by=None if reply.error else reply.served_by,
                cache=reply.use,
                error=reply.error.code if reply.error else None,
                attempts=len(trail.attempts),
                total_s=total_s,
                overhead_s=overhead_s,
                batch_id=trail.batch_id,
                drilled=drilled(trail.attempts) if call.drill else (),
            )
        )
        if reply.answer is None or reply.served_by is None:
            return None
        report = CallReport(
            call_id=call.id,
            served_by=reply.served_by,
            attempts=tuple(trail.attempts),
            cache=reply.use,
            age_s=reply.age_s,
            total_s=total_s,
            overhead_s=overhead_s,
            batch_id=trail.batch_id,
        )
        return msgspec.structs.replace(reply.answer, call=report)


def recorded(wanted: Wanted, call: Call, options: LedgerOptions) -> Record | None:
    """Return how a call is written down; None where it cannot be, and only has to be if it is to be made later."""
    is_later = options.get("background", False)
    if "run_at" in options and not is_later:
        raise InvalidArgumentError("run_at is for calls in the background.", hint="Add background=True.")
    if wanted.record is None:
        if is_later:
            raise UsageError(
                f"{wanted.operation} cannot be made in the background: what it sends or gives is a stream."
            )
        return None
    if is_later and call.drill:
        raise InvalidArgumentError("A call in the background has no drill.", hint="Rehearse it in the foreground.")
    record = wanted.record()
    asked = msgspec.structs.replace(
        record.asked,
        is_foreground=not is_later,
        correlation_id=call.correlation_id,
        tenant=call.tenant,
        sticky_key=call.sticky_key,
        deadline_s=options.get("deadline_s"),
    )
    return msgspec.structs.replace(record, asked=asked)
