"""How the connections are, and why: what breaker, pause and health know of each, in one word."""

from __future__ import annotations

import msgspec

from fairlead.errors import StorageError
from fairlead.resilience.breaker import State
from fairlead.resilience.health import Condition
from fairlead.runtime.connection import Connection
from fairlead.runtime.fairlead import Fairlead


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One connection's state. `is_up` says that it may be asked, and `condition` how it is, for these `reasons`.

    `retry_after_s` is when it may be tried again, `share` the part of its traffic that it gets while it recovers.
    """

    name: str
    is_up: bool
    condition: Condition = Condition.UP
    breaker: str
    reasons: tuple[str, ...] = ()
    paused_because: str | None = None
    retry_after_s: float = 0.0
    share: float | None = None


class StorageHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether what must last can be kept now, and why not."""

    store: str
    is_well: bool
    reason: str | None = None


async def storage_health(fl: Fairlead) -> StorageHealth | None:
    """Write to the store, and return how that went; None where nothing needs one."""
    store = fl.store
    if store is None:
        return None
    try:
        await store.check()
    except StorageError as error:
        return StorageHealth(store=store.name, is_well=False, reason=f"{error}")
    return StorageHealth(store=store.name, is_well=True)


def connection_health(fl: Fairlead) -> list[ConnectionHealth]:
    """Return the state of every connection."""
    now = fl.ports.clock.monotonic()
    return [_health(each, now) for each in fl.connections.values()]


def is_ready(fl: Fairlead) -> bool:
    """Whether every route has a connection that may be asked. One that is down may, where all others are too."""
    up = {each.name for each in connection_health(fl) if each.is_up}
    return all(any(each.name in up for each in route.connections) for route in fl.routes.values())


def _health(connection: Connection, now: float) -> ConnectionHealth:
    breaker, health = connection.breaker, connection.health
    share = health.share(now)  # before its condition is read: it may end with the time
    paused_s, open_s = connection.pause.retry_after_s(now), breaker.retry_after_s(now)
    # Not by the breaker's state: it stays open until somebody asks, and nobody asks while we are not ready.
    is_up = not paused_s and open_s == 0
    reasons = [f"paused: {connection.pause.cause}"] if paused_s else []
    if open_s != 0:
        reasons.append(f"circuit open: {breaker.cause}")
    elif breaker.state in {State.OPEN, State.HALF_OPEN}:
        reasons.append(f"circuit to be tried: {breaker.cause}")
    if 0 < share < 1:
        reasons.append(f"recovering: {share:.0%} of its traffic")
    elif health.condition is not Condition.UP:
        reasons.append(f"{health.condition} of late: {health.cause}")
    condition = health.condition
    if not is_up:
        condition = Condition.DOWN
    elif reasons and condition is Condition.UP:
        condition = Condition.DEGRADED
    return ConnectionHealth(
        name=connection.name,
        is_up=is_up,
        condition=condition,
        breaker=breaker.state,
        reasons=tuple(reasons),
        paused_because=connection.pause.cause if paused_s else None,
        retry_after_s=max(paused_s, open_s or 0.0),
        share=share if 0 < share < 1 else None,
    )
