"""What Mailgun tells of emails.

The signature stands in the body, and is not over it: it says that somebody had the key, once. Its token is therefore
good for one delivery only. Facts: the page 'Securing webhooks', mailgun-python security.py (4cf0a67; it takes what is
up to five minutes old), Mailgun's OpenAPI description (3.0.0); read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.capabilities.email import CALL_FIELD
from fairlead.capabilities.news.email import Bounce, EmailNews
from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.providers.mailgun.inbound import read_inbound, texts_of
from fairlead.spec.notice import parse_json, position, text_named
from fairlead.spec.webhook import HmacScheme, Signed, Webhooks

_TYPES = {
    "delivered": "email.delivered",
    "rejected": "email.dropped",
    "complained": "email.complained",
    "unsubscribed": "email.unsubscribed",
    "opened": "email.opened",
    "clicked": "email.clicked",
}


class _Signature(msgspec.Struct, frozen=True, rename="kebab"):
    timestamp: str | None = None
    token: str | None = None
    signature: str | None = None
    #: That of the main account, where the event is a subaccount's.
    parent_signature: str | None = None


class _Headers(msgspec.Struct, frozen=True, rename="kebab"):
    message_id: str | None = None


class _Message(msgspec.Struct, frozen=True):
    headers: _Headers = _Headers()


class _Status(msgspec.Struct, frozen=True, rename="kebab"):
    code: int | str | None = None
    message: str | None = None
    description: str | None = None
    enhanced_code: str | None = None


class _Event(msgspec.Struct, frozen=True, rename="kebab"):
    id: str
    event: str
    timestamp: float | None = None
    recipient: str | None = None
    severity: str | None = None
    reason: str | None = None
    url: str | None = None
    message: _Message = _Message()
    delivery_status: _Status = _Status()
    user_variables: Any = None


class _Signs(msgspec.Struct, frozen=True):
    signature: _Signature


class _Tells(msgspec.Struct, frozen=True, rename="kebab"):
    event_data: msgspec.Raw


def find_signature(incoming: Incoming) -> Signed:
    """Return the signature in a JSON body, or, as inbound routes have it, in a form."""
    if incoming.body.startswith(b"{"):
        signs: _Signs = parse_json(incoming.body, _Signs)
        found = signs.signature
    else:
        form = texts_of(incoming.body)
        found = _Signature(form.get("timestamp"), form.get("token"), form.get("signature"))
    signatures = tuple(each for each in (found.signature, found.parent_signature) if each)
    if not (found.timestamp and found.token and signatures):
        raise WebhookError.of(WebhookReason.UNSIGNED)
    return Signed(
        messages=(f"{found.timestamp}{found.token}".encode(),),
        signatures=signatures,
        timestamp=found.timestamp,
        nonce=found.token,
    )


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery; an email that came in has no type of its own, and is `inbound`."""
    if not incoming.body.startswith(b"{"):
        form = texts_of(incoming.body)
        return (Notice(key=form.get("token", ""), type="inbound", subject=form.get("Message-Id"), body=incoming.body),)
    tells: _Tells = parse_json(incoming.body, _Tells)
    event: _Event = parse_json(tells.event_data, _Event)
    return (
        Notice(
            key=event.id,
            type=event.event,
            subject=event.message.headers.message_id,
            position=position(event.timestamp),
            body=bytes(tells.event_data),
        ),
    )


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    if kind == "inbound":
        return read_inbound(body)
    if kind != "failed" and kind not in _TYPES:
        return None
    event: _Event = parse_json(body, _Event)
    status = event.delivery_status
    neutral = _TYPES.get(kind) or _failure(event)
    data = EmailNews(
        bounce=Bounce.HARD if neutral == "email.bounced" else None,
        status=status.enhanced_code or (str(status.code) if status.code else None),
        detail=status.message or status.description or event.reason,
        url=event.url,
    )
    return Event(
        type=neutral,
        call=text_named(event.user_variables, CALL_FIELD),
        occurred_at=event.timestamp,
        subject=event.message.headers.message_id,
        recipient=event.recipient,
        data=data,
    )


def _failure(event: _Event) -> str:
    """Tell a refusal for good from one after which it is tried again, and from what was never tried."""
    if event.severity == "temporary":
        return "email.deferred"
    return "email.dropped" if (event.reason or "").startswith("suppress-") else "email.bounced"


WEBHOOKS = Webhooks(
    scheme=HmacScheme(find=find_signature),
    secrets=("webhook_secret",),
    split=split,
    normalise=normalise,
    source="documentation.mailgun.com, 'Securing webhooks', read 2026-11-25",
)
