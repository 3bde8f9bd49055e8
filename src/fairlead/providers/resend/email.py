"""Email by POST /emails and /emails/batch, which honour an idempotency key for 24 hours.

What others call metadata are tags here: pairs, of few characters. They come back in webhooks, and no recipient sees
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from fairlead.capabilities.email import (
    Attachment,
    Email,
    EmailMessage,
    EmailReceipt,
    EmailStatus,
    Feature,
    RecipientReceipt,
    accepted,
)
from fairlead.capabilities.mailbox import Address
from fairlead.errors import UnsupportedFeatureError
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.spec.answer import decode
from fairlead.spec.settlement import Unknowable

_SEND = "/emails"
#: The one tag of a message, among what is metadata.
_TAG = "tag"
#: The contract's schema `Tag`, for names and values.
_TAG_TEXT = re.compile(r"[A-Za-z0-9_-]{1,256}")
_EVENTS = {
    "delivered": "email.delivered",
    "delivery_delayed": "email.deferred",
    "bounced": "email.bounced",
    "failed": "email.dropped",
    "suppressed": "email.dropped",
    "complained": "email.complained",
    "opened": "email.opened",
    "clicked": "email.clicked",
}


class _Sent(msgspec.Struct):
    id: str


class _Batch(msgspec.Struct):
    data: list[_Sent]


class _Email(msgspec.Struct):
    last_event: str | None = None


class ResendEmail(Email):
    """Send, and say the last that happened to a message."""

    FEATURES = frozenset(Feature) - {Feature.TAGS, Feature.TRACK_OPENS, Feature.TRACK_CLICKS}
    #: 40 MB once encoded (page 'Attachments', read 2026-11-25), and base64 makes four bytes of three.
    MAX_BYTES = 29_000_000
    #: The contract's `SendEmailRequest.to`, and the summary of POST /emails/batch.
    MAX_RECIPIENTS = 50
    MAX_EACH = 100
    NEEDS_TO = True
    SETTLE: ClassVar[Mapping[str, Unknowable]] = {
        "send": Unknowable(
            "No look-up shows the tags or the key of a message (OpenAPI description 1.5.0); but for 24 hours a repeat "
            "with the same key is answered as the first was, and sends nothing."
        )
    }

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Follow POST /emails; for each recipient their own, /emails/batch, which is done whole or not at all."""
        self.check(message)
        check_tags(message)
        if message.each:
            return (yield from self._batch(message))
        response = yield self._post(_SEND, {**build_email(message, self.marked(message)), **self.extra(message)})
        identifier = decode(response, _Sent).id
        return EmailReceipt(ref=Ref(self.connection, identifier), recipients=accepted(message.recipients))

    def _batch(self, message: EmailMessage) -> Operation[EmailReceipt]:
        if message.attachments or message.send_at is not None:
            raise UnsupportedFeatureError(
                "This provider sends no attachments, and nothing later, where each recipient gets their own.",
                hint="Send to each by a call of its own.",
            )
        emails = [{**build_email(message, self.marked(message), to=each), **self.extra(message)} for each in message.to]
        response = yield self._post(f"{_SEND}/batch", emails)
        ids = [each.id for each in decode(response, _Batch).data]
        receipts = tuple(RecipientReceipt(email=to.email, id=each) for to, each in zip(message.to, ids, strict=True))
        return EmailReceipt(ref=Ref(self.connection, ids[0]), recipients=receipts)

    def _post(self, path: str, body: Any) -> Request:
        """Build a request that may be repeated, where the call has a name."""
        if not self.reference:
            return Request.post(path, json=body, effect=Effect.ONCE)
        return Request.post(path, json=body, effect=Effect.IDEMPOTENT, idempotency_key=self.reference)

    def status(self, identifier: str) -> Operation[EmailStatus]:
        """Follow GET /emails/{id}, which tells the last that happened alone."""
        response = yield Request.get(f"{_SEND}/{quote(identifier, safe='')}")
        event = _EVENTS.get(decode(response, _Email).last_event or "")
        return EmailStatus(ref=Ref(self.connection, identifier), events=(event,) if event else ())


def check_tags(message: EmailMessage) -> None:
    """Raise `UnsupportedFeatureError` for what cannot be a tag: another vendor may take it."""
    texts = (*message.tags, *message.metadata, *message.metadata.values())
    if not all(_TAG_TEXT.fullmatch(each) for each in texts) or _TAG in message.metadata:
        raise UnsupportedFeatureError(
            "This provider takes tags and metadata of at most 256 ASCII letters, digits, hyphens and underscores, and "
            f"no metadata that is called {_TAG!r}.",
            hint="Keep the long of it yourself, and send a name for it.",
        )


def build_email(message: EmailMessage, metadata: Mapping[str, str], *, to: Address | None = None) -> dict[str, Any]:
    """Return the message as the vendor has it; with `to` that of one recipient alone."""
    tags = [*metadata.items(), *((_TAG, each) for each in message.tags)]
    optional = {
        "cc": [str(each) for each in message.cc],
        "bcc": [str(each) for each in message.bcc],
        "reply_to": [str(each) for each in message.reply_to],
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "attachments": [build_attachment(each) for each in message.attachments],
        "headers": message.all_headers(),
        "tags": [{"name": name, "value": value} for name, value in tags],
    }
    email: dict[str, Any] = {"from": str(message.sender), "to": [str(each) for each in ((to,) if to else message.to)]}
    email |= {name: value for name, value in optional.items() if value}
    if message.template is None:
        email.setdefault("subject", "")
    else:
        variables = message.variables_for(to) if to else message.variables
        email["template"] = {"id": message.template, **({"variables": dict(variables)} if variables else {})}
    if message.send_at is not None:
        email["scheduled_at"] = datetime.fromtimestamp(message.send_at, UTC).isoformat(timespec="seconds")
    return email


def build_attachment(attachment: Attachment) -> dict[str, Any]:
    """Return a file; bytes become base64 where they become JSON."""
    inline = {"content_id": attachment.content_id} if attachment.content_id else {}
    return {
        "content": attachment.content,
        "filename": attachment.name,
        "content_type": attachment.type,
        **inline,
    }


def probe() -> Operation[None]:
    """Follow GET /domains, which a key with 'Full access' may ask."""
    response = yield Request.get("/domains")
    decode(response, dict)
