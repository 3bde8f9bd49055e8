"""`fl.webhooks`: take deliveries, look at what came, and have it handled again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Headers, Pairs
from fairlead.model.incoming import Incoming, Reply
from fairlead.model.ports import Clock
from fairlead.runtime.deliver import EVENT, Kept
from fairlead.runtime.inbox import Inbox
from fairlead.storage.jobs import Job, JobState, JobStore, Query, Reject, Tally

# So many are put back in one go: whoever asks for more waits for several.
_LOT = 500
_HOUR_S = 3600.0


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is kept. Times are in seconds since 1970; `body` and `headers` are left out of lists."""

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
    headers: Pairs | None = None
    body: bytes | None = None


class WebhooksFacade:
    """What vendors sent of their own accord."""

    def __init__(self, store: JobStore, inbox: Inbox, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._wake = wake

    async def receive(
        self,
        connection: str,
        *,
        url: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes,
        method: str = "POST",
    ) -> Reply:
        """Take a delivery that the application itself was sent, and return the answer to pass on; it raises nothing.

        `url` is the one that the vendor called, with its query, and `body` the raw bytes: both may be signed.
        """
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        return await self._inbox.receive(connection, Incoming(method, url, Headers(pairs), body))

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
        return msgspec.structs.replace(_record(job), headers=kept.headers, body=kept.body)

    async def replay(
        self,
        identifier: int | None = None,
        *,
        connection: str | None = None,
        type: str | None = None,  # noqa: A002  # likewise
        state: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> int:
        """Have events handled again that are over: one, or all that fit; return how many.

        Handlers that have done with an event are not called for it again unless it was done with altogether.
        """
        if identifier is None and (connection, type, state, since, until) == (None,) * 5:
            raise InvalidArgumentError("Nothing says which events.", hint="Name one, or narrow them down.")
        now = self._clock.wall()
        if identifier is not None:
            job = await self._store.find(identifier)
            if job is None or job.kind != EVENT:
                return 0
            query = Query(kind=EVENT, source=job.source, key=job.key, limit=1)
            found = await self._store.again(query, run_at=now)
        else:
            query = _query(connection, type, state, since=since, until=until, limit=_LOT)
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
