"""See events come, and what becomes of them, as it happens: for whoever develops against webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import msgspec

from fairlead.config.policies import Chaos
from fairlead.config.settings import Connection, Settings
from fairlead.config.webhooks import Forward
from fairlead.errors import InvalidArgumentError, InvalidSettingError
from fairlead.model.ports import Clock
from fairlead.model.suggest import suggest
from fairlead.observe.events import Event, JobEnded
from fairlead.runtime.deliver import EVENT
from fairlead.runtime.event_desk import EventDesk, EventRecord
from fairlead.runtime.registry import load_provider

# How often the store is looked at, in seconds.
_LOOK_S = 0.25
# What another process adds may have a time that is so much older than its moment.
_SLACK_S = 10.0
_LOT = 200
# The connection that leads to the application that is being developed.
_TARGET = "--forward"


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """An event that came, or of which something became."""

    event: EventRecord
    is_new: bool
    #: Something newer of its subject was handled before; known once it was handled in this process.
    is_late: bool


class EventWatch:
    """Looks at a store from now on. `note` is a sink for the engine's events, which tell what is handled here."""

    def __init__(self, desk: EventDesk, clock: Clock, *, connection: str | None = None) -> None:
        self._desk = desk
        self._clock = clock
        self._connection = connection
        self._seen: dict[int, EventRecord] = {}
        self._open: set[int] = set()
        self._touched: set[int] = set()
        self._late: set[int] = set()

    def note(self, event: Event) -> None:
        """Take note of what was handled in this process, also of what had come earlier."""
        if isinstance(event, JobEnded) and event.kind == EVENT:
            self._touched.add(event.job_id)
            (self._late.add if event.is_late else self._late.discard)(event.job_id)

    async def sights(self) -> AsyncIterator[Sight]:
        """Yield without an end; raise `StorageError` where the store does not answer."""
        self._seen = {each.id: each for each in await self._fetch_since(self._clock.wall() - _SLACK_S)}
        while True:
            horizon = self._clock.wall() - _SLACK_S
            for event in reversed(await self._fetch_since(horizon)):
                if event.id not in self._seen:
                    self._seen[event.id] = event
                    self._open.add(event.id)
                    whole = await self._desk.show(event.id)
                    yield Sight(event=whole or event, is_new=True, is_late=False)
            touched, self._touched = self._touched, set()
            for identifier in sorted(self._open | touched):
                async for sight in self._look_again(identifier, is_touched=identifier in touched):
                    yield sight
            recent = {key: each for key, each in self._seen.items() if each.received_at >= horizon}
            self._seen = recent | {key: self._seen[key] for key in self._open}
            await self._clock.sleep(_LOOK_S)

    async def _look_again(self, identifier: int, *, is_touched: bool) -> AsyncIterator[Sight]:
        """Yield an event of which something became since it was last seen."""
        now, before = await self._desk.show(identifier), self._seen.get(identifier)
        if now is None or now.state == "running":
            return
        if now.state != "waiting":
            self._open.discard(identifier)
        if self._connection not in {None, now.connection}:
            return
        if is_touched or before is None or (now.state, now.failures) != (before.state, before.failures):
            self._seen[identifier] = now
            yield Sight(event=now, is_new=False, is_late=identifier in self._late)

    async def _fetch_since(self, since: float) -> Sequence[EventRecord]:
        """Return all that came since, newest first."""
        found: list[EventRecord] = []
        before: int | None = None
        while True:
            lot = await self._desk.list(connection=self._connection, since=since, before=before, limit=_LOT)
            found += lot
            if len(lot) < _LOT:
                return found
            before = lot[-1].id


def listening_settings(
    settings: Settings, *, connection: str | None = None, forward: str | None = None, secret: str | None = None
) -> Settings:
    """Return the settings with nothing but what it takes to receive: no other vendor's secret is needed.

    `forward` is the URL of an application that gets every event, in place of the settings' own forwards. Raises
    `InvalidArgumentError` for a connection that sends nothing, and a URL that is none.
    """
    senders = _senders(settings, connection)
    forwards = settings.webhooks.forwards
    targets = {each.connection: settings.connections[each.connection] for each in forwards if
               each.connection in settings.connections}  # fmt: skip
    if forward is not None:
        parts = urlsplit(forward)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            raise InvalidArgumentError(
                f"--forward: {forward!r} is no URL of an application.", hint="Write it as http://127.0.0.1:8000/hooks."
            )
        targets = {_TARGET: Connection(base_url=f"{parts.scheme}://{parts.netloc}", allow_private=True)}
        events = [f"{name}:*" for name in senders]
        forwards = [Forward(events=events, connection=_TARGET, path=parts.path or "/", secret=secret)]
    return msgspec.structs.replace(
        settings,
        connections=targets | {name: settings.connections[name] for name in senders},
        routes={},
        chaos=Chaos(),
        webhooks=msgspec.structs.replace(settings.webhooks, forwards=forwards),
    )


def _senders(settings: Settings, connection: str | None) -> Sequence[str]:
    """Return the connections that can receive something."""
    able = [
        name
        for name, each in settings.connections.items()
        if each.provider is not None and load_provider(each.provider).webhooks is not None
    ]
    if connection is None:
        if not able:
            raise InvalidSettingError("No connection has a provider that sends webhooks.")
        return able
    if connection not in able:
        raise InvalidArgumentError(
            f"There is no connection {connection!r} that receives webhooks.", hint=suggest(connection, able)
        )
    return [connection]
