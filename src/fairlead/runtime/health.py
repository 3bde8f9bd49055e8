"""How the connections are, as far as their traffic tells."""

from __future__ import annotations

import msgspec

from fairlead.runtime.fairlead import Fairlead


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One connection's state. `retry_after_s` is when it may be tried again."""

    name: str
    is_up: bool
    breaker: str
    paused_because: str | None = None
    retry_after_s: float = 0.0


def connection_health(fl: Fairlead) -> list[ConnectionHealth]:
    """Return the state of every connection."""
    now = fl.ports.clock.monotonic()
    found = []
    for name, connection in fl.connections.items():
        paused_s = connection.pause.retry_after_s(now)
        open_s = connection.breaker.retry_after_s(now)
        found.append(
            ConnectionHealth(
                name=name,
                # Not by the breaker's state: it stays open until somebody asks, and nobody asks while we are not ready.
                is_up=not paused_s and open_s == 0,
                breaker=connection.breaker.state,
                paused_because=connection.pause.cause if paused_s else None,
                retry_after_s=max(paused_s, open_s or 0.0),
            )
        )
    return found


def is_ready(fl: Fairlead) -> bool:
    """Whether every route has a connection that is up."""
    up = {each.name for each in connection_health(fl) if each.is_up}
    return all(any(each.name in up for each in route.connections) for route in fl.routes.values())
