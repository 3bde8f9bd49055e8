"""Look at kept events, and have them handled again: for people, in whatever process. Nothing is handled here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fairlead.config.settings import Settings
from fairlead.config.sources import Sources
from fairlead.errors import InvalidArgumentError
from fairlead.model.event import Event
from fairlead.model.headers import Pairs
from fairlead.model.ports import Clock
from fairlead.runtime.deliver import EVENT, Kept, neutral_of
from fairlead.runtime.desk import find_store
from fairlead.runtime.ports import Ports
from fairlead.runtime.registry import load_provider
from fairlead.storage.jobs import Job, JobState, JobStore, Query, Reject, Tally

# So many are put back in one go: whoever asks for more waits for several.
_LOT = 500
_HOUR_S = 3600.0


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is kept. Times are in seconds since 1970; lists leave out what came, and what it means."""

    id: int
    connection: str
    type: str
    key: str
    subject: str | None
    state: str
    received_at: float
    finished_at: float | None
    #: When it is handled next, while it waits.
    next_at: float | None
    failures: int
    error: str | None
    #: The handlers that have done with it.
    handled_by: tuple[str, ...]
    #: What it means whoever sent it; None in lists, and where there is no neutral meaning.
    neutral: Event | None = None
    headers: Pairs | None = None
    body: bytes | None = None


class EventDesk:
    """The events of a store. `wake` is called when some of them are to be handled again."""

    def __init__(self, store: JobStore, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    async def list(
        self,
        *,
        connection: str | None = None,
        type: str | None = None,  # noqa: A002  # the vendor's word
        state: str | None = None,
        subject: str | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[EventRecord]:
        """Return events, newest first. To go on, pass the last one's id as `before`."""
        query = _query(connection, type, state, subject=subject, since=since, until=until, before=before, limit=limit)
        return [_record(each) for each in await self._store.list(query)]

    async def show(self, identifier: int) -> EventRecord | None:
        """Return one event, with what came to the byte; None where there is none."""
        job = await self._store.find(identifier)
        if job is None or job.kind != EVENT:
            return None
        kept = msgspec.msgpack.decode(job.payload, type=Kept)
        neutral = neutral_of(kept, job.name, load_provider)
        return msgspec.structs.replace(_record(job), neutral=neutral, headers=kept.headers, body=kept.body)

    async def replay(
        self,
        identifier: int | None = None,
        *,
        connection: str | None = None,
        type: str | None = None,  # noqa: A002  # likewise
        state: str | None = None,
        subject: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> int:
        """Have events handled again that are over: one, or all that fit; return how many.

        Handlers that have done with an event are not called for it again unless it was done with altogether.
        """
        if identifier is None and (connection, type, state, subject, since, until) == (None,) * 6:
            raise InvalidArgumentError("Nothing says which events.", hint="Name one, or narrow them down.")
        now = self._clock.wall()
        if identifier is not None:
            job = await self._store.find(identifier)
            if job is None or job.kind != EVENT:
                return 0
            query = Query(kind=EVENT, source=job.source, key=job.key, limit=1)
            found = await self._store.again(query, run_at=now)
        else:
            query = _query(connection, type, state, subject=subject, since=since, until=until, limit=_LOT)
            found = 0
            while lot := await self._store.list(query):
                found += await self._store.again(query, run_at=now)
                query = msgspec.structs.replace(query, before=lot[-1].id)
        if found:
            self._wake()
        return found

    async def rejects(self, *, hours: float = 24, connection: str | None = None) -> Sequence[Reject]:
        """Return what was turned away, by hour and reason."""
        since = int((self._clock.wall() - hours * _HOUR_S) // _HOUR_S)
        return await self._store.list_rejects(since_hour=since, source=connection)

    async def tallies(self, *, hours: float = 24) -> Sequence[Tally]:
        """Return how many events came and how they ended, by hour."""
        now = self._clock.wall()
        since, until = int((now - hours * _HOUR_S) // _HOUR_S), int(now // _HOUR_S) + 1
        return await self._store.tallies(kind=EVENT, since_hour=since, until_hour=until)


@asynccontextmanager
async def open_desk(settings: Settings, *, source: str, sources: Sources, ports: Ports) -> AsyncIterator[EventDesk]:
    """Open the store that the settings name, and nothing else: no vendor's secret is needed, and no event is handled.

    The processes that handle events hear of those that are replayed. Raises `ConfigError` and `StorageError`.
    """
    store = find_store(settings.storage, source=source, sources=sources, ports=ports)
    try:
        yield EventDesk(store, ports.clock, wake=_nobody)
    finally:
        await store.close()


def _nobody() -> None:
    """Wake nobody: whoever handles events watches the store."""


def _query(connection: str | None, name: str | None, state: str | None, **more: Any) -> Query:
    try:
        wanted = None if state is None else JobState[state.upper()]
    except KeyError:
        raise InvalidArgumentError(
            f"{state!r} is no state.", hint=f"There are: {', '.join(each.name.lower() for each in JobState)}."
        ) from None
    return Query(kind=EVENT, source=connection, name=name, state=wanted, **more)


def _record(job: Job) -> EventRecord:
    return EventRecord(
        id=job.id,
        connection=job.source,
        type=job.name,
        key=job.key or "",
        subject=job.subject,
        state=job.state.name.lower(),
        received_at=job.created_at,
        finished_at=job.finished_at,
        next_at=job.run_at if job.state is JobState.WAITING else None,
        failures=job.failures,
        error=job.error,
        handled_by=tuple(msgspec.msgpack.decode(job.mark, type=list[str])) if job.mark else (),
    )
