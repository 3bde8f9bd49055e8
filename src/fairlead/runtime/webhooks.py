"""`fl.webhooks`: take deliveries, look at what came, and have it handled again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fairlead.model.headers import Headers
from fairlead.model.incoming import Incoming, Reply
from fairlead.model.ports import Clock
from fairlead.runtime.event_desk import EventDesk
from fairlead.runtime.inbox import Inbox
from fairlead.storage.jobs import JobStore


class WebhooksFacade(EventDesk):
    """What vendors sent of their own accord."""

    def __init__(self, store: JobStore, inbox: Inbox, clock: Clock, *, wake: Callable[[], None]) -> None:
        super().__init__(store, clock, wake=wake)
        self._inbox = inbox

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
