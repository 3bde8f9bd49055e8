"""Try a configuration: every connection is built and probed, and every problem is told, not only the first."""

from __future__ import annotations

import asyncio

import msgspec

from fairlead.config import settings as config
from fairlead.config.gateway import Gateway
from fairlead.config.sources import Sources
from fairlead.errors import AuthenticationError, ConfigError, FairleadError, StorageError, UsageError
from fairlead.model.call import Call
from fairlead.model.deadline import Deadline
from fairlead.model.operation import Operation
from fairlead.runtime.assemble import Connect, World, assemble_connection, assemble_route
from fairlead.runtime.connection import Connection
from fairlead.runtime.pipeline import perform
from fairlead.runtime.ports import Ports
from fairlead.runtime.shared import open_state
from fairlead.runtime.trail import Trail
from fairlead.vault.references import resolve

_PROBE_S = 15.0


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found of one connection or route. Without a `problem` it is well."""

    kind: str
    name: str
    note: str = ""
    problem: str | None = None
    hint: str | None = None
    code: str | None = None
    seconds: float | None = None


async def check(
    settings: config.Settings, *, source: str, sources: Sources, ports: Ports, connect: Connect
) -> list[Finding]:
    """Return a finding for each connection and each route."""
    world = World(sources=sources, ports=ports, connect=connect)
    connections: dict[str, Connection] = {}
    findings: list[Finding] = []
    for name, wanted in settings.connections.items():
        try:
            connections[name] = assemble_connection(name, wanted, world, source=source)
        except (ConfigError, UsageError) as error:
            findings.append(_problem("connection", name, error))
    try:
        findings += await asyncio.gather(
            *(
                _probe(connection, settings.connections[name], ports, where=f"{source}: connections.{name}")
                for name, connection in connections.items()
            )
        )
    finally:
        for connection in connections.values():
            await connection.transport.close()
    order = list(settings.connections)
    findings.sort(key=lambda finding: order.index(finding.name))
    for capability, route in settings.routes.items():
        known = [name for name in route.connections if name in settings.connections and name not in connections]
        try:
            if not known:  # a connection that could not be built has told its own problem
                assemble_route(capability, route, connections, source=source)
            findings.append(Finding(kind="route", name=capability, note=" then ".join(route.connections)))
        except ConfigError as error:
            findings.append(_problem("route", capability, error))
    findings += await _state(settings.state, source, sources, ports)
    return findings + _gateway(settings.gateway, source, sources)


async def _state(wanted: config.State, source: str, sources: Sources, ports: Ports) -> list[Finding]:
    """Connect to what processes share; where nothing is shared, there is nothing to say."""
    try:
        shared = open_state(wanted, source=source, sources=sources, ports=ports)
    except ConfigError as error:
        return [_problem("state", "url", error)]
    if shared is None:
        return []
    started = ports.clock.monotonic()
    try:
        version = await shared.redis.probe()
    except StorageError as error:
        told = _problem("state", shared.redis.place, error)
        return [msgspec.structs.replace(told, problem=f"{source}: state.url: {told.problem}")]
    seconds = ports.clock.monotonic() - started
    return [Finding(kind="state", name=shared.redis.place, note=f"{version}: answers", seconds=seconds)]


def _gateway(wanted: Gateway, source: str, sources: Sources) -> list[Finding]:
    """Resolve the gateway's keys; where there are none, there is no gateway."""
    try:
        for reference in wanted.api_keys:
            resolve(reference, sources, where=f"{source}: gateway.api_keys")
    except ConfigError as error:
        return [_problem("gateway", "api_keys", error)]
    return [Finding(kind="gateway", name="api_keys", note=f"found {len(wanted.api_keys)}")] if wanted.api_keys else []


async def _probe(connection: Connection, wanted: config.Connection, ports: Ports, *, where: str) -> Finding:
    """Make the cheapest call that proves the credentials."""
    probe = connection.provider.probe
    title = connection.provider.title
    if probe is None:
        return Finding(kind="connection", name=connection.name, note=f"{title}: settings are good; nothing to probe")
    started = ports.clock.monotonic()
    call = Call(
        id=ports.ids(), correlation_id="check", operation="check", deadline=Deadline.after(_PROBE_S, now=started)
    )

    def begin(_: Connection) -> Operation[None]:
        return probe()

    try:
        await perform(call, (connection,), begin, Trail(), ports, may_wait=False)
    except FairleadError as error:
        told = _problem("connection", connection.name, error)
        if isinstance(error, AuthenticationError):
            given = ", ".join(f'{name} = "{reference}"' for name, reference in wanted.credentials.items())
            told = msgspec.structs.replace(told, hint=f"Put the right value where it looks: {given}.")
        return msgspec.structs.replace(told, problem=f"{where}: {told.problem}")
    seconds = ports.clock.monotonic() - started
    return Finding(kind="connection", name=connection.name, note=f"{title}: answers", seconds=seconds)


def _problem(kind: str, name: str, error: FairleadError) -> Finding:
    return Finding(kind=kind, name=name, problem=error.message, hint=error.hint, code=error.code)
