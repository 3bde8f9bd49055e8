"""Hand a kept event to its handlers: each at least once, and effectively once where its effect is committed with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from fairlead.config.webhooks import Webhooks as WebhookSettings
from fairlead.errors import UnknownProviderError, UsageError, WebhookError
from fairlead.model.event import Event
from fairlead.model.headers import Pairs
from fairlead.runtime.handlers import Handler, Handlers, Received
from fairlead.runtime.ports import Ports
from fairlead.runtime.work import Written, is_told_to_stop, put_back
from fairlead.spec.provider import Provider
from fairlead.storage.jobs import Ending, Job, JobState, JobStore, Statement

#: The kind of jobs that received events are.
EVENT = "event"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of an event besides its place: whose it is, and what came, to the byte."""

    provider: str
    headers: Pairs
    body: bytes


def neutral_of(kept: Kept, kind: str, find_provider: Callable[[str], Provider]) -> Event | None:
    """Return what an event means whoever sent it.

    None where there is no neutral word, where the vendor does not write it as we know it, or its provider is gone:
    what came is still there, for whoever handles the vendor's own events.
    """
    try:
        webhooks = find_provider(kept.provider).webhooks
        return webhooks.normalise(kind, kept.body) if webhooks and webhooks.normalise else None
    except (UnknownProviderError, WebhookError):
        return None


class _LostError(Exception):
    """Somebody else has the event by now: what was done in the transaction may not be committed."""


class Deliver:
    """The runner of events. What a handler has done is written down with its effects, and not done again.

    `settings` are those of the moment.
    """

    def __init__(
        self,
        store: JobStore,
        handlers: Handlers,
        ports: Ports,
        *,
        find_provider: Callable[[str], Provider],
        settings: Callable[[], WebhookSettings],
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._ports = ports
        self._find_provider = find_provider
        self._settings = settings

    async def __call__(self, job: Job) -> Ending | Written:
        """Call who has not handled it yet. One that fails stands in nobody's way; it is called again later."""
        if not self._handlers:  # the last one went with a reload
            return Ending(claim=job.claim, state=JobState.WAITING, run_at=job.run_at)
        event = self.read(job)
        done: list[str] = msgspec.msgpack.decode(job.mark, type=list[str]) if job.mark else []
        waiting = [each for each in self._handlers.wanting(event) if each.name not in done]
        waiting = [each for each in waiting if not (event.is_late and each.skips_late)]
        error: BaseException | None = None
        for handler in (each for each in waiting if each.wants_transaction):
            try:
                return await self._commit(handler, event, job, done, is_last=len(waiting) == 1)
            except Exception as its:  # noqa: BLE001  # the application's own code may raise anything
                error = its
        for handler in (each for each in waiting if not each.wants_transaction):
            found = await self._try(handler, event)
            if isinstance(found, BaseException):
                error = found
            elif not found:
                done.append(handler.name)
            else:  # alone, so that nobody's bad statement undoes another's good one
                try:
                    return await self._keep_apart(job, [*done, handler.name], found, is_last=len(waiting) == 1)
                except UsageError as its:  # the database refuses the statement
                    error = its
        ending = Ending(claim=job.claim, state=JobState.DONE)
        if error is not None:
            ending = put_back(job, error, self._ports, waits_s=self._settings().waits_s)
        return msgspec.structs.replace(ending, mark=msgspec.msgpack.encode(done))

    async def _try(self, handler: Handler, event: Received) -> tuple[Statement, ...] | BaseException:
        """Call a handler; return its effects, or what it raised."""
        try:
            async with asyncio.timeout(self._settings().handler_s):
                return await handler(event)
        except asyncio.CancelledError as error:
            if is_told_to_stop():
                raise
            return error
        except Exception as error:  # noqa: BLE001  # the application's own code may raise anything
            return error

    async def _keep_apart(
        self, job: Job, done: Sequence[str], effects: tuple[Statement, ...], *, is_last: bool
    ) -> Written:
        """Commit the effects of one handler. Where others wait, the event is put back for them."""
        ending = _handled(job, done, effects, is_last=is_last)
        is_ours = await self._store.finish(ending)  # else somebody else calls the handler again
        return Written(ending.state if is_ours else JobState.WAITING)

    def read(self, job: Job) -> Received:
        """Return an event as its handlers get it."""
        kept = msgspec.msgpack.decode(job.payload, type=Kept)
        return Received(
            id=job.id,
            connection=job.source,
            provider=kept.provider,
            type=job.name,
            key=job.key or str(job.id),
            neutral=neutral_of(kept, job.name, self._find_provider),
            body=kept.body,
            received_at=job.created_at,
            failures=job.failures,
            is_late=job.is_late,
        )

    async def _commit(
        self, handler: Handler, event: Received, job: Job, done: Sequence[str], *, is_last: bool
    ) -> Written:
        """Call a handler in a transaction, and write down in the same one that it has handled the event.

        Where others wait, the event is put back for them: it ends with the last one.
        """
        try:
            async with asyncio.timeout(self._settings().handler_s), self._store.transaction(job.claim) as transaction:
                effects = await handler(event, transaction.connection)
                ending = _handled(job, [*done, handler.name], effects, is_last=is_last)
                _insist(await transaction.finish(ending))
        except _LostError:
            return Written(JobState.WAITING)  # for somebody else
        return Written(ending.state)


def _handled(job: Job, done: Sequence[str], effects: tuple[Statement, ...], *, is_last: bool) -> Ending:
    """Return what is written down when these handlers have done with an event."""
    return Ending(
        claim=job.claim,
        state=JobState.DONE if is_last else JobState.WAITING,
        run_at=job.run_at,
        mark=msgspec.msgpack.encode(done),
        effects=effects,
    )


def _insist(is_ours: bool) -> None:
    """Leave a transaction that may not be committed."""
    if not is_ours:
        raise _LostError
