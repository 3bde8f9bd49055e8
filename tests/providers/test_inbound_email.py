"""An email that came in is the same in our words, whichever vendor took it: each post is written as its page has it."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.capabilities.email import Attachment
from fairlead.capabilities.mailbox import Address
from fairlead.capabilities.news.inbound import TYPES, InboundEmail, read_addresses, read_headers
from fairlead.errors import WebhookError
from fairlead.model.event import Event
from fairlead.runtime.registry import load_provider
from fairlead.spec.multipart import FormFile, build_form
from webhook_trial import incoming, try_on

LOGO = bytes(range(256))
HEADERS = [
    ["Message-Id", "<m1@sender.example>"],
    ["To", '"Support, Æ" <help@in.example>'],
    ["Cc", "bob@example.org"],
    ["Reply-To", "Ada <reply@sender.example>"],
    ["X-Long", "one two"],
]

NEUTRAL = InboundEmail(
    sender=Address("ada@sender.example", "Ada Lovelace"),
    to=(Address("help@in.example", "Support, Æ"),),
    cc=(Address("bob@example.org"),),
    reply_to=(Address("reply@sender.example", "Ada"),),
    subject="Hellö",
    text="Hi\n> you wrote",
    html="<b>Hi</b>",
    attachments=(
        Attachment(name="logo.png", content=LOGO, type="image/png", content_id="logo"),
        Attachment(name="Überweisung.txt", content=b"--x\r\n", type="text/plain"),
    ),
    headers=tuple((name, value) for name, value in HEADERS),
    envelope_to=("help@in.example",),
)


def posted(fields: Mapping[str, str], files: list[FormFile]) -> bytes:
    return build_form(list(fields.items()), files)[1]


def postmark() -> bytes:
    return json.dumps(
        {
            "FromName": "Ada Lovelace",
            "From": "ada@sender.example",
            "FromFull": {"Email": "ada@sender.example", "Name": "Ada Lovelace", "MailboxHash": ""},
            "ToFull": [{"Email": "help@in.example", "Name": "Support, Æ", "MailboxHash": ""}],
            "CcFull": [{"Email": "bob@example.org", "Name": "", "MailboxHash": ""}],
            "OriginalRecipient": "help@in.example",
            "Subject": "Hellö",
            "MessageID": "73e6d360",
            "ReplyTo": "Ada <reply@sender.example>",
            "TextBody": "Hi\n> you wrote",
            "HtmlBody": "<b>Hi</b>",
            "StrippedTextReply": "Hi",
            "Headers": [{"Name": name, "Value": value} for name, value in HEADERS],
            "Attachments": [
                {
                    "Name": "logo.png",
                    "Content": b64encode(LOGO).decode(),
                    "ContentType": "image/png",
                    "ContentLength": 256,
                    "ContentID": "<logo>",
                },
                {"Name": "Überweisung.txt", "Content": b64encode(b"--x\r\n").decode(), "ContentType": "text/plain"},
            ],
        }
    ).encode()


def mailgun() -> bytes:
    fields = {
        "timestamp": "1767268800",
        "token": "t1",
        "signature": "s1",
        "recipient": "help@in.example",
        "sender": "bounce@sender.example",
        "from": "Ada Lovelace <ada@sender.example>",
        "subject": "Hellö",
        "Message-Id": "<m1@sender.example>",
        "body-plain": "Hi\n> you wrote",
        "stripped-text": "Hi",
        "body-html": "<b>Hi</b>",
        "message-headers": json.dumps(HEADERS),
        "attachment-count": "2",
        "content-id-map": json.dumps({"<logo>": "attachment-1"}),
    }
    files = [
        FormFile("attachment-1", "logo.png", "image/png", LOGO),
        FormFile("attachment-2", "Überweisung.txt", "text/plain", b"--x\r\n"),
    ]
    return posted(fields, files)


def sendgrid() -> bytes:
    fields = {
        "headers": "\n".join(f"{name}: {value}" for name, value in HEADERS).replace("one two", "one\n two"),
        "from": "Ada Lovelace <ada@sender.example>",
        "to": '"Support, Æ" <help@in.example>',
        "cc": "bob@example.org",
        "subject": "=?utf-8?q?Hell=C3=B6?=",
        "text": "Hi\n> you wrote",
        "html": "<b>Hi</b>",
        "envelope": json.dumps({"to": ["help@in.example"], "from": "bounce@sender.example"}),
        "charsets": json.dumps({"text": "us-ascii", "subject": "UTF-8"}),
        "spam_score": "0.1",
        "attachments": "2",
        "attachment-info": json.dumps(
            {"attachment1": {"filename": "logo.png", "type": "image/png", "content-id": "logo"}}
        ),
    }
    files = [
        FormFile("attachment1", "x", "application/octet-stream", LOGO),
        FormFile("attachment2", "Überweisung.txt", "text/plain", b"--x\r\n"),
    ]
    return posted(fields, files)


#: What one vendor tells beside what all tell; the event's subject.
OWN: Mapping[str, tuple[bytes, Mapping[str, Any], str]] = {
    "postmark": (postmark(), {"reply": "Hi"}, "73e6d360"),
    "mailgun": (mailgun(), {"reply": "Hi", "envelope_from": "bounce@sender.example"}, "<m1@sender.example>"),
    "sendgrid": (sendgrid(), {"envelope_from": "bounce@sender.example", "spam_score": 0.1}, "<m1@sender.example>"),
}


def received(name: str, body: bytes) -> Event:
    webhooks = load_provider(name).webhooks
    assert webhooks is not None
    assert webhooks.normalise is not None
    (notice,) = webhooks.split(incoming(body))
    event = webhooks.normalise(notice.type, notice.body)
    assert event is not None
    assert notice.key
    return event


@pytest.mark.parametrize("name", OWN)
def test_it_is_the_same_whoever_took_it(name: str) -> None:
    body, own, subject = OWN[name]
    event = received(name, body)
    assert isinstance(event.data, InboundEmail)
    theirs = {field: getattr(event.data, field) for field in InboundEmail.__struct_fields__}
    ours = {field: getattr(NEUTRAL, field) for field in InboundEmail.__struct_fields__}
    assert theirs == {**ours, **own}
    assert (event.type, event.subject, event.recipient) == ("email.received", subject, "help@in.example")
    assert event.type in TYPES
    assert event.data.message_id == "<m1@sender.example>"


def test_a_route_signs_its_forms_with_files_too() -> None:
    webhooks = load_provider("mailgun").webhooks
    assert webhooks is not None
    signature = hmac.new(b"key", b"1767268800t1", "sha256").hexdigest()
    body = mailgun().replace(b"s1", signature.encode(), 1)
    now = 1_767_268_800.0
    verdict, _ = try_on(webhooks.scheme, incoming(body), {"webhook_secret": "key"}, now=now)
    assert (verdict.is_accepted, verdict.nonce) == (True, "t1")
    with pytest.raises(WebhookError):
        try_on(webhooks.scheme, incoming(mailgun()), {"webhook_secret": "key"}, now=now)


def test_without_files_a_route_posts_a_plain_form() -> None:
    event = received(
        "mailgun", b"token=t&from=Ada+%3Ca%40b.example%3E&subject=Hell%C3%B6&body-plain=Hi&recipient=r%40in.example"
    )
    assert isinstance(event.data, InboundEmail)
    assert (event.data.sender, event.data.subject, event.data.text) == (Address("a@b.example", "Ada"), "Hellö", "Hi")


def test_a_text_is_read_in_the_charset_that_is_told() -> None:
    body = build_form([("charsets", '{"text": "iso-8859-1", "html": "no-such"}'), ("html", "<b>"), ("text", "@@")])[1]
    event = received("sendgrid", body.replace(b"@@", b"\xfc"))
    assert isinstance(event.data, InboundEmail)
    assert (event.data.text, event.data.html) == ("ü", "<b>")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("sendgrid", b"--x\r\nno end"),
        ("sendgrid", b"--" + b"x" * 100 + b"\r\n"),
        ("sendgrid", build_form([("envelope", "[")])[1]),
        ("sendgrid", build_form([("a", "b")] * 1001)[1]),
        ("mailgun", b"--x\r\n\r\n--x--"),
        ("mailgun", build_form([("message-headers", "{}")])[1]),
        ("postmark", b'{"Attachments": [{"Content": "?"}]}'),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(WebhookError):
        received(name, body)


@given(st.text(max_size=60))
def test_whatever_a_stranger_writes_stays_on_its_line(text: str) -> None:
    for each in read_addresses(text):
        assert "\n" not in each.name + each.email
    for name, value in read_headers(text):
        assert "\n" not in name + value
    body = build_form([("from", text), ("subject", text), ("to", text)])[1]
    event = received("sendgrid", body)
    assert isinstance(event.data, InboundEmail)
    assert "\n" not in event.data.subject


def test_nothing_private_is_in_what_is_printed() -> None:
    assert "sender.example" not in repr(NEUTRAL)
    assert "Hi" not in repr(NEUTRAL)
