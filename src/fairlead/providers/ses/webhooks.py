"""What Amazon SES tells of emails, through a topic of SNS.

The envelope is that of `fairlead.spec.topic`. A bounce or a complaint may be about several recipients: each is a notice
of its own. Facts: the pages 'Contents of event data' and 'Amazon SNS notification contents', read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fairlead.capabilities.email import CALL_FIELD
from fairlead.capabilities.news.email import Bounce, EmailNews
from fairlead.errors import WebhookError
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import instant, only, parse_json, position, text_named
from fairlead.spec.topic import NOTIFICATION, TOPIC, parse_message
from fairlead.spec.webhook import Webhooks

_TYPES = {
    "Delivery": "email.delivered",
    "DeliveryDelay": "email.deferred",
    "Bounce": "email.bounced",
    "Reject": "email.dropped",
    "Rendering Failure": "email.dropped",
    "Complaint": "email.complained",
    "Subscription": "email.unsubscribed",
    "Open": "email.opened",
    "Click": "email.clicked",
}
#: Type of event -> where its recipients stand.
_RECIPIENTS = {
    "Delivery": ("delivery", "recipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
}


class _Recipient(msgspec.Struct, frozen=True, rename="camel"):
    email_address: str | None = None
    status: str | None = None
    diagnostic_code: str | None = None


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    """What is special to one type of event."""

    timestamp: str | None = None
    bounce_type: str | None = None
    bounced_recipients: tuple[_Recipient, ...] = ()
    complained_recipients: tuple[_Recipient, ...] = ()
    delayed_recipients: tuple[_Recipient, ...] = ()
    recipients: tuple[str, ...] = ()
    reason: str | None = None
    error_message: str | None = None
    smtp_response: str | None = None
    link: str | None = None

    @property
    def people(self) -> tuple[_Recipient, ...]:
        """Whom it is about."""
        those = self.bounced_recipients or self.complained_recipients or self.delayed_recipients
        return those or tuple(map(_Recipient, self.recipients))


class _Mail(msgspec.Struct, frozen=True, rename="camel"):
    message_id: str | None = None
    destination: tuple[str, ...] = ()
    tags: Any = None


class _Record(msgspec.Struct, frozen=True, rename="camel"):
    """An event: with `eventType` where it is published, with `notificationType` where it is a plain notification."""

    mail: _Mail
    event_type: str | None = None
    notification_type: str | None = None
    bounce: _Detail | None = None
    complaint: _Detail | None = None
    delivery: _Detail | None = None
    delivery_delay: _Detail | None = None
    reject: _Detail | None = None
    failure: _Detail | None = None
    subscription: _Detail | None = None
    open: _Detail | None = None
    click: _Detail | None = None

    @property
    def type(self) -> str:
        """What it is called."""
        return self.event_type or self.notification_type or ""

    @property
    def detail(self) -> _Detail:
        """The object of its type."""
        named = (self.bounce, self.complaint, self.delivery, self.delivery_delay, self.reject, self.failure)
        return next((each for each in (*named, self.subscription, self.open, self.click) if each), _Detail())


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the events of a delivery: one for each recipient that it is about."""
    message = parse_message(incoming)
    at = position(instant(message.timestamp))
    body = message.message.encode()
    try:
        record: _Record = parse_json(body, _Record)
    except WebhookError:
        if message.type == NOTIFICATION and body.startswith(b"{"):
            raise
        # The end of the subscription, or a word of greeting: none of them is an event.
        return (Notice(key=message.message_id, type=message.type, position=at, body=body),)
    parts = list(_parts(record.type, body)) or [body]
    return tuple(
        Notice(
            key=message.message_id if len(parts) == 1 else f"{message.message_id}:{number}",
            type=record.type,
            subject=record.mail.message_id,
            position=at,
            body=part,
        )
        for number, part in enumerate(parts)
    )


def _parts(kind: str, body: bytes) -> Iterator[bytes]:
    """Yield the record once for each recipient, with that one alone in it."""
    if kind not in _RECIPIENTS:
        return
    section, name = _RECIPIENTS[kind]
    record: dict[str, msgspec.Raw] = parse_json(body, dict[str, msgspec.Raw])
    detail: dict[str, msgspec.Raw] = parse_json(record.get(section, msgspec.Raw(b"{}")), dict[str, msgspec.Raw])
    people: list[msgspec.Raw] = parse_json(detail.get(name, msgspec.Raw(b"[]")), list[msgspec.Raw])
    for each in people:
        yield msgspec.json.encode({**record, section: {**detail, name: [each]}})


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    if kind not in _TYPES:
        return None
    record: _Record = parse_json(body, _Record)
    detail = record.detail
    person = detail.people[0] if detail.people else _Recipient(only(record.mail.destination))
    hardness = Bounce.HARD if detail.bounce_type == "Permanent" else Bounce.SOFT
    data = EmailNews(
        bounce=hardness if kind == "Bounce" else None,
        status=person.status,
        detail=person.diagnostic_code or detail.reason or detail.error_message or detail.smtp_response,
        url=detail.link,
    )
    return Event(
        type=_TYPES[kind],
        occurred_at=instant(detail.timestamp),
        subject=record.mail.message_id,
        call=text_named(record.mail.tags, CALL_FIELD),
        recipient=person.email_address,
        data=data,
    )


WEBHOOKS = Webhooks(
    scheme=TOPIC,
    secrets=("topic_arn",),
    split=split,
    normalise=normalise,
    source="Amazon SES developer guide, 'Contents of event data', read 2026-11-25",
)
