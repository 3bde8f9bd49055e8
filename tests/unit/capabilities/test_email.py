"""Messages: what is refused before any vendor hears of it, and what each asks of a vendor."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.capabilities.email import Attachment, Email, EmailMessage, Feature
from fairlead.capabilities.mailbox import Address
from fairlead.errors import InvalidArgumentError, UnsupportedFeatureError

ADA, BOB = Address.read("Ada <ada@example.com>"), Address.read("bob@example.org")
LOGO = Attachment(name="logo.png", content=b"x", type="image/png", content_id="logo")
FILE = Attachment(name="a.pdf", content=b"12345")


def message(**fields: Any) -> EmailMessage:
    return EmailMessage(**{"sender": ADA, "to": (BOB,), "subject": "Hello", "text": "Hi", **fields})


@pytest.mark.parametrize(
    ("text", "email", "name"),
    [
        ("ada@example.com", "ada@example.com", ""),
        ("Ada Lovelace <ada@example.com>", "ada@example.com", "Ada Lovelace"),
        ('"Lovelace, Ada" <ada@example.com>', "ada@example.com", "Lovelace, Ada"),
        ("ada@EXÄMPLE.com", "ada@xn--exmple-cua.com", ""),
        (" ada+tag@example.com ", "ada+tag@example.com", ""),
    ],
)
def test_addresses_are_read(text: str, email: str, name: str) -> None:
    assert Address.read(text) == Address(email, name)


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example", "ada@-x.com", "a@b@example.com", "<>"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no email address"):
        Address.read(text)


@given(st.sampled_from("\r\n\0\x0b\x0c\x85\u2028"), st.text(max_size=5), st.text(max_size=5))
def test_no_line_of_a_message_begins_another(char: str, before: str, after: str) -> None:
    line = before + char + after
    for fields in (
        {"subject": line},
        {"headers": (("x-a", line),)},
        {"headers": ((line, "a"),)},
        {"tags": (line,)},
        {"metadata": {"a": line}},
        {"metadata": {line: "a"}},
        {"unsubscribe_url": line},
    ):
        with pytest.raises(InvalidArgumentError):
            message(**fields)
    with pytest.raises(InvalidArgumentError):
        Address("a@example.com", line)
    with pytest.raises(InvalidArgumentError):
        Address.read(f"a@example.com{line}")
    with pytest.raises(InvalidArgumentError):
        Attachment(name=line, content=b"")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"to": ()}, "to nobody"),
        ({"text": None}, "no body"),
        ({"template": "t"}, "body and a template"),
        ({"headers": (("Subject", "x"),)}, "own fields"),
        ({"headers": (("a b", "x"),)}, "not a header name"),
        ({"each": {"x@example.com": {}}}, "1 addresses in each are not in to, and 1"),
        ({"each": {"bob@example.org": {}}, "cc": (ADA,)}, "copies"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        message(**fields)


@pytest.mark.parametrize(
    ("fields", "features"),
    [
        ({}, set()),
        ({"attachments": (FILE,)}, {Feature.ATTACHMENTS}),
        ({"attachments": (LOGO,)}, {Feature.INLINE_IMAGES}),
        ({"tags": ("a",)}, {Feature.TAG}),
        ({"tags": ("a", "b")}, {Feature.TAGS}),
        ({"template": "t", "text": None}, {Feature.TEMPLATE}),
        ({"each": {"bob@example.org": {"a": 1}}}, {Feature.EACH}),
        ({"track_opens": False, "track_clicks": True}, {Feature.TRACK_OPENS, Feature.TRACK_CLICKS}),
        ({"send_at": 1.0, "reply_to": (ADA, BOB)}, {Feature.SEND_AT, Feature.REPLY_TO_SEVERAL}),
        ({"unsubscribe_url": "https://a.test/u", "metadata": {"a": "b"}}, {Feature.UNSUBSCRIBE, Feature.METADATA}),
    ],
)
def test_a_message_knows_what_it_asks_of_a_vendor(fields: dict[str, Any], features: set[Feature]) -> None:
    assert message(**fields).features == features


def test_what_a_vendor_lacks_is_refused_before_it_is_sent() -> None:
    class Plain(Email):
        FEATURES = frozenset({Feature.TAG})
        MAX_BYTES = 4
        MAX_RECIPIENTS = 1

    plain = Plain("mail")
    plain.check(message(tags=("a",)))
    with pytest.raises(UnsupportedFeatureError, match="no metadata, no several tags"):
        plain.check(message(tags=("a", "b"), metadata={"k": "v"}))
    with pytest.raises(UnsupportedFeatureError, match="5 bytes"):
        plain.check(message(text="12345"))
    with pytest.raises(UnsupportedFeatureError, match="2 recipients"):
        plain.check(message(bcc=(ADA,)))


def test_variables_need_a_template_and_some_vendors_an_address_in_to() -> None:
    class Wanting(Email):
        FEATURES = frozenset(Feature)
        NEEDS_TO = True

    wanting = Wanting("mail")
    with pytest.raises(UnsupportedFeatureError, match="no template"):
        wanting.check(message(variables={"name": "Bob"}))
    with pytest.raises(UnsupportedFeatureError, match="no template"):
        wanting.check(message(each={"bob@example.org": {"name": "Bob"}}))
    with pytest.raises(UnsupportedFeatureError, match="copies alone"):
        wanting.check(message(to=(), bcc=(ADA,)))
    wanting.check(message(each={"bob@example.org": {}}))


def test_the_name_of_the_call_joins_the_metadata() -> None:
    email = Email("mail")
    assert email.marked(message(metadata={"order": "7"})) == {"order": "7"}
    email.reference = "call_1"
    assert email.marked(message(metadata={"order": "7"})) == {"order": "7", "fairlead_call": "call_1"}


def test_the_variables_of_one_recipient_stand_on_top_of_those_of_all() -> None:
    both = message(template="t", text=None, variables={"a": 1, "b": 1}, each={"bob@example.org": {"b": 2}})
    assert both.variables_for(BOB) == {"a": 1, "b": 2}
    assert both.variables_for(ADA) == {"a": 1, "b": 1}


def test_unsubscribing_by_one_click_and_by_mail() -> None:
    both = message(unsubscribe_url="https://a.test/u", unsubscribe_email="u@a.test")
    assert both.unsubscribe_headers() == (
        ("List-Unsubscribe", "<mailto:u@a.test>, <https://a.test/u>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )
    assert message(unsubscribe_email="u@a.test").unsubscribe_headers() == (("List-Unsubscribe", "<mailto:u@a.test>"),)


def test_nothing_private_is_in_what_is_printed() -> None:
    told = repr(message(subject="canary", attachments=(Attachment(name="canary", content=b"canary"),))) + repr(ADA)
    assert "canary" not in told
    assert "ada@" not in told
