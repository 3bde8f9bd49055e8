"""What Resend tells of emails.

Signed as the Standard Webhooks are, with headers of Svix. Facts: Resend's OpenAPI description (1.5.0, its section
'webhooks'), svix-webhooks (4fc0cfb); read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.capabilities.email import CALL_FIELD
from fairlead.capabilities.news.email import Bounce, EmailNews
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, instant, only, parse_json, position, text_named
from fairlead.spec.webhook import Webhooks, standard_webhooks

_TYPES = {
    "email.delivered": "email.delivered",
    "email.delivery_delayed": "email.deferred",
    "email.bounced": "email.bounced",
    "email.failed": "email.dropped",
    "email.suppressed": "email.dropped",
    "email.complained": "email.complained",
    "email.opened": "email.opened",
    "email.clicked": "email.clicked",
}


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    type: str | None = None
    message: str | None = None
    reason: str | None = None
    link: str | None = None


class _Data(msgspec.Struct, frozen=True):
    email_id: str | None = None
    id: str | None = None
    to: tuple[str, ...] = ()
    bounce: _Detail | None = None
    failed: _Detail | None = None
    suppressed: _Detail | None = None
    click: _Detail | None = None
    tags: Any = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    created_at: str | None = None
    data: _Data = _Data()


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery; its id is a header, which is signed."""
    event: _Event = parse_json(incoming.body, _Event)
    return (
        Notice(
            key=incoming.headers.get("svix-id") or content_key(incoming.body),
            type=event.type,
            subject=event.data.email_id or event.data.id,
            position=position(instant(event.created_at)),
            body=incoming.body,
        ),
    )


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    if kind not in _TYPES:
        return None
    event: _Event = parse_json(body, _Event)
    data = event.data
    detail = data.bounce or data.failed or data.suppressed or data.click or _Detail()
    hardness = Bounce.HARD if detail.type == "Permanent" else Bounce.SOFT
    news = EmailNews(
        bounce=hardness if kind == "email.bounced" else None, detail=detail.message or detail.reason, url=detail.link
    )
    return Event(
        type=_TYPES[kind],
        occurred_at=instant(event.created_at),
        subject=data.email_id,
        call=text_named(data.tags, CALL_FIELD),
        recipient=only(data.to),
        data=news,
    )


WEBHOOKS = Webhooks(
    scheme=standard_webhooks(headers="svix"),
    secrets=("webhook_secret",),
    split=split,
    normalise=normalise,
    source="Resend's OpenAPI description (1.5.0) and svix-webhooks (4fc0cfb), read 2026-11-25",
)
