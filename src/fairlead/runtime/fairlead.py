"""`Fairlead`: an application's door to its services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from fairlead.config.read import read_settings
from fairlead.config.settings import Connection as ConnectionSettings
from fairlead.config.settings import Settings
from fairlead.config.sources import ProcessSources
from fairlead.errors import UnknownConnectionError, UnknownRouteError
from fairlead.model.call import Ref
from fairlead.model.deadline import Deadline
from fairlead.observe.events import ConfigReloaded
from fairlead.resilience.breaker import Hold, State
from fairlead.resilience.chaos import Chaos
from fairlead.runtime.assemble import Connect, World, assemble_connection
from fairlead.runtime.bound import bound_by
from fairlead.runtime.call_runner import CallRunner
from fairlead.runtime.calls import Calls
from fairlead.runtime.connection import Connection
from fairlead.runtime.desk import Desk, FindStore, find_store
from fairlead.runtime.durable import Durable
from fairlead.runtime.email import EmailFacade
from fairlead.runtime.facade import Facade, Route
from fairlead.runtime.fingerprint import Fingerprints
from fairlead.runtime.handlers import F
from fairlead.runtime.http import HttpFacade
from fairlead.runtime.inbox import Inbox
from fairlead.runtime.later import BackgroundCalls
from fairlead.runtime.payments import PaymentsFacade
from fairlead.runtime.ports import Ports
from fairlead.runtime.recipes import RecipesFacade
from fairlead.runtime.reload import Kept, assemble, difference, telling_of_rejection
from fairlead.runtime.rows import Asked
from fairlead.runtime.schedules import pruning
from fairlead.runtime.shared import SharedConnection, open_state
from fairlead.runtime.subscriptions import SubscriptionsFacade
from fairlead.runtime.suppressions import Suppressions
from fairlead.runtime.wanted import Wanted
from fairlead.runtime.webhooks import WebhooksFacade
from fairlead.storage.jobs import JobStore
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
        open_store: FindStore = find_store,
    ) -> None:
        self.ports = ports or Ports()
        sources = ProcessSources(environment)
        #: Where what must last is kept; opened when something is.
        self.desk = Desk(open_store(settings.storage, source=source, sources=sources, ports=self.ports), self.ports)
        #: What processes share; None where each has its own.
        self.shared = open_state(settings.state, source=source, sources=sources, ports=self.ports)
        self._calls = Calls(self.ports, self.desk, drillable=self._drillable)
        self.calls = BackgroundCalls(self._calls.ledger, self.desk, self._again)
        self._world = World(sources=sources, ports=self.ports, connect=connect, shared=self.shared)
        self._kept = Kept(
            caching=self._calls.caching, fingerprints=Fingerprints(self.shared.cache_key if self.shared else None)
        )
        self._assembly = assemble(settings, self._world, self._kept, source=source)
        self._durable = Durable(
            settings,
            desk=self.desk,
            source=source,
            sources=sources,
            find_connection=self.connection,
            http=self.http,
            open_origin=self._open_origin,
            settle=self.calls.settle,
        )
        self._durable.runners.update(CallRunner(self._calls, self.desk, self._again).runners)
        self._subscriptions = SubscriptionsFacade(
            partial(self.route, "subscriptions"), self._calls, self.desk, lambda: self.settings.subscriptions
        )
        self._durable.runners.update(self._subscriptions.upkeep.runners)
        if "subscriptions" in self.routes:
            self._durable.schedules.add(self._subscriptions.upkeep.schedule())
        self._durable.schedules.add(pruning(self.desk, lambda: self.settings.storage.retention))
        self.desk.wake = self._durable.wake
        #: Ways to servers outside of the configuration, by origin: where a vendor keeps its certificates.
        self._origins: dict[str, Connection] = {}
        #: Connections that were replaced, while somebody still uses them; and what closes them.
        self._retired: WeakSet[Connection] = WeakSet()
        self._closing: set[asyncio.Task[None]] = set()

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
        if self._durable.has_work:
            self._durable.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what runs in the background, and close every socket."""
        await self._durable.close()
        await self._calls.close()
        for connection in (*self.connections.values(), *self._origins.values(), *self._retired):
            await connection.transport.close()
        await asyncio.gather(*self._closing)
        if self.shared:
            await self.shared.close()

    def disown(self) -> None:
        """Leave what is open and under way to the parent: for the child of a fork. What was learnt stays."""
        for connection in (*self.connections.values(), *self._retired):
            connection.disown()
        self._closing = set()
        self._origins = {}
        self._durable.disown()
        if self.shared:
            self.shared.disown()
        self._calls.disown()

    async def reload(self, settings: Settings, *, source: str = "configuration") -> ConfigReloaded:
        """Put new settings in force. Where they are wrong, raise `ConfigError` and change nothing.

        Calls that are under way finish as they began; new ones see the new settings. Connections whose settings are
        the same keep their sockets and all that they know. Those that were removed are closed with their last call.
        """
        with telling_of_rejection(self.ports, source):
            after = assemble(settings, self._world, self._kept, source=source, before=self._assembly)
            forwards = self._durable.build_forwards(settings, source=source)
        before, self._assembly = self._assembly, after
        self._durable.adopt(settings.webhooks, forwards)
        told = difference(before, after, source=source)
        self.ports.events.emit(told)
        kept = [each.transport for each in after.connections.values()]
        for name in (*told.changed, *told.removed):
            old = before.connections[name]
            await self._calls.prober.forget(old)
            if isinstance(old, SharedConnection):
                await old.part()
            if old.transport not in kept:
                self._retired.add(old)
                old.usage.retire(partial(self._close_soon, old))
        return told

    async def reload_from(self, path: str | Path) -> ConfigReloaded:
        """Read a configuration file, with its references, and put it in force as `reload` does."""
        with telling_of_rejection(self.ports, str(path)):
            settings = read_settings(path)
        return await self.reload(settings, source=str(path))

    def _close_soon(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(_close_unused(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._assembly.settings

    @property
    def chaos(self) -> Chaos | None:
        """Trouble made on purpose, where the settings have rules for it; its switch is `is_on`."""
        return self._assembly.chaos

    @property
    def connections(self) -> Mapping[str, Connection]:
        """Every connection, by its name."""
        return self._assembly.connections

    @cached_property
    def recipes(self) -> RecipesFacade:
        """Recipes: search them, fetch one, and know what is in it."""
        self.route("recipes")  # or an error at once
        return RecipesFacade(partial(self.route, "recipes"), self._calls)

    @cached_property
    def email(self) -> EmailFacade:
        """Email: send it once, whoever carries it, and ask what became of it."""
        self.route("email")  # or an error at once
        return EmailFacade(partial(self.route, "email"), self._calls, self.suppressions.find)

    @cached_property
    def payments(self) -> PaymentsFacade:
        """Payments: money taken once and given back, by whichever processor serves."""
        self.route("payments")  # or an error at once
        return PaymentsFacade(partial(self.route, "payments"), self._calls)

    @property
    def subscriptions(self) -> SubscriptionsFacade:
        """Subscriptions: what somebody pays for again and again, and what they may do for it."""
        self.route("subscriptions")  # or an error at once
        return self._subscriptions

    @cached_property
    def suppressions(self) -> Suppressions:
        """Addresses that no mail may go to, whichever vendor said so."""
        return Suppressions(self.desk.store, self.ports.clock)

    @property
    def store(self) -> JobStore | None:
        """What keeps events and calls; None while nothing needs it."""
        takes = any(each.provider.webhooks is not None for each in self.connections.values())
        return self._durable.store if takes or self._durable.is_wanted else None

    @property
    def webhooks(self) -> WebhooksFacade:
        """What vendors send of their own accord: take it, look at it, have it handled again."""
        return self._durable.webhooks

    @property
    def inbox(self) -> Inbox:
        """What takes deliveries."""
        return self._durable.inbox

    def on(
        self, pattern: str, *, name: str | None = None, skip_late: bool = False, transaction: bool = False
    ) -> Callable[[F], F]:
        """Register a function, async or not, for events: `@fl.on("payment.succeeded")`.

        `payment.succeeded` is whoever's event, `acme:invoice.paid` the vendor's own (by provider or connection); `*`
        stands for anything. The function is given a `Received`, and is called until it returns: at least once. What it
        returns of `Statement`s is committed together with the end of the event; with `transaction` (on PostgreSQL) its
        second argument is a connection whose transaction is. Either way that effect happens once.

        It goes by `name`, which must stay the same; its own name unless given. With `skip_late` it is not called for
        what is older than something of the same subject that was handled before.
        """
        return self._durable.handlers.on(pattern, name=name, skip_late=skip_late, transaction=transaction)

    def http(self, connection: str | Connection) -> HttpFacade:
        """Return the way to send plain requests to a connection: to whichever has that name, or to this very one."""
        if isinstance(connection, str):
            self.connection(connection)  # or an error at once
            find = partial(self.connection, connection)
        else:
            find = partial(_itself, connection)
        return HttpFacade(
            find,
            self._calls,
            find_deadline_s=lambda: self.settings.deadline_s,
            find_cache=lambda: self._assembly.http_caches.get(find().name),
        )

    def _again(self, asked: Asked) -> Wanted:
        """Describe a call that was kept, as it would be made now."""
        kind, is_plain, name = asked.target.partition(":")
        if is_plain:
            return self.http(name).again(asked)
        return Facade(partial(self.route, kind), self._calls).again(asked)

    def _open_origin(self, origin: str) -> HttpFacade:
        """Return the way to a server that a vendor named, and that verification has checked."""
        if origin not in self._origins:
            wanted = ConnectionSettings(base_url=origin)
            self._origins[origin] = assemble_connection(origin, wanted, self._world, source="look-ups")
        return self.http(self._origins[origin])

    async def invalidate(self, *tags: Ref | str) -> int:
        """Forget the kept answers that have any of the tags; return how many were.

        Tags are the `Ref` of a thing, the name of a connection, of an operation (`recipes.search`) or of a capability,
        `tenant:NAME`, and of plain calls `connection:/path`. Whoever asks from now on gets an answer of after this.
        """
        caches = [route.cache.cache for route in self.routes.values()]
        caches += [each.cache for each in self._assembly.http_caches.values()]
        return await self._calls.caching.drop(caches, {str(tag) for tag in tags})

    async def hold_circuit(self, connection: str, state: Hold | None) -> State:
        """Hold a circuit `open` or `closed` by hand, or with None let it decide by itself; return its state.

        Held open, nothing is sent there; held closed, everything is, and nothing counts. It lasts through reloads, and
        where processes share their state it holds for all of them. Left to itself after it was held open, the circuit
        is half open: probes find out. Raises `UnknownConnectionError`.
        """
        held = self.connection(connection)
        await held.hold(state)
        return held.breaker.state

    def deadline(self, seconds: float) -> AbstractContextManager[Deadline]:
        """Bound every call made inside, in this task and in those that it starts: `with fl.deadline(2.0):`."""
        return bound_by(seconds, now=self.ports.clock.monotonic())

    def connection(self, name: str) -> Connection:
        """Return a connection; raise `UnknownConnectionError` where there is none of that name."""
        if name not in self.connections:
            raise UnknownConnectionError(
                f"There is no connection {name!r}.", hint=f"There are: {', '.join(self.connections) or 'none'}."
            )
        return self.connections[name]

    def route(self, capability: str) -> Route:
        """Return a capability's route; raise `UnknownRouteError` where nothing serves it."""
        if capability not in self.routes:
            raise UnknownRouteError(
                f"No connection serves {capability}.",
                hint="Add a connection whose provider does; see `fairlead check`.",
            )
        return self.routes[capability]

    def _drillable(self) -> Mapping[str, Connection] | None:
        return self.connections if self.settings.drills else None

    @property
    def routes(self) -> Mapping[str, Route]:
        """Every route, by its capability."""
        return self._assembly.routes


async def _close_unused(connection: Connection) -> None:
    """Close a connection's sockets, unless a late call has come since: then its end closes them."""
    if not connection.usage.count:
        await connection.transport.close()


def _itself(connection: Connection) -> Connection:
    return connection
