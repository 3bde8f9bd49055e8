"""What the facades of all capabilities share: the connections of a route, and how to call them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from fairlead.errors import DeadlineExceededError, FairleadError, UnknownConnectionError
from fairlead.model.call import Ref
from fairlead.model.deadline import Deadline
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect, Outcome
from fairlead.runtime.bulk import without_frames
from fairlead.runtime.calls import Calls, given_deadline_s
from fairlead.runtime.connection import Connection
from fairlead.runtime.join import Join
from fairlead.runtime.keeping import RouteCache
from fairlead.runtime.packing import pack, pack_arguments, unpack, unpack_arguments
from fairlead.runtime.record import Record
from fairlead.runtime.routing import Routing, arrange
from fairlead.runtime.rows import Asked
from fairlead.runtime.wanted import CallOptions, Wanted
from fairlead.spec.describe import answer_type, argument_types, effect_of, many_of
from fairlead.spec.provider import Provider
from fairlead.spec.settlement import Acting, Case, Seen, Settlement, Unknowable


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The connections that serve a capability, how one is chosen, and what bounds a call."""

    capability: str
    connections: Sequence[Connection]
    routing: Routing = Routing()
    deadline_s: float
    cache: RouteCache


class Facade:
    """Calls one capability. Subclasses give its operations their names and types.

    `find_route` is asked for each call, so that whoever holds on to a facade sees new settings.
    """

    def __init__(self, find_route: Callable[[], Route], calls: Calls) -> None:
        self._find_route = find_route
        self._calls = calls

    @property
    def _route(self) -> Route:
        return self._find_route()

    async def _call(
        self,
        name: str,
        arguments: tuple[Any, ...],
        key: Hashable,
        options: CallOptions,
        *,
        ref: Ref | None = None,
        join: Join | None = None,
    ) -> Any:
        """Make a call by route, or, for a follow-up, at the connection that its `ref` names.

        `arguments` are those of the capability's operation. A follow-up is joined with others as `join` says, or else
        as the settings of its connection do.
        """
        return await self._calls.make(self._wanted(name, arguments, key, options, ref=ref, join=join), options)

    def again(self, asked: Asked) -> Wanted:
        """Describe a call that was kept."""
        provider = self._route.connections[0].provider
        kinds = argument_types(provider, self._route.capability, asked.operation)
        arguments = unpack_arguments(asked.arguments, kinds)
        options: CallOptions = {"sticky_key": asked.sticky_key}
        return self._wanted(asked.operation, arguments, None, options, ref=asked.ref)

    def _wanted(
        self,
        name: str,
        arguments: tuple[Any, ...],
        key: Hashable,
        options: CallOptions,
        *,
        ref: Ref | None = None,
        join: Join | None = None,
    ) -> Wanted:
        capability = self._route.capability
        candidates = self._route.connections if ref is None else (self._pinned(ref),)
        if ref is not None and join is None:
            policy = candidates[0].policy.batch
            if policy.window_s is not None:
                join = self._join(name, ref, candidates[0], window_s=policy.window_s)
        sticky_key = options.get("sticky_key")
        if len(candidates) > 1 and self._route.routing.strategy == "sticky" and sticky_key is not None:
            # An answer is shared among those whose connection is the same.
            order = arrange(candidates, self._route.routing, key=sticky_key, random=self._calls.random)
            key = (key, order[0].name)
        effect = effect_of(candidates[0].provider, capability, name)
        return Wanted(
            operation=f"{capability}.{name}",
            candidates=candidates,
            begin=lambda connection: getattr(_made(capability, connection), name)(*arguments),
            deadline_s=self._route.deadline_s,
            keeping=None if key is None else self._route.cache.keeping(capability, name, key, candidates, ref),
            join=join,
            routing=self._route.routing,
            record=partial(_record, capability, name, arguments, ref, effect, candidates[0].provider),
            is_kept=effect is not Effect.READ,
        )

    async def _call_each(self, name: str, refs: Iterable[Ref], options: CallOptions) -> dict[Ref, Any]:
        """Make a follow-up call for each of `refs`; return what each gave, or its error, in their order.

        They are joined as far as the providers can; as many requests are under way as each connection allows.
        """
        clock = self._calls.clock
        deadline = Deadline.after(given_deadline_s(options, self._route.deadline_s), now=clock.monotonic())
        found: dict[Ref, Any] = dict.fromkeys(refs)

        async def call(ref: Ref, join: Join | None) -> None:
            left_s = deadline.remaining(clock.monotonic())
            own: CallOptions = {**options, "deadline_s": left_s}
            try:
                if not left_s:
                    raise DeadlineExceededError("The deadline passed before its turn came.", outcome=Outcome.NOT_DONE)
                found[ref] = await self._call(name, (ref.id,), ref, own, ref=ref, join=join)
            except FairleadError as error:
                found[ref] = without_frames(error)

        async def call_lot(lot: Sequence[Ref], connection: Connection, places: asyncio.Semaphore) -> None:
            group = object()
            async with places:
                joins = [self._join(name, ref, connection, window_s=0, group=group, size=len(lot)) for ref in lot]
                await asyncio.gather(*map(call, lot, joins))

        lots: list[Coroutine[Any, Any, None]] = []
        for connection in self._route.connections:
            theirs = [ref for ref in found if ref.connection == connection.name]
            places = asyncio.Semaphore(connection.concurrency.limit)
            has_many = name in many_of(connection.provider, self._route.capability)
            size = connection.policy.batch.max_size if has_many else 1
            lots += [call_lot(theirs[at : at + size], connection, places) for at in range(0, len(theirs), size)]
        known = {each.name for each in self._route.connections}
        lots += [call(ref, None) for ref in found if ref.connection not in known]
        await asyncio.gather(*lots)
        return found

    def _join(
        self,
        name: str,
        ref: Ref,
        connection: Connection,
        *,
        window_s: float,
        group: Hashable = None,
        size: int | None = None,
    ) -> Join | None:
        """Return how a follow-up is joined with others, or None where the provider has no operation for several."""
        capability = self._route.capability
        many = many_of(connection.provider, capability).get(name)
        if many is None:
            return None

        def ask(keys: Sequence[str], connection: Connection) -> Operation[Mapping[str, Any]]:
            operation: Operation[Mapping[str, Any]] = getattr(
                connection.provider.capabilities[capability](connection.name), many
            )(keys)
            return operation

        return Join(
            operation=f"{capability}.{many}",
            key=ref.id,
            ask=ask,
            window_s=window_s,
            max_size=size or connection.policy.batch.max_size,
            group=group,
        )

    def _pinned(self, ref: Ref) -> Connection:
        by_name: Mapping[str, Connection] = {each.name: each for each in self._route.connections}
        if ref.connection not in by_name:
            raise UnknownConnectionError(
                f"{ref.connection!r} is not a connection of the {self._route.capability} route.",
                hint=f"There are: {', '.join(by_name)}.",
            )
        return by_name[ref.connection]


def _made(capability: str, connection: Connection, reference: str = "") -> Any:
    """Return the operations of a connection; those that act are told our name for the call."""
    made = connection.provider.capabilities[capability](connection.name)
    if reference and isinstance(made, Acting):
        made.reference = reference
    return made


def _record(
    capability: str, name: str, arguments: tuple[Any, ...], ref: Ref | None, effect: Effect, provider: Provider
) -> Record:
    """Say how a call of a capability is written down."""
    packed = pack_arguments(arguments, f"{capability}.{name}")
    asked = Asked(target=capability, operation=name, effect=effect, arguments=packed, ref=ref)
    kind = answer_type(provider, capability, name)

    def settlement(connection: Connection) -> Settlement | Unknowable | None:
        made = _made(capability, connection)
        return made.SETTLE.get(name) if isinstance(made, Acting) else None

    def look(connection: Connection, how: Settlement, case: Case) -> Operation[Seen]:
        operation: Operation[Seen] = getattr(_made(capability, connection, case.reference), how.look)(case)
        return operation

    return Record(
        asked=asked,
        arguments=arguments,
        begin=lambda connection, reference: getattr(_made(capability, connection, reference), name)(*arguments),
        pack=lambda answer: pack(msgspec.structs.replace(answer, call=None)),
        unpack=partial(unpack, kind=kind),
        settlement=settlement,
        look=look,
    )
