"""All that settings are turned into, and how new settings take the place of old ones under traffic.

Everything is built and checked before anything is changed; then one assignment swaps it. What did not change is the
same object as before, with its sockets and all it knows. Of what did, that is kept which is still true: how quick the
vendor is, that it asked to be left alone; and each strategy's state where its own settings are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from fairlead.config import settings as config
from fairlead.config.cache import Cache as RouteCacheSettings
from fairlead.config.storage import Storage
from fairlead.errors import ConfigError, UsageError
from fairlead.observe.events import ConfigRejected, ConfigReloaded
from fairlead.resilience.breaker import State
from fairlead.resilience.chaos import Chaos
from fairlead.runtime.assemble import World, assemble_connection, assemble_route
from fairlead.runtime.assemble_cache import assemble_http_cache
from fairlead.runtime.caching import Caching
from fairlead.runtime.connection import Connection
from fairlead.runtime.facade import Route
from fairlead.runtime.fair import FairConnection
from fairlead.runtime.fingerprint import Fingerprints
from fairlead.runtime.http_caching import HttpCache
from fairlead.runtime.ports import Ports
from fairlead.runtime.shared import SharedConnection
from fairlead.runtime.strategies import build_chaos


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives every configuration: where answers are kept, and how accounts are told apart there."""

    caching: Caching
    fingerprints: Fingerprints


class Assembly(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and what they were turned into."""

    settings: config.Settings
    connections: Mapping[str, Connection]
    routes: Mapping[str, Route]
    http_caches: Mapping[str, HttpCache]
    chaos: Chaos | None


def assemble(
    settings: config.Settings, world: World, kept: Kept, *, source: str, before: Assembly | None = None
) -> Assembly:
    """Build everything; raise `ConfigError` or `UnknownProviderError` for what cannot work, and change nothing then.

    `before` is what was built earlier: what is unchanged is taken from there.
    """
    earlier: Mapping[str, Connection] = before.connections if before else {}
    chaos = build_chaos(settings.chaos, settings.connections, f"{source}: chaos")
    if before is not None and before.settings.chaos == settings.chaos:
        chaos = before.chaos
    connections = {
        name: assemble_connection(name, wanted, world, source=source, chaos=chaos, before=earlier.get(name))
        for name, wanted in settings.connections.items()
    }
    wanted_routes = _unsaid_routes(connections) | settings.routes
    routes = {
        capability: assemble_route(
            capability,
            wanted,
            connections,
            source=source,
            ports=world.ports,
            fingerprints=kept.fingerprints,
            answers=world.answers,
        )
        for capability, wanted in wanted_routes.items()
    }
    for name, connection in connections.items():
        old = earlier.get(name)
        if old is not None and old is not connection:
            _inherit(connection, old)
    if before is not None:
        routes = {
            name: _with_kept_answers(route, wanted_routes[name], before.routes.get(name), before.settings)
            for name, route in routes.items()
        }
    return Assembly(
        settings=settings,
        connections=connections,
        routes=routes,
        http_caches=_http_caches(settings, connections, world, kept, before, source=source),
        chaos=chaos,
    )


def _http_caches(
    settings: config.Settings,
    connections: Mapping[str, Connection],
    world: World,
    kept: Kept,
    before: Assembly | None,
    *,
    source: str,
) -> Mapping[str, HttpCache]:
    """Build the caches of plain answers; a connection that is the same keeps its own."""
    earlier: Mapping[str, HttpCache] = before.http_caches if before else {}
    return {
        name: earlier[name]
        if before and name in earlier and before.connections[name] is connections[name]
        else assemble_http_cache(
            connections[name],
            wanted.cache,
            f"{source}: connections.{name}.cache",
            ports=world.ports,
            fingerprints=kept.fingerprints,
            caching=kept.caching,
            answers=world.answers,
        )
        for name, wanted in settings.connections.items()
        if wanted.cache
    }


def difference(before: Assembly, after: Assembly, *, source: str) -> ConfigReloaded:
    """Return what a reload came to."""
    old, new = before.connections, after.connections
    places = ("host", "port")
    return ConfigReloaded(
        source=source,
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and new[name] is not old[name]),
        removed=tuple(name for name in old if name not in new),
        needs_restart=tuple(
            f"gateway.{place}"
            for place in places
            if getattr(before.settings.gateway, place) != getattr(after.settings.gateway, place)
        )
        + (("state",) if before.settings.state != after.settings.state else ())
        + (("storage",) if _is_kept_elsewhere(before.settings.storage, after.settings.storage) else ()),
    )


def _is_kept_elsewhere(before: Storage, after: Storage) -> bool:
    """Whether another store is meant; how long it keeps things counts at once."""
    return (before.url, before.password) != (after.url, after.password)


@contextmanager
def telling_of_rejection(ports: Ports, source: str) -> Iterator[None]:
    """Tell the event stream that a configuration was refused, and pass the error on."""
    try:
        yield
    except (ConfigError, UsageError) as error:
        ports.events.emit(ConfigRejected(source=source, error=error.code, message=str(error)))
        raise


def _unsaid_routes(connections: Mapping[str, Connection]) -> dict[str, config.Route]:
    """Route each capability that the settings do not to all connections that serve it, in the order of the file."""
    able: dict[str, list[str]] = {}
    for name, connection in connections.items():
        for capability in connection.provider.capabilities:
            able.setdefault(capability, []).append(name)
    return {capability: config.Route(connections=names) for capability, names in able.items()}


def _inherit(new: Connection, old: Connection) -> None:
    """Keep what is known of a vendor, as far as what it was learnt under still holds. Another account is a stranger."""
    if not _is_same_account(new, old):
        return
    new.pause, new.latency = old.pause, old.latency
    now, was = new.made_of.settings, old.made_of.settings
    if not isinstance(new, SharedConnection):  # else the store knows
        _inherit_breaker(new, old)
    _inherit_limits(new, old)
    if now.health == was.health:
        new.health = old.health
    if now.plan == was.plan and now.quota == was.quota:
        new.quota = old.quota
    if now.retry.budget == was.retry.budget and now.hedge == was.hedge:
        new.budget, new.hedge = old.budget, old.hedge


def _inherit_breaker(new: Connection, old: Connection) -> None:
    now, was = new.made_of.settings, old.made_of.settings
    if now.breaker == was.breaker and now.timeouts.attempt_s == was.timeouts.attempt_s:
        new.breaker = old.breaker
    elif old.breaker.state in {State.FORCED_OPEN, State.FORCED_CLOSED}:  # somebody's hand is on it
        new.breaker.hold("open" if old.breaker.state is State.FORCED_OPEN else "closed")


def _inherit_limits(new: Connection, old: Connection) -> None:
    now, was = new.made_of.settings, old.made_of.settings
    has_same_rates = (now.plan, now.rate, now.rates, now.learn_limits) == (
        was.plan, was.rate, was.rates, was.learn_limits,
    )  # fmt: skip
    has_same_places = now.plan == was.plan and now.concurrency == was.concurrency
    if isinstance(new, FairConnection) or isinstance(old, FairConnection):  # its line has both
        has_same_rates = has_same_places = has_same_rates and has_same_places
    if has_same_places:
        new.concurrency = old.concurrency
    if has_same_rates and not isinstance(new, SharedConnection):
        new.rate, new.learned, new.is_told = old.rate, old.learned, old.is_told
    if has_same_rates and isinstance(new, FairConnection) and isinstance(old, FairConnection):
        new.stand_in(old.line, old.lining)


def _is_same_account(new: Connection, old: Connection) -> bool:
    now, was = new.made_of, old.made_of
    return (now.settings.provider, now.options.base_url, now.credentials) == (
        was.settings.provider, was.options.base_url, was.credentials,
    )  # fmt: skip


def _with_kept_answers(route: Route, wanted: config.Route, old: Route | None, before: config.Settings) -> Route:
    """Return the route with the answers kept so far, where they are of the same accounts, and as long as before."""
    if old is None:
        return route
    was = before.routes[route.capability].cache if route.capability in before.routes else RouteCacheSettings()
    accounts = {each.name: each for each in old.connections}
    is_same = wanted.cache == was and all(
        each.name not in accounts or _is_same_account(each, accounts[each.name]) for each in route.connections
    )
    return msgspec.structs.replace(route, cache=old.cache) if is_same else route
