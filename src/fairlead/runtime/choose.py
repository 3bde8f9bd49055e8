"""Which connections a call asks, in which order: as the route chooses, and those that are not well behind the others.

Nobody is left out. A connection that is down is asked last, when all others have failed: the breaker keeps it from
harm, and a call that might have gone well is not lost to a judgement of some minutes ago.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fairlead.errors import InvalidArgumentError, UnhealthyError, UnknownConnectionError
from fairlead.model.call import Call
from fairlead.observe.events import AttemptFinished
from fairlead.resilience.health import Condition
from fairlead.runtime.connection import Connection
from fairlead.runtime.ports import Ports
from fairlead.runtime.routing import Routing, arrange
from fairlead.runtime.trail import Trail

#: No connection is treated as failed.
NOBODY: frozenset[str] = frozenset()


def choose(
    candidates: Sequence[Connection], routing: Routing, call: Call, trail: Trail, ports: Ports
) -> Sequence[Connection]:
    """Return the connections in the order in which the call asks them; who is passed over is written down."""
    ordered = arrange(candidates, routing, key=call.sticky_key, random=ports.random)
    if len(ordered) < 2 or all(each.health.condition is Condition.UP for each in ordered):
        return ordered
    now = ports.clock.monotonic()
    well = [each for each in ordered if each.takes_traffic(now)]
    if not well or len(well) == len(ordered):
        return ordered
    others = [each for each in ordered if each not in well]
    for each in ordered[: ordered.index(well[0])]:
        attempt = trail.note(each, error=UnhealthyError())
        ports.events.emit(AttemptFinished(call_id=call.id, operation=call.operation, attempt=attempt))
    return [*well, *sorted(others, key=lambda each: each.health.condition is Condition.DOWN)]


def checked_drill(names: Sequence[str], known: Collection[str] | None) -> frozenset[str]:
    """Return the connections to treat as failed; raise `UsageError` where that is not possible.

    `known` are the connections there are; None where the settings allow no drills. A misspelt name is refused: a
    rehearsal in which nothing fails would be taken for one that went well.
    """
    if known is None:
        raise InvalidArgumentError(
            "Drills are switched off.", hint="Set drills = true at the top of the configuration."
        )
    if isinstance(names, str):
        raise InvalidArgumentError("drill is one text.", hint="Give it names, as drill=('shop',).")
    for name in names:
        if name not in known:
            raise UnknownConnectionError(
                f"The drill names {name!r}, which is no connection.", hint=f"There are: {', '.join(known)}."
            )
    return frozenset(names)
