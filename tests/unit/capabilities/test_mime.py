from __future__ import annotations

import email
import email.message
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.policy import default
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.capabilities.email import Attachment, EmailMessage
from fairlead.capabilities.mailbox import Address
from fairlead.capabilities.mime import build_mime, message_id_of
from fairlead.errors import InvalidArgumentError

ADA = Address("ada@example.com")
NOT_TEXT: tuple[Any, ...] = ("Cs",)
NOT_IN_A_LINE = "\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# Of what a header's value may have: no control characters, which no reader keeps.
LINE = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=NOT_IN_A_LINE), max_size=200)
TOKEN = st.from_regex(r"[A-Za-z0-9.]{1,30}", fullmatch=True)
ADDRESS = st.builds(Address, TOKEN.map(lambda local: f"{local.strip('.') or 'a'}@example.com"), LINE.map(str.strip))
BODY = st.text(st.characters(exclude_categories=NOT_TEXT), min_size=1, max_size=2000)
TYPES = st.sampled_from(["image/png", "text/csv; charset=utf-8", "application/pdf", "text/html", "application/x-1+a"])
FILE = st.builds(
    Attachment,
    name=st.text(st.characters(categories=("L", "N", "So"), exclude_characters=NOT_IN_A_LINE), min_size=1, max_size=80),
    content=st.binary(max_size=500),
    type=TYPES,
    content_id=st.none() | TOKEN,
)
MESSAGE = st.builds(
    EmailMessage,
    sender=ADDRESS,
    to=st.lists(ADDRESS, min_size=1, max_size=4).map(tuple),
    cc=st.lists(ADDRESS, max_size=2).map(tuple),
    bcc=st.just((Address("hidden@example.org", "Hidden"),)),
    reply_to=st.lists(ADDRESS, max_size=2).map(tuple),
    subject=LINE,
    text=BODY,
    html=st.none() | BODY,
    attachments=st.lists(FILE, max_size=3).map(tuple),
    headers=st.lists(st.tuples(st.just("X-Own"), LINE), max_size=2).map(tuple),
    unsubscribe_url=st.none() | TOKEN.map(lambda path: f"https://example.com/{path * 9}"),
    unsubscribe_email=st.none() | st.just("leave@example.com"),
)


def read(written: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(written, policy=default)


def simple(**fields: Any) -> EmailMessage:
    return EmailMessage(**{"sender": ADA, "to": (ADA,), "text": "Soup.", **fields})


def lines_of(text: str) -> list[str]:
    """Take apart as mail does: how a line ends is not part of it, and the last one ends too."""
    parts = re.split("\r\n|\r|\n", text)
    return parts[:-1] if parts[-1] == "" else parts


def text_of(value: str) -> str:
    """Decode a header as RFC 2047 has it; the standard library's newer parser parts a name of several words."""
    return str(make_header(decode_header(re.sub(r"\r\n(?= )", "", value))))


def raw_fields(written: bytes) -> dict[str, list[str]]:
    head = written.partition(b"\r\n\r\n")[0].decode("ascii")
    fields: dict[str, list[str]] = {}
    for line in re.split(r"\r\n(?! )", head):
        name, _, value = line.partition(": ")
        fields.setdefault(name, []).append(value)
    return fields


def addresses_of(value: str) -> list[tuple[str, str]]:
    return [(mail, text_of(name)) for name, mail in getaddresses([re.sub(r"\r\n(?= )", "", value)])]


@given(MESSAGE)
def test_a_reader_finds_what_went_in(message: EmailMessage) -> None:
    written = build_mime(message, message_id="id@example.com", date=86_400.0)
    fields = raw_fields(written)
    for name, addresses in (("From", (message.sender,)), ("To", message.to), ("Cc", message.cc)):
        found = addresses_of(fields[name][0]) if addresses else []
        assert found == [(each.email, each.name) for each in addresses]
    assert [text_of(each) for each in fields["Subject"]] == [message.subject]
    assert [text_of(each) for each in fields.get("X-Own", [])] == [value for _, value in message.headers]
    offered = dict(message.unsubscribe_headers())
    assert {name: fields[name][0].replace("\r\n", "") for name in offered} == offered
    parsed = read(written)
    body = parsed.get_body(("plain",))
    assert body is not None
    assert lines_of(body.get_content()) == lines_of(message.text or "")
    html = parsed.get_body(("html",))
    assert (html is None) == (message.html is None)
    assert html is None or lines_of(html.get_content()) == lines_of(message.html or "")
    files = [each for each in parsed.walk() if each.get_filename() is not None]
    found_files = [(each.get_filename(), each.get_payload(decode=True), each["content-id"]) for each in files]
    given_files = [
        (each.name, each.content, each.content_id and f"<{each.content_id}>") for each in message.attachments
    ]
    assert sorted(map(repr, found_files)) == sorted(map(repr, given_files))


@given(MESSAGE)
def test_every_line_can_be_carried_and_nobody_hidden_is_named(message: EmailMessage) -> None:
    written = build_mime(message)
    assert written.isascii()
    assert max(map(len, written.split(b"\r\n"))) <= 998
    assert b"\n" not in written.replace(b"\r\n", b"")
    assert b"hidden@example.org" not in written
    assert b"\nbcc" not in written.lower()
    assert written == build_mime(message)


def test_the_parts_are_inside_each_other() -> None:
    picture = Attachment(name="logo.png", content=b"\x89PNG", type="image/png", content_id="logo")
    file = Attachment(name="a b.pdf", content=b"%PDF", type="application/pdf")
    parsed = read(build_mime(simple(html="<img src='cid:logo'>", attachments=(file, picture))))
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    shown = {part.get_filename(): part.get_content_disposition() for part in parsed.walk() if part.get_filename()}
    assert shown == {"logo.png": "inline", "a b.pdf": "attachment"}


@pytest.mark.parametrize(
    ("fields", "types"),
    [
        ({}, ["text/plain"]),
        ({"text": None, "html": "<p>"}, ["text/html"]),
        ({"html": "<p>"}, ["multipart/alternative", "text/plain", "text/html"]),
    ],
)
def test_no_part_is_made_for_nothing(fields: dict[str, Any], types: list[str]) -> None:
    assert [part.get_content_type() for part in read(build_mime(simple(**fields))).walk()] == types


def test_date_and_message_id_are_those_given() -> None:
    parsed = read(build_mime(simple(), message_id="call-1@example.com", date=1_700_000_000.0))
    assert parsed["message-id"] == "<call-1@example.com>"
    assert parsed["date"].datetime.astimezone(UTC) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert {"message-id", "date"} & {name.lower() for name in read(build_mime(simple()))} == set()


def test_a_message_id_names_the_call() -> None:
    assert message_id_of("call-1", ADA) == "call-1@example.com"
    assert message_id_of("", ADA) is None


def test_a_long_link_is_never_encoded() -> None:
    link = f"https://example.com/{'a' * 600}"
    assert f"<{link}>".encode() in build_mime(simple(unsubscribe_url=link))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"to": (Address("not an address"),)}, "address"),
        ({"to": (Address("a@b.test>, <c@d.test"),)}, "address"),
        ({"to": (Address("ä@example.com"),)}, "address"),
        ({"text": "\ud800"}, "cannot be written"),
        ({"attachments": (Attachment(name="a", content=b"", type="png"),)}, "type of an attachment"),
    ],
)
def test_what_cannot_be_written_is_refused(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgumentError, match=match):
        build_mime(simple(**fields))


def test_a_message_within_a_message_is_attached_as_bytes() -> None:
    inner = Attachment(name="old.eml", content=b"Subject: a\r\n\r\nb", type="message/rfc822")
    (part,) = read(build_mime(simple(attachments=(inner,)))).iter_attachments()
    assert (part.get_content_type(), part.get_content()) == ("application/octet-stream", inner.content)
