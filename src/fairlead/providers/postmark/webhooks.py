"""What Postmark tells of emails.

Nothing is signed: the address has a user and a password in it, which come as HTTP Basic. Its events have no id of their
own but the bounces'. Facts: the pages on each webhook at postmarkapp.com/developer/webhooks, the list of bounce types
in its OpenAPI description; read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.capabilities.email import CALL_FIELD
from fairlead.capabilities.news.email import Bounce, EmailNews
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.providers.postmark.inbound import read_inbound
from fairlead.spec.notice import content_key, instant, parse_json, position, text_named
from fairlead.spec.webhook import BasicScheme, Webhooks

INBOUND = "Inbound"
_TYPES = {
    "Delivery": "email.delivered",
    "SpamComplaint": "email.complained",
    "Open": "email.opened",
    "Click": "email.clicked",
}
_HARD = {"HardBounce", "BadEmailAddress"}
_SOFT = {"SoftBounce", "DnsError", "SpamNotification", "Blocked", "DMARCPolicy", "Unknown"}


class _Event(msgspec.Struct, frozen=True, rename="pascal"):
    #: Only what came in may have none.
    record_type: str = INBOUND
    id: int | None = msgspec.field(name="ID", default=None)
    message_id: str | None = msgspec.field(name="MessageID", default=None)
    type: str | None = None
    email: str | None = None
    recipient: str | None = None
    description: str | None = None
    details: str | None = None
    original_link: str | None = None
    suppress_sending: bool = False
    suppression_reason: str | None = None
    bounced_at: str | None = None
    delivered_at: str | None = None
    received_at: str | None = None
    changed_at: str | None = None
    metadata: Any = None

    @property
    def at(self) -> float | None:
        """When it happened."""
        return instant(self.bounced_at or self.delivered_at or self.received_at or self.changed_at)


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery."""
    event: _Event = parse_json(incoming.body, _Event)
    key = f"{event.record_type}:{event.id}" if event.id else content_key(incoming.body)
    at = position(event.at)
    return (Notice(key=key, type=event.record_type, subject=event.message_id, position=at, body=incoming.body),)


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means; `kind` is that of its notice."""
    if kind == INBOUND:
        return read_inbound(body)
    event: _Event = parse_json(body, _Event)
    neutral, bounce = _TYPES.get(kind), None
    if kind == "Bounce":
        neutral, bounce = _bounce(event.type or "")
    elif kind == "SubscriptionChange" and event.suppress_sending and event.suppression_reason == "ManualSuppression":
        neutral = "email.unsubscribed"
    if neutral is None:
        return None
    data = EmailNews(bounce=bounce, detail=event.details or event.description, url=event.original_link)
    recipient = event.email or event.recipient
    return Event(
        type=neutral,
        occurred_at=event.at,
        subject=event.message_id,
        call=text_named(event.metadata, CALL_FIELD),
        recipient=recipient,
        data=data,
    )


def _bounce(kind: str) -> tuple[str | None, Bounce | None]:
    """Return what one of Postmark's bounces comes to: answers by machines and the like are none."""
    if kind == "Transient":
        return "email.deferred", None
    if kind in _HARD:
        return "email.bounced", Bounce.HARD
    return ("email.bounced", Bounce.SOFT) if kind in _SOFT else (None, None)


WEBHOOKS = Webhooks(
    scheme=BasicScheme(),
    secrets=("webhook_user", "webhook_password"),
    split=split,
    normalise=normalise,
    source="postmarkapp.com/developer/webhooks, read 2026-11-25",
)
