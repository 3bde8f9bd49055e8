"""What lasts, and what this process does about it: the store, the inbox, the handlers and the worker.

Nothing is opened before something is to be kept, or there is something to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from fairlead.config.settings import Settings
from fairlead.config.sources import Sources
from fairlead.config.storage import Storage
from fairlead.config.webhooks import Webhooks
from fairlead.runtime.connection import Connection
from fairlead.runtime.consequences import Consequences, Settle
from fairlead.runtime.deliver import EVENT, Deliver
from fairlead.runtime.desk import Desk
from fairlead.runtime.forward import build_forwards
from fairlead.runtime.handlers import Handler, Handlers
from fairlead.runtime.http import HttpFacade
from fairlead.runtime.inbox import NONCE, Inbox
from fairlead.runtime.lookup import Lookups
from fairlead.runtime.registry import load_provider
from fairlead.runtime.rejects import Rejects
from fairlead.runtime.schedules import TASK, Schedules
from fairlead.runtime.webhooks import WebhooksFacade
from fairlead.runtime.work import Runner, Worker
from fairlead.storage.jobs import Ending, Job, JobState


class Durable:
    """Made with the settings at the start: where the store is counts until the next one, the rest until a reload."""

    def __init__(
        self,
        settings: Settings,
        *,
        desk: Desk,
        source: str,
        sources: Sources,
        find_connection: Callable[[str], Connection],
        http: Callable[[str | Connection], HttpFacade],
        open_origin: Callable[[str], HttpFacade],
        settle: Settle,
    ) -> None:
        wanted, ports = settings.storage, desk.ports
        self.store = desk.store
        #: What is to be done again and again, once for all processes.
        self.schedules = Schedules(desk)
        self.handlers = Handlers()
        self._build_forwards = partial(build_forwards, sources=sources, http=http, clock=ports.clock)
        self.handlers.forwards = self._build_forwards(settings, source=source)
        self._settings = settings.webhooks
        self._is_said = wanted != Storage()
        self._rejects = Rejects(self.store, ports.clock)
        self._deliver = Deliver(
            self.store,
            self.handlers,
            ports,
            find_provider=load_provider,
            settings=lambda: self._settings,
        )
        #: Kind of job -> what does it in this process. Events have places of their own, so that no vendor that is slow
        #: to take calls keeps them waiting.
        self.runners: dict[str, Runner] = {TASK: self.schedules.run}
        self._event_runners: dict[str, Runner] = {}
        at_once, lease_s = self._settings.at_once, self._settings.lease_s
        self._workers = (
            Worker(self.store, ports, self._event_runners, at_once=at_once, lease_s=lease_s),
            Worker(self.store, ports, self.runners, at_once=at_once, lease_s=lease_s),
        )
        self._is_closing = False
        self.inbox = Inbox(
            self.store,
            ports,
            find_connection=find_connection,
            lookups=Lookups(open_origin, ports.clock.monotonic),
            rejects=self._rejects,
            consequences=Consequences(self.store, settle, self.wake),
            wake=self._wake_for_events,
        )
        self.webhooks = WebhooksFacade(self.store, self.inbox, ports.clock, wake=self._wake_for_events)

    @property
    def is_wanted(self) -> bool:
        """Whether the settings, or the application's handlers, say that something is to be kept."""
        return self._is_said or bool(self.handlers)

    @property
    def has_work(self) -> bool:
        """Whether something may wait to be done here, before anything is added."""
        return bool(self.handlers) or self._is_said

    def start(self) -> None:
        """Do what is due, from now on; a process without handlers leaves the events to those that have some."""
        if self._is_closing:
            return
        if self.handlers:
            self._event_runners[EVENT] = self._deliver
            self.runners[NONCE] = _forget
            self._workers[0].start()
        self.schedules.start()
        self._workers[1].start()

    def build_forwards(self, settings: Settings, *, source: str) -> tuple[Handler, ...]:
        """Return what new settings have events forwarded by; raise `ConfigError`, and change nothing."""
        return self._build_forwards(settings, source=source)

    def adopt(self, settings: Webhooks, forwards: tuple[Handler, ...]) -> None:
        """Put new settings in force, in the running loop. What is under way ends as it began."""
        self._settings, self.handlers.forwards = settings, forwards
        for worker in self._workers:
            worker.bound(at_once=settings.at_once, lease_s=settings.lease_s)
        if self.handlers:
            self.wake()
        else:
            self._event_runners.pop(EVENT, None)

    def wake(self) -> None:
        """Something was added: see to it, in the running loop."""
        self.start()
        for worker in self._workers:
            worker.wake()

    def _wake_for_events(self) -> None:
        """Events were added: of what follows from them, its consequences tell."""
        self.start()
        self._workers[0].wake()

    async def close(self) -> None:
        """Give what is under way some seconds to end, write down what is counted, and close the store."""
        self._is_closing = True  # what is enqueued meanwhile is for whoever starts next
        try:
            await self.schedules.stop()
            await asyncio.gather(*(worker.stop() for worker in self._workers))
            await self._rejects.close()
            await self.store.close()
        finally:
            self._is_closing = False

    def disown(self) -> None:
        """Leave what is open to the parent: for the child of a fork."""
        self.schedules.disown()
        for worker in self._workers:
            worker.disown()
        self._is_closing = False
        self._rejects.disown()
        self.store.disown()


async def _forget(job: Job) -> Ending:
    """End a nonce, so that retention can delete it: no signature with it counts any more."""
    return Ending(claim=job.claim, state=JobState.DONE)
