"""An email that came in, as Inbound Parse posts it: page 'Inbound Email Parse Webhook', read 2026-11-25.

It is verified as events are, where its security policy has a signature: ECDSA, says the page 'Securing your Inbound
Parse Webhooks', of which no signed example was at hand. 'POST the raw, full MIME message' is not read.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.capabilities.email import Attachment
from fairlead.capabilities.news.inbound import InboundEmail, attachment, plain, read_addresses, read_headers
from fairlead.model.event import Event
from fairlead.spec.multipart import FormPart
from fairlead.spec.notice import only, parse_json, parse_parts


class _Envelope(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    to: tuple[str, ...] = ()
    sender: str | None = None


class _Info(msgspec.Struct, frozen=True):
    filename: str | None = None
    type: str | None = None
    content_id: str | None = msgspec.field(name="content-id", default=None)


def read_inbound(body: bytes) -> Event:
    """Return the email; `subject` of the event is its Message-Id."""
    parts = parse_parts(body)
    form = _texts(parts)
    envelope: _Envelope = parse_json(form.get("envelope", "{}").encode(), _Envelope)
    came = read_headers(form.get("headers", ""))
    sender = read_addresses(form.get("from"))
    email = InboundEmail(
        sender=sender[0] if sender else None,
        to=read_addresses(form.get("to")),
        cc=read_addresses(form.get("cc")),
        reply_to=read_addresses(next((value for name, value in came if name.lower() == "reply-to"), None)),
        subject=plain(form.get("subject", "")),
        text=form.get("text") or None,
        html=form.get("html") or None,
        attachments=_attachments(parts, form),
        headers=came,
        envelope_from=envelope.sender,
        envelope_to=envelope.to,
        spam_score=_number(form.get("spam_score")),
    )
    return Event(type="email.received", subject=email.message_id, recipient=only(envelope.to), data=email)


def _texts(parts: list[FormPart]) -> dict[str, str]:
    """Return the fields that are texts, each in the charset that a table says of it."""
    raw = {each.name: each.content for each in reversed(parts) if each.file_name is None}
    charsets: dict[str, str] = parse_json(raw.get("charsets", b"{}"), dict[str, str])
    return {name: _decoded(content, charsets.get(name, "utf-8")) for name, content in raw.items()}


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, "replace")
    except LookupError:  # a stranger may call it anything
        return content.decode("utf-8", "replace")


def _attachments(parts: list[FormPart], form: Mapping[str, str]) -> tuple[Attachment, ...]:
    """Return the files, with what a table says of them."""
    told: dict[str, _Info] = parse_json(form.get("attachment-info", "{}").encode(), dict[str, _Info])
    return tuple(
        attachment(info.filename or each.file_name, info.type or each.type, each.content, info.content_id)
        for each in parts
        if each.file_name is not None
        for info in (told.get(each.name, _Info()),)
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
