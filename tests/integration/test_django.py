"""`EMAIL_BACKEND = "fairlead.django.EmailBackend"`: what a project sends through Django, as two vendors took it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection, send_mail
from django.test.utils import override_settings

from fairlead import Outcome
from fairlead.capabilities.email import EmailReceipt
from fairlead.django import client
from fairlead.django.messages import read_message
from fairlead.errors import (
    ConfigError,
    FairleadError,
    InvalidArgumentError,
    OutcomeUnknownError,
    SuppressedError,
    UsageError,
)
from fairlead.testing.fakes.postmark import PostmarkFake
from fairlead.testing.fakes.sendgrid import API_KEY, SendgridFake
from fairlead.testing.faults import Faults
from two_mail_vendors import two_mail_vendors

if not settings.configured:
    settings.configure(USE_TZ=True, TIME_ZONE="Europe/Berlin", DEFAULT_FROM_EMAIL="shop@sender.example")

PATIENCE_S = 20.0
PNG = b"\x89PNG\r\n\x1a\n"


class Post(NamedTuple):
    first: SendgridFake
    second: PostmarkFake

    @property
    def letters(self) -> int:
        return len(self.first.sent) + len(self.second.sent)


@asynccontextmanager
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """Run two vendors, and have Django send through them."""
    async with asyncio.timeout(PATIENCE_S), SendgridFake() as first, PostmarkFake() as second:
        (tmp_path / "first").write_text(API_KEY, encoding="utf-8")
        (tmp_path / "second").write_text(second.CREDENTIALS["server_token"], encoding="utf-8")
        config = tmp_path / "fairlead.toml"
        text = two_mail_vendors(
            first.url,
            second.url,
            tmp_path / "jobs.db",
            keys=(f"file:{tmp_path}/first", f"file:{tmp_path}/second"),
        )
        config.write_text(text, encoding="utf-8")
        with override_settings(EMAIL_BACKEND="fairlead.django.EmailBackend", FAIRLEAD_CONFIG=str(config)):
            yield Post(first, second)
            await asyncio.to_thread(lambda: client().close())


async def sent(message: EmailMessage, **options: Any) -> Any:
    """Send it from a thread, as a view would."""
    return await asyncio.to_thread(lambda: message.send(**options))


def a_message(**given: Any) -> EmailMultiAlternatives:
    return EmailMultiAlternatives(
        **{"subject": "Hello", "body": "Hi", "from_email": "Shop <shop@sender.example>", "to": ["bob@b.example"]}
        | given
    )


async def test_send_mail_goes_to_the_first_vendor_that_can(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        to = ["Bob <bob@b.example>", "eve@b.example"]
        count = await asyncio.to_thread(
            lambda: send_mail("Hello", "Hi", None, to, html_message="<p>Hi</p>")  # the sender is Django's default
        )
        assert count == 1
        (letter,) = world.first.sent
        assert letter.sender == ("", "shop@sender.example")
        assert letter.recipients == ("bob@b.example", "eve@b.example")
        assert (letter.subject, letter.text, letter.html) == ("Hello", "Hi", "<p>Hi</p>")


async def test_all_of_a_message_arrives(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        message = a_message(
            cc=["cc@b.example"],
            bcc=["bcc@b.example"],
            reply_to=["help@sender.example"],
            headers={"X-Order": "7", "List-Unsubscribe": "<mailto:stop@sender.example>"},
        )
        message.attach_alternative('<img src="cid:logo">', "text/html")
        logo = MIMEImage(PNG, "png")
        logo.add_header("Content-ID", "<logo>")
        logo.add_header("Content-Disposition", "inline", filename="logo.png")
        message.attach(logo)
        message.attach("bill.csv", "ü;1\n", "text/csv")
        message.attach("bill.pdf", b"%PDF\xff", "application/pdf")
        message.tags, message.metadata = ["welcome"], {"order": 7}
        message.track_opens, message.track_clicks = True, False
        assert await sent(message) == 1
        (letter,) = world.first.sent
        assert letter.sender == ("Shop", "shop@sender.example")
        written = [letter.to, letter.cc, letter.bcc, letter.reply_to]
        assert [[email for _, email in each] for each in written] == [
            ["bob@b.example"],
            ["cc@b.example"],
            ["bcc@b.example"],
            ["help@sender.example"],
        ]
        assert [(each.name, each.type, each.content, each.content_id) for each in letter.enclosures] == [
            ("logo.png", "image/png", PNG, "logo"),
            ("bill.csv", "text/csv", "ü;1\n".encode(), None),
            ("bill.pdf", "application/pdf", b"%PDF\xff", None),
        ]
        assert {"X-Order": "7", "List-Unsubscribe": "<mailto:stop@sender.example>"}.items() <= letter.headers.items()
        assert (letter.tags, letter.metadata["order"]) == (["welcome"], "7")
        assert (letter.track_opens, letter.track_clicks) == (True, False)


async def test_each_gets_a_message_of_their_own_from_a_template(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        message = EmailMessage(from_email="shop@sender.example", to=["Bob <bob@b.example>", "eve@b.example"])
        message.template_id = "d-welcome"
        message.merge_data = {"bob@b.example": {"name": "Bob"}}
        message.merge_global_data = {"shop": "Acme"}
        assert await sent(message) == 1
        assert {each.recipients: dict(each.variables) for each in world.first.sent} == {
            ("bob@b.example",): {"shop": "Acme", "name": "Bob"},
            ("eve@b.example",): {"shop": "Acme"},
        }
        assert {each.template for each in world.first.sent} == {"d-welcome"}


async def test_another_vendor_carries_it_when_the_first_is_away(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.first.go_down()
        message = a_message()
        assert await sent(message) == 1
        receipt = message.fairlead_receipt
        assert isinstance(receipt, EmailReceipt)
        assert receipt.served_by == "second"
        assert receipt.ref.id == world.second.sent[0].id
        assert message.anymail_status.message_id == receipt.ref.id
        assert message.anymail_status.status == {"queued"}
        assert world.letters == 1


async def test_one_failure_raises_or_is_left_out_of_the_count(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        good, bad = a_message(), a_message(to=["gone@b.example"])
        await asyncio.to_thread(lambda: client().suppressions.add("gone@b.example"))
        with pytest.raises(SuppressedError):
            await sent(bad)
        quiet = get_connection(fail_silently=True)
        assert await asyncio.to_thread(lambda: quiet.send_messages([bad, good])) == 1
        assert isinstance(bad.fairlead_error, SuppressedError)
        assert good.fairlead_receipt.served_by == "first"
        assert world.letters == 1


async def test_who_is_suppressed_is_told_among_others(tmp_path: Path) -> None:
    async with post(tmp_path):
        await asyncio.to_thread(lambda: client().suppressions.add("gone@b.example"))
        message = a_message(to=["bob@b.example", "gone@b.example"])
        assert await sent(message) == 1
        assert message.anymail_status.status == {"queued", "rejected"}
        assert message.anymail_status.recipients["gone@b.example"]["status"] == "rejected"


async def test_with_all_vendors_away_it_is_said(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        await world.first.go_down()
        await world.second.go_down()
        message = a_message()
        message.fairlead_options = {"deadline_s": 1.0}
        with pytest.raises(FairleadError) as away:
            await sent(message)
        assert away.value.outcome is Outcome.NOT_DONE
        assert await sent(a_message(), fail_silently=True) == 0
        assert world.letters == 0


async def test_while_nobody_knows_it_is_held(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        world.first.visible_after_s = 3600.0
        world.first.faults = Faults(lost_share=1)
        message = a_message()
        message.fairlead_options = {"deadline_s": 1.0}
        with pytest.raises(OutcomeUnknownError) as held:
            await sent(message)
        assert message.fairlead_error is held.value
        assert world.letters == 1


async def test_one_key_in_the_background_is_one_message(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        calls = set()
        for _ in range(2):
            message = a_message()
            message.fairlead_options = {"background": True, "idempotency_key": "welcome-bob"}
            assert await sent(message) == 1
            calls.add(message.fairlead_call.id)
        (call,) = calls
        receipt = await asyncio.to_thread(lambda: client().calls.wait(client().calls.get(call), deadline_s=10))
        assert receipt.ref.id == world.first.sent[0].id
        assert world.letters == 1


async def test_all_threads_have_one_client(tmp_path: Path) -> None:
    async with post(tmp_path):
        together = Barrier(4)

        def find() -> int:
            together.wait(PATIENCE_S)
            return id(client())

        assert len(set(await asyncio.gather(*(asyncio.to_thread(find) for _ in range(4))))) == 1


async def test_within_an_event_loop_it_raises_also_silently(tmp_path: Path) -> None:
    async with post(tmp_path) as world:
        with pytest.raises(UsageError, match="event loop"):
            a_message().send(fail_silently=True)
        assert world.letters == 0


def test_a_configuration_that_is_wrong_raises_also_silently(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.toml")
    with override_settings(EMAIL_BACKEND="fairlead.django.EmailBackend", FAIRLEAD_CONFIG=missing):
        assert EmailMessage("Hello", "Hi", "shop@sender.example", []).send() == 0
        with pytest.raises(ConfigError):
            a_message().send(fail_silently=True)


def test_a_body_may_be_html_alone() -> None:
    message = a_message(body="<p>Hi</p>")
    message.content_subtype = "html"
    read = read_message(message)
    assert (read.text, read.html) == (None, "<p>Hi</p>")


def test_the_headers_that_are_fields_become_fields() -> None:
    headers = {
        "From": "Ann <ann@sender.example>",
        "reply-to": "Help <help@sender.example>, b@sender.example",
        "List-Unsubscribe": "<mailto:stop@sender.example>, <https://sender.example/u?id=7>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    read = read_message(a_message(headers=headers))
    assert (read.sender.name, read.sender.email) == ("Ann", "ann@sender.example")
    assert [(each.name, each.email) for each in read.reply_to] == [
        ("Help", "help@sender.example"),
        ("", "b@sender.example"),
    ]
    assert (read.unsubscribe_email, read.unsubscribe_url) == ("stop@sender.example", "https://sender.example/u?id=7")
    assert read.headers == ()


def test_a_message_and_a_part_may_be_attached() -> None:
    message = a_message()
    message.attach("mail.eml", a_message(subject="Inner"), "message/rfc822")
    message.attach(MIMEMessage(a_message(subject="Deeper").message()))
    attached = MIMEImage(PNG, "png")
    attached.add_header("Content-ID", "<photo>")
    attached.add_header("Content-Disposition", "attachment")
    message.attach(attached)
    first, second, third = read_message(message).attachments
    assert (first.name, first.type) == ("mail.eml", "message/rfc822")
    assert b"Subject: Inner" in first.content
    assert (second.name, second.type) == ("attachment.eml", "message/rfc822")
    assert b"Subject: Deeper" in second.content
    assert (third.name, third.content, third.content_id) == ("attachment.png", PNG, None)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (1_767_355_200.0, 1_767_355_200.0),
        (dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC), 1_767_355_200.0),
        (dt.datetime(2026, 1, 2, 13), 1_767_355_200.0),  # noqa: DTZ001  # Django's zone is Berlin's
        (dt.date(2026, 1, 2), 1_767_308_400.0),
    ],
)
def test_a_time_without_a_zone_is_in_that_of_django(given: Any, wanted: float) -> None:
    message = a_message()
    message.send_at = given
    assert read_message(message).send_at == wanted


def _two_alternatives(message: EmailMultiAlternatives) -> None:
    message.attach_alternative("<p>a</p>", "text/html")
    message.attach_alternative("<p>b</p>", "text/html")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda message: setattr(message, "esp_extra", {"a": 1}),
        lambda message: setattr(message, "envelope_sender", "b@sender.example"),
        lambda message: setattr(message, "extra_headers", {"To": "somebody@b.example"}),
        lambda message: setattr(message, "extra_headers", {"List-Unsubscribe": "<https://sender.example/u>"}),
        lambda message: setattr(message, "subject", "a\nBcc: c@d.example"),
        lambda message: message.attach_alternative("BEGIN:VCALENDAR", "text/calendar"),
        _two_alternatives,
    ],
)
def test_what_would_be_lost_is_refused(spoil: Callable[[EmailMultiAlternatives], None]) -> None:
    message = a_message()
    spoil(message)
    with pytest.raises(InvalidArgumentError):
        read_message(message)
