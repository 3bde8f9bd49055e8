"""What the facades of all capabilities share: the connections of a route, and how to call them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.errors import UnknownConnectionError
from fairlead.model.call import Ref
from fairlead.model.operation import Operation
from fairlead.resilience.cache import Cache
from fairlead.runtime.calls import CachePolicy, CallOptions, Calls, Wanted
from fairlead.runtime.connection import Connection


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The connections that serve a capability, in order, and what bounds a call."""

    capability: str
    connections: Sequence[Connection]
    deadline_s: float
    policy: CachePolicy
    cache: Cache


class Facade:
    """Calls one capability. Subclasses give its operations their names and types."""

    def __init__(self, route: Route, calls: Calls) -> None:
        self._route = route
        self._calls = calls

    async def _call(
        self,
        name: str,
        begin: Callable[[Any], Operation[Any]],
        key: Hashable,
        options: CallOptions,
        *,
        ref: Ref | None = None,
    ) -> Any:
        """Make a call by route, or, for a follow-up, at the connection that its `ref` names."""
        capability = self._route.capability
        wanted = Wanted(
            operation=f"{capability}.{name}",
            candidates=self._route.connections if ref is None else (self._pinned(ref),),
            begin=lambda connection: begin(connection.provider.capabilities[capability](connection.name)),
            deadline_s=self._route.deadline_s,
            key=key,
            cache=self._route.cache,
            policy=self._route.policy,
        )
        return await self._calls.make(wanted, options)

    def _pinned(self, ref: Ref) -> Connection:
        by_name: Mapping[str, Connection] = {each.name: each for each in self._route.connections}
        if ref.connection not in by_name:
            raise UnknownConnectionError(
                f"{ref.connection!r} is not a connection of the {self._route.capability} route.",
                hint=f"There are: {', '.join(by_name)}.",
            )
        return by_name[ref.connection]
