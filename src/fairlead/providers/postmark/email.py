"""Email by POST /email and its kin, looked up by GET /messages/outbound.

The vendor has no idempotency key. What it accepted is found by its metadata, one field of which can be searched for
(support article 1125, read 2026-11-25).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from fairlead.capabilities.email import (
    CALL_FIELD,
    Attachment,
    Email,
    EmailMessage,
    EmailReceipt,
    EmailStatus,
    Feature,
    RecipientReceipt,
    Taken,
)
from fairlead.capabilities.mailbox import Address
from fairlead.model.call import Ref
from fairlead.model.message import Request
from fairlead.model.operation import Operation
from fairlead.model.outcome import Effect
from fairlead.providers.postmark.refusals import refusal
from fairlead.spec.answer import decode
from fairlead.spec.settlement import Absent, Case, Found, Seen, Settlement

_SEARCH = "/messages/outbound"
#: How long it takes until a message is found is not said anywhere (2026-11-25): an hour is our caution.
_VISIBLE_AFTER_S = 3600.0
_MOST_OF_A_BATCH = 500
#: In the sentence of a message that went to some: django-anymail 8c40cc4 (2026-07-30) quotes it.
_INACTIVE = re.compile(r"inactive addresses:\s*(.*?)\.\s*Inactive recipients", re.DOTALL)
_EVENTS = {
    "Delivered": "email.delivered",
    "Transient": "email.deferred",
    "Bounced": "email.bounced",
    "Opened": "email.opened",
    "LinkClicked": "email.clicked",
}


class _Wire(msgspec.Struct, rename="pascal"):
    """The base of the vendor's shapes."""


class _Sent(_Wire):
    error_code: int = 0
    message: str = ""
    message_id: str = msgspec.field(name="MessageID", default="")


class _Found(_Wire):
    message_id: str = msgspec.field(name="MessageID")
    recipients: list[str] = []


class _Search(_Wire):
    messages: list[_Found] = []


class _Happened(_Wire):
    type: str = ""


class _Details(_Wire):
    message_events: list[_Happened] = []


class PostmarkEmail(Email):
    """Send, and say what became of one message."""

    FEATURES = frozenset(Feature) - {Feature.SEND_AT, Feature.TAGS}
    #: 10 MB once encoded (page 'API overview', status 413, read 2026-11-25), and base64 makes four bytes of three.
    MAX_BYTES = 7_000_000
    #: Support article 1180, read 2026-11-25; of a batch, page 'Batch emails', likewise.
    MAX_RECIPIENTS = 50
    MAX_EACH = _MOST_OF_A_BATCH
    SETTLE: ClassVar[Mapping[str, Settlement]] = {"send": Settlement(look="look", visible_after_s=_VISIBLE_AFTER_S)}

    def send(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Follow POST /email or /email/withTemplate; for each recipient their own, /email/batch or its like."""
        self.check(message)
        if message.each:
            return (yield from self._batch(message))
        body = {**build_mail(message, self.marked(message)), **self.extra(message)}
        path = "/email/withTemplate" if message.template else "/email"
        response = yield Request.post(path, json=body, effect=Effect.ONCE)
        sent = decode(response, _Sent)
        inactive = read_inactive(sent.message)
        receipts = tuple(build_receipt(each, sent, inactive) for each in message.recipients)
        return EmailReceipt(ref=Ref(self.connection, sent.message_id), recipients=receipts)

    def _batch(self, message: EmailMessage) -> Operation[EmailReceipt]:
        """Send each their own; the answers come in the same order, and of some it may be no."""
        mails = [{**build_mail(message, self.marked(message), to=each), **self.extra(message)} for each in message.to]
        path, body = ("/email/batchWithTemplates", {"Messages": mails}) if message.template else ("/email/batch", mails)
        response = yield Request.post(path, json=body, effect=Effect.ONCE)
        answers = decode(response, list[_Sent])
        taken = [each for each in answers if not each.error_code]
        if answers and not taken:
            raise refusal(answers[0].error_code, answers[0].message)
        receipts = tuple(
            build_receipt(address, sent, read_inactive(sent.message))
            for address, sent in zip(message.to, answers, strict=True)
        )
        return EmailReceipt(ref=Ref(self.connection, taken[0].message_id), recipients=receipts)

    def status(self, identifier: str) -> Operation[EmailStatus]:
        """Follow GET /messages/outbound/{id}/details."""
        response = yield Request.get(f"{_SEARCH}/{quote(identifier, safe='')}/details")
        told = (_EVENTS.get(each.type) for each in decode(response, _Details).message_events)
        events = tuple(dict.fromkeys(each for each in told if each))
        return EmailStatus(ref=Ref(self.connection, identifier), events=events)

    def look(self, case: Case) -> Operation[Seen]:
        """Search for the call's name in the metadata."""
        wanted = {"count": _MOST_OF_A_BATCH, "offset": 0, f"metadata_{CALL_FIELD}": case.reference}
        response = yield Request.get(_SEARCH, query=wanted)
        found = decode(response, _Search).messages
        if not found:
            return Absent("no message has the call's name in its metadata")
        ids = {email.lower(): each.message_id for each in found for email in each.recipients}
        message: EmailMessage = case.arguments[0]
        receipts = tuple(
            RecipientReceipt(email=each.email, id=ids[each.email.lower()])
            for each in message.recipients
            if each.email.lower() in ids
        )
        first = receipts[0].id if receipts else None
        return Found(EmailReceipt(ref=Ref(self.connection, first or found[0].message_id), recipients=receipts))


def build_mail(message: EmailMessage, metadata: Mapping[str, str], *, to: Address | None = None) -> dict[str, Any]:
    """Return the message as the vendor has it; with `to` that of one recipient alone."""
    optional = {
        "To": build_addresses((to,) if to else message.to),
        "Cc": build_addresses(message.cc),
        "Bcc": build_addresses(message.bcc),
        "ReplyTo": build_addresses(message.reply_to),
        "Subject": message.subject,
        "TextBody": message.text,
        "HtmlBody": message.html,
        "Attachments": [build_attachment(each) for each in message.attachments],
        "Headers": [{"Name": name, "Value": value} for name, value in message.all_headers().items()],
        "Tag": message.tags[0] if message.tags else None,
        "Metadata": dict(metadata),
    }
    mail: dict[str, Any] = {"From": str(message.sender)}
    mail |= {name: value for name, value in optional.items() if value}
    if message.track_opens is not None:
        mail["TrackOpens"] = message.track_opens
    if message.track_clicks is not None:
        mail["TrackLinks"] = "HtmlAndText" if message.track_clicks else "None"
    if message.template:
        name: dict[str, Any] = (
            {"TemplateId": int(message.template)}
            if message.template.isdecimal()
            else {"TemplateAlias": message.template}
        )
        mail |= {**name, "TemplateModel": dict(message.variables_for(to) if to else message.variables)}
    return mail


def build_addresses(addresses: Sequence[Address]) -> str:
    """Return addresses as a header has them: quoted, and encoded where they are not ASCII (RFC 5322, RFC 2047)."""
    return ", ".join(map(str, addresses))


def build_attachment(attachment: Attachment) -> dict[str, Any]:
    """Return a file; bytes become base64 where they become JSON."""
    inline = {"ContentID": f"cid:{attachment.content_id}"} if attachment.content_id else {}
    return {"Name": attachment.name, "Content": attachment.content, "ContentType": attachment.type, **inline}


def read_inactive(sentence: str) -> frozenset[str]:
    """Return the addresses that a message was not sent to, although it was to others; they are in lower case."""
    found = _INACTIVE.search(sentence)
    return frozenset(each.strip().lower() for each in found[1].split(",")) if found else frozenset()


def build_receipt(address: Address, sent: _Sent, inactive: frozenset[str]) -> RecipientReceipt:
    """Return what was said of one recipient."""
    if sent.error_code:
        reason = f"{sent.error_code}: {sent.message}"
        return RecipientReceipt(email=address.email, taken=Taken.REJECTED, reason=reason)
    if address.email.lower() in inactive:
        return RecipientReceipt(email=address.email, taken=Taken.REJECTED, reason="406: inactive recipient")
    return RecipientReceipt(email=address.email, id=sent.message_id)


def probe() -> Operation[None]:
    """Follow GET /server, which the token of every server may ask."""
    response = yield Request.get("/server")
    decode(response, dict)
