"""The messages that every provider of email is tried with, and what a stand-in must have understood of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.header import decode_header, make_header
from typing import Any

import msgspec

from fairlead.capabilities.email import Attachment, EmailMessage, EmailReceipt, Feature, Taken
from fairlead.capabilities.mailbox import Address
from fairlead.spec.settlement import Case
from fairlead.testing.clock import FakeClock
from fairlead.testing.exchange import FakeReply, FakeRequest
from fairlead.testing.mailroom import Letter, Mailbox
from fairlead.testing.server import FakeServer

REFERENCE = "call_7f3a"
SENDER = Address.read("The Shop <shop@sender.example>")
ADA, BOB = Address.read("Ada Lovelace <ada@example.com>"), Address.read("bob@example.org")
LOGO = Attachment(name="logo.png", content=bytes(range(256)), type="image/png", content_id="logo")
BILL = Attachment(name="Überweisung.pdf", content=b"%PDF-1.7\r\n--boundary\r\n", type="application/pdf")
#: 2026-01-02T12:00:00Z, a day after the fake's clock says it is.
TOMORROW = 1_767_355_200.0

#: What asks for each feature; the fake must have understood each.
ASKS: Mapping[Feature, Mapping[str, Any]] = {
    Feature.ATTACHMENTS: {"attachments": (BILL,)},
    Feature.INLINE_IMAGES: {"attachments": (LOGO,), "html": '<img src="cid:logo">'},
    Feature.HEADERS: {"headers": (("X-Order", "ü 7 & 8"), ("X-Kind", "bill"))},
    Feature.REPLY_TO_SEVERAL: {"reply_to": (ADA, BOB)},
    Feature.TAG: {"tags": ("welcome",)},
    Feature.TAGS: {"tags": ("welcome", "spring")},
    Feature.METADATA: {"metadata": {"order": "7", "note": "ü & co"}},
    Feature.TEMPLATE: {"template": "TEMPLATE", "text": None, "subject": "", "variables": {"name": "Ada"}},
    Feature.EACH: {"to": (ADA, BOB), "each": {ADA.email: {}, BOB.email: {}}},
    Feature.TRACK_OPENS: {"track_opens": True},
    Feature.TRACK_CLICKS: {"track_clicks": False},
    Feature.SEND_AT: {"send_at": TOMORROW},
    Feature.UNSUBSCRIBE: {"unsubscribe_url": "https://app.example/u?id=7", "unsubscribe_email": "u@sender.example"},
}


def message(**fields: Any) -> EmailMessage:
    return EmailMessage(**{"sender": SENDER, "to": (ADA,), "subject": "Hello", "text": "Hi", **fields})


class Inbox(FakeServer):
    """Takes whatever it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[FakeRequest] = []

    def operation(self, request: FakeRequest) -> str:
        return request.path

    def error(self, status: int) -> FakeReply:
        return FakeReply(status=status, body=b"")

    def answer(self, request: FakeRequest) -> FakeReply:
        self.taken.append(request)
        return FakeReply(status=200, body=b"")


def case(asked: EmailMessage) -> Case:
    return Case(reference=REFERENCE, key=None, sent_at=FakeClock().wall(), arguments=(asked,))


def read(mailbox: Mailbox) -> Mailbox:
    """Read encoded words (RFC 2047), as a mail program does."""
    return str(make_header(decode_header(mailbox[0]))), mailbox[1]


def check_letters(asked: EmailMessage, letters: Sequence[Letter]) -> None:
    """Fail unless the vendor understood what was asked for."""
    groups = [(each,) for each in asked.to] if asked.each else [asked.to]
    assert [[read(each) for each in letter.to] for letter in letters] == [
        [(each.name, each.email) for each in group] for group in groups
    ]
    for letter in letters:
        assert read(letter.sender) == (asked.sender.name, asked.sender.email)
        for theirs, ours in ((letter.cc, asked.cc), (letter.bcc, asked.bcc), (letter.reply_to, asked.reply_to)):
            assert [read(each) for each in theirs] == [(each.name, each.email) for each in ours]
        assert (letter.subject, letter.text, letter.html) == (asked.subject, asked.text, asked.html)
        assert [(each.name, each.type, each.content, each.content_id) for each in letter.enclosures] == [
            (each.name, each.type, each.content, each.content_id) for each in asked.attachments
        ]
        assert asked.all_headers().items() <= dict(letter.headers).items()
        assert tuple(letter.tags) == asked.tags
        assert {**letter.metadata} == {**asked.metadata, "fairlead_call": REFERENCE}
        assert letter.template == asked.template
        assert (letter.track_opens, letter.track_clicks) == (asked.track_opens, asked.track_clicks)
        assert letter.send_at == asked.send_at
        if not asked.each:
            assert dict(letter.variables) == dict(asked.variables)


def check_receipt(receipt: EmailReceipt, asked: EmailMessage, letters: Sequence[Letter]) -> None:
    """Fail unless the receipt names the letters, and everybody they went to; and survives being kept."""
    assert receipt.ref.connection == "mine"
    assert receipt.ref.id == letters[0].id
    assert [each.email for each in receipt.recipients] == [each.email for each in asked.recipients]
    assert {each.taken for each in receipt.recipients} == {Taken.ACCEPTED}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(receipt), type=EmailReceipt) == receipt
