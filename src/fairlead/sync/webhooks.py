"""What vendors send of their own accord, in synchronous code: in a view of Flask or Django, in a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairlead.model.incoming import Reply
from fairlead.runtime.event_desk import EventRecord
from fairlead.runtime.webhooks import WebhooksFacade as AsyncWebhooksFacade
from fairlead.storage.jobs import Reject, Tally
from fairlead.sync.loop import BACKGROUND


class WebhooksFacade:
    """Take deliveries, look at what came, and have it handled again."""

    def __init__(self, webhooks: AsyncWebhooksFacade, owner: object) -> None:
        self._webhooks = webhooks
        self._owner = owner  # whose end closes the store

    def receive(
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
        return BACKGROUND.run(
            lambda: self._webhooks.receive(connection, url=url, headers=headers, body=body, method=method)
        )

    def list(
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
        return BACKGROUND.run(
            lambda: self._webhooks.list(
                connection=connection, type=type, state=state, subject=subject, since=since, until=until,
                before=before, limit=limit,
            )
        )  # fmt: skip

    def show(self, identifier: int) -> EventRecord | None:
        """Return one event, with what came to the byte; None where there is none."""
        return BACKGROUND.run(lambda: self._webhooks.show(identifier))

    def replay(
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
        return BACKGROUND.run(
            lambda: self._webhooks.replay(
                identifier, connection=connection, type=type, state=state, subject=subject, since=since, until=until
            )
        )

    def rejects(self, *, hours: float = 24, connection: str | None = None) -> Sequence[Reject]:
        """Return what was turned away, by hour and reason."""
        return BACKGROUND.run(lambda: self._webhooks.rejects(hours=hours, connection=connection))

    def tallies(self, *, hours: float = 24) -> Sequence[Tally]:
        """Return how many events came and how they ended, by hour."""
        return BACKGROUND.run(lambda: self._webhooks.tallies(hours=hours))
