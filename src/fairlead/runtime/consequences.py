"""What follows at once from an event, beside what handlers do about it: an address is suppressed, a call settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress

import msgspec

from fairlead.capabilities.email import EmailReceipt, accepted
from fairlead.capabilities.mailbox import Address
from fairlead.errors import FairleadError, WebhookError
from fairlead.model.call import Ref
from fairlead.model.event import Event, Notice
from fairlead.model.outcome import Outcome
from fairlead.runtime.connection import Connection
from fairlead.runtime.suppressions import put_back, suppression_of
from fairlead.runtime.upkeep import look_at
from fairlead.storage.jobs import Added, JobStore, NewJob

#: `BackgroundCalls.settle`.
Settle = Callable[..., Awaitable[bool]]
#: What events may be about that something follows from at once.
_HEARD = frozenset({"email", "subscriptions"})
# A message of which any of this is told was taken by its vendor.
_FAMILY = "email."


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be kept together with the events, and what they say of calls."""

    jobs: Sequence[NewJob] = ()
    events: Sequence[Event] = ()


NOTHING = Followed()


class Consequences:
    """Draws them. Only what a capability of the connection's provider is about is looked at.

    `wake` is called when there may be something to be done beside the events.
    """

    def __init__(self, store: JobStore, settle: Settle, wake: Callable[[], None]) -> None:
        self._store = store
        self._settle = settle
        self._wake = wake

    def draw(self, connection: Connection, notices: Sequence[Notice], *, now: float) -> Followed:
        """Return what follows from the notices of a verified delivery."""
        webhooks, capabilities = connection.provider.webhooks, connection.provider.capabilities
        if _HEARD.isdisjoint(capabilities) or webhooks is None or webhooks.normalise is None:
            return NOTHING
        known: dict[str, Event] = {}
        for notice in notices:
            with suppress(WebhookError):  # it is the vendor's all the same, and kept: nothing follows from it
                event = webhooks.normalise(notice.type, notice.body)
                known |= {} if event is None else {notice.key: event}
        rows = {
            (row.kind, row.key): row
            for key, event in known.items()
            for row in _rows_of(event, key, connection, now=now)
        }
        return Followed(jobs=tuple(rows.values()), events=tuple(known.values()))

    async def follow(self, connection: str, followed: Followed, added: Sequence[Added]) -> None:
        """Do what could not be kept with the events themselves; they are on disk by now."""
        if followed.jobs:
            self._wake()
        await put_back(self._store, added)
        for event in followed.events:
            if event.call and event.subject and event.type.startswith(_FAMILY):
                recipients = accepted((Address(event.recipient),)) if event.recipient else ()
                receipt = EmailReceipt(ref=Ref(connection, event.subject), recipients=recipients)
                with suppress(FairleadError):  # a call of somebody else's, or one that is long over
                    await self._settle(
                        event.call, Outcome.DONE, evidence=event.type, value=receipt, served_by=connection
                    )


def _rows_of(event: Event, key: str, connection: Connection, *, now: float) -> Iterator[NewJob]:
    """Yield the rows that follow from an event: those that its connection's capabilities are about."""
    capabilities = connection.provider.capabilities
    if "email" in capabilities and (suppressed := suppression_of(event, connection.name, now=now)):
        yield suppressed
    if "subscriptions" in capabilities and (look := look_at(event, connection.name, key, now=now)):
        yield look
