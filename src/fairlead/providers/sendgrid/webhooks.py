"""What SendGrid tells of emails.

Facts: sendgrid-python test_eventwebhook.py (76788e7), the page 'Event Webhook Reference'; read 2026-11-25. How old a
signature may be is not said there, nor whether a repeat, of which there are some for 24 hours, is signed anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fairlead.capabilities.news.email import Bounce, EmailNews
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.providers.sendgrid.inbound import read_inbound
from fairlead.spec.notice import content_key, parse_json, position
from fairlead.spec.webhook import PublicKeyScheme, Webhooks

_REPEATED_FOR_S = 25 * 3600.0
INBOUND = "inbound"
_TYPES = {
    "delivered": "email.delivered",
    "deferred": "email.deferred",
    "bounce": "email.bounced",
    "dropped": "email.dropped",
    "spamreport": "email.complained",
    "unsubscribe": "email.unsubscribed",
    "group_unsubscribe": "email.unsubscribed",
    "open": "email.opened",
    "click": "email.clicked",
}


class _Event(msgspec.Struct, frozen=True):
    event: str
    sg_event_id: str | None = None
    sg_message_id: str | None = None
    timestamp: float | None = None
    email: str | None = None
    type: str | None = None
    status: str | None = None
    reason: str | None = None
    response: str | None = None
    url: str | None = None
    #: A custom argument of the message: they stand among the event's own fields.
    fairlead_call: Any = None

    @property
    def message(self) -> str | None:
        """The id that sending answers with: what stands before the first dot."""
        return self.sg_message_id.partition(".")[0] if self.sg_message_id else None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the events of a delivery: a list of them, or an email that came in, which is a form."""
    if incoming.body.startswith(b"--"):
        return (Notice(key=content_key(incoming.body), type=INBOUND, body=incoming.body),)
    parts: list[msgspec.Raw] = parse_json(incoming.body, list[msgspec.Raw])
    return tuple(_notices(parts))


def _notices(parts: list[msgspec.Raw]) -> Iterator[Notice]:
    for part in parts:
        event: _Event = parse_json(part, _Event)
        yield Notice(
            key=event.sg_event_id or content_key(part),
            type=event.event,
            subject=event.message,
            position=position(event.timestamp),
            body=bytes(part),
        )


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    if kind == INBOUND:
        return read_inbound(body)
    if kind not in _TYPES:
        return None
    event: _Event = parse_json(body, _Event)
    # A `bounce` is a refusal for good; one that is `blocked` may pass ('Bounces' and 'Blocks' of the reference).
    hardness = Bounce.SOFT if event.type == "blocked" else Bounce.HARD
    data = EmailNews(
        bounce=hardness if kind == "bounce" else None,
        status=event.status,
        detail=event.reason or event.response,
        url=event.url,
    )
    return Event(
        call=event.fairlead_call if isinstance(event.fairlead_call, str) else None,
        type=_TYPES[kind],
        occurred_at=event.timestamp,
        subject=event.message,
        recipient=event.email,
        data=data,
    )


WEBHOOKS = Webhooks(
    scheme=PublicKeyScheme(
        header="x-twilio-email-event-webhook-signature",
        timestamp_header="x-twilio-email-event-webhook-timestamp",
        tolerance_s=_REPEATED_FOR_S,
    ),
    secrets=("webhook_public_key",),
    split=split,
    normalise=normalise,
    source="sendgrid-python test/unit/test_eventwebhook.py (76788e7), read 2026-11-25",
)
