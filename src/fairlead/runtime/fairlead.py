"""`Fairlead`: an application's door to its services."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from fairlead.config.read import read_settings
from fairlead.config.settings import Route as RouteSettings
from fairlead.config.settings import Settings
from fairlead.config.sources import ProcessSources
from fairlead.errors import UnknownConnectionError, UnknownRouteError
from fairlead.runtime.assemble import Connect, assemble_connection, assemble_route
from fairlead.runtime.calls import Calls
from fairlead.runtime.connection import Connection
from fairlead.runtime.facade import Route
from fairlead.runtime.http import HttpFacade
from fairlead.runtime.ports import Ports
from fairlead.runtime.recipes import RecipesFacade
from fairlead.runtime.shared import open_state
from fairlead.transport.connect import connect as open_transport


class Fairlead:
    """Connections, routes and the calls through them. Use it as `async with`; it closes its sockets at the end.

    Everything is checked when it is made: a mistake raises `ConfigError` before any socket is opened. Several may
    live side by side; nothing is global. References are looked up in `environment`, or else in the process's own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: str = "configuration",
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
        connect: Connect = open_transport,
    ) -> None:
        self.settings = settings
        self.ports = ports or Ports()
        sources = ProcessSources(environment)
        #: What processes share; None where each has its own.
        self.shared = open_state(settings.state, source=source, sources=sources, ports=self.ports)
        self.connections: Mapping[str, Connection] = {
            name: assemble_connection(
                name,
                wanted,
                source=source,
                sources=sources,
                ports=self.ports,
                connect=connect,
                shared=self.shared,
            )
            for name, wanted in settings.connections.items()
        }
        self._routes = {
            capability: assemble_route(capability, wanted, self.connections, source=source)
            for capability, wanted in (_unsaid_routes(self.connections) | settings.routes).items()
        }
        self._calls = Calls(self.ports)

    @classmethod
    def from_config(
        cls,
        path: str | Path = "fairlead.toml",
        *,
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
    ) -> Self:
        """Read a configuration file; raise `ConfigError` naming the file and the key of what is wrong.

        References are looked up in `environment`, or else in the process's own.
        """
        return cls(read_settings(path), source=str(path), environment=environment, ports=ports)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every socket."""
        for connection in self.connections.values():
            await connection.transport.close()
        if self.shared:
            await self.shared.close()

    def disown(self) -> None:
        """Leave what is open and under way to the parent: for the child of a fork. What was learnt stays."""
        for connection in self.connections.values():
            connection.disown()
        if self.shared:
            self.shared.disown()
        self._calls.disown()

    @cached_property
    def recipes(self) -> RecipesFacade:
        """Recipes: search them, fetch one, and know what is in it."""
        return RecipesFacade(self.route("recipes"), self._calls)

    def http(self, connection: str) -> HttpFacade:
        """Return the way to send plain requests to a connection."""
        return HttpFacade(self.connection(connection), self._calls, deadline_s=self.settings.deadline_s)

    def connection(self, name: str) -> Connection:
        """Return a connection; raise `UnknownConnectionError` where there is none of that name."""
        if name not in self.connections:
            raise UnknownConnectionError(
                f"There is no connection {name!r}.", hint=f"There are: {', '.join(self.connections) or 'none'}."
            )
        return self.connections[name]

    def route(self, capability: str) -> Route:
        """Return a capability's route; raise `UnknownRouteError` where nothing serves it."""
        if capability not in self._routes:
            raise UnknownRouteError(
                f"No connection serves {capability}.",
                hint="Add a connection whose provider does; see `fairlead check`.",
            )
        return self._routes[capability]

    @property
    def routes(self) -> Mapping[str, Route]:
        """Every route, by its capability."""
        return self._routes


def _unsaid_routes(connections: Mapping[str, Connection]) -> dict[str, RouteSettings]:
    """Route each capability that the settings do not to all connections that serve it, in the order of the file."""
    able: dict[str, list[str]] = {}
    for name, connection in connections.items():
        for capability in connection.provider.capabilities:
            able.setdefault(capability, []).append(name)
    return {capability: RouteSettings(connections=names) for capability, names in able.items()}
