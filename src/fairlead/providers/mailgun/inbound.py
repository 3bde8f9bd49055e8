"""An email that came in, as a route posts it: page 'Receiving messages via HTTP', read 2026-11-25.

Without files it is a plain form, with files one of several parts. Routes whose address ends in `mime` post the message
as it came: those are not read.
"""

from __future__ import annotations

from fairlead.capabilities.email import Attachment
from fairlead.capabilities.news.inbound import InboundEmail, attachment, headers, plain, read_addresses
from fairlead.model.event import Event
from fairlead.spec.multipart import FormPart
from fairlead.spec.notice import parse_json, parse_parts


def texts_of(body: bytes) -> dict[str, str]:
    """Return the fields that are texts; of a name sent twice, the first counts."""
    return _texts(parse_parts(body))


def _texts(parts: list[FormPart]) -> dict[str, str]:
    return {each.name: each.content.decode("utf-8", "replace") for each in reversed(parts) if each.file_name is None}


def read_inbound(body: bytes) -> Event:
    """Return the email; `subject` of the event is its Message-Id."""
    parts = parse_parts(body)
    form = _texts(parts)
    pairs: list[tuple[str, str]] = parse_json(form.get("message-headers", "[]").encode(), list[tuple[str, str]])
    came: dict[str, str] = {name.lower(): value for name, value in reversed(pairs)}
    sender = read_addresses(form.get("from"))
    recipient = form.get("recipient") or None
    email = InboundEmail(
        sender=sender[0] if sender else None,
        to=read_addresses(came.get("to")),
        cc=read_addresses(came.get("cc")),
        reply_to=read_addresses(came.get("reply-to")),
        subject=plain(form.get("subject", "")),
        text=form.get("body-plain") or None,
        html=form.get("body-html") or None,
        reply=form.get("stripped-text") or None,
        attachments=_attachments(parts, form),
        headers=headers(pairs),
        envelope_from=form.get("sender") or None,
        envelope_to=(recipient,) if recipient else (),
    )
    return Event(type="email.received", subject=form.get("Message-Id"), recipient=recipient, data=email)


def _attachments(parts: list[FormPart], form: dict[str, str]) -> tuple[Attachment, ...]:
    """Return the files; a table says which of them have a content id."""
    known: dict[str, str] = parse_json(form.get("content-id-map", "{}").encode(), dict[str, str])
    ids = {field: content_id for content_id, field in known.items()}
    return tuple(
        attachment(each.file_name, each.type, each.content, ids.get(each.name))
        for each in parts
        if each.file_name is not None
    )
