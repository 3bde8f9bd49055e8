"""An email that came in, as Postmark posts it: page 'Inbound webhook', read 2026-11-25."""

from __future__ import annotations

import msgspec

from fairlead.capabilities.news.inbound import InboundEmail, address, attachment, headers, read_addresses
from fairlead.model.event import Event
from fairlead.spec.notice import parse_json


class _Wire(msgspec.Struct, frozen=True, rename="pascal"):
    """The base of the vendor's shapes."""


class _Mailbox(_Wire, frozen=True):
    email: str = ""
    name: str = ""


class _Header(_Wire, frozen=True):
    name: str
    value: str = ""


class _File(_Wire, frozen=True):
    name: str = ""
    content: bytes = b""
    content_type: str | None = None
    content_id: str | None = msgspec.field(name="ContentID", default=None)


class _Inbound(_Wire, frozen=True):
    from_full: _Mailbox = _Mailbox()
    to_full: tuple[_Mailbox, ...] = ()
    cc_full: tuple[_Mailbox, ...] = ()
    reply_to: str = ""
    original_recipient: str = ""
    subject: str = ""
    message_id: str | None = msgspec.field(name="MessageID", default=None)
    text_body: str = ""
    html_body: str = ""
    stripped_text_reply: str = ""
    headers: tuple[_Header, ...] = ()
    attachments: tuple[_File, ...] = ()


def read_inbound(body: bytes) -> Event:
    """Return the email; `subject` of the event is Postmark's own id of it."""
    wire: _Inbound = parse_json(body, _Inbound)
    sender = wire.from_full
    email = InboundEmail(
        sender=address(sender.email, sender.name) if sender.email else None,
        to=tuple(address(each.email, each.name) for each in wire.to_full),
        cc=tuple(address(each.email, each.name) for each in wire.cc_full),
        reply_to=read_addresses(wire.reply_to),
        subject=wire.subject,
        text=wire.text_body or None,
        html=wire.html_body or None,
        reply=wire.stripped_text_reply or None,
        attachments=tuple(
            attachment(each.name, each.content_type, each.content, each.content_id) for each in wire.attachments
        ),
        headers=headers((each.name, each.value) for each in wire.headers),
        envelope_to=(wire.original_recipient,) if wire.original_recipient else (),
    )
    return Event(type="email.received", subject=wire.message_id, recipient=wire.original_recipient or None, data=email)
