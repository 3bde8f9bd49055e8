"""Messages in neutral words, and the notices of vendors whose events have none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest

from fairlead.capabilities.news.messages import TYPES, MessageNews
from fairlead.errors import WebhookError
from fairlead.model.event import Event, Notice
from fairlead.runtime.registry import load_provider
from webhook_trial import URL, incoming

WHEN, POSITION = "2023-11-14T22:13:20Z", 1_700_000_000_000_000


def notices(name: str, body: Any, headers: dict[str, str] | None = None, *, url: str = URL) -> Sequence[Notice]:
    webhooks = load_provider(name).webhooks
    assert webhooks is not None
    return webhooks.split(incoming(body if isinstance(body, str) else json.dumps(body), headers, url=url))


def meaning(name: str, found: Sequence[Notice]) -> Event | None:
    webhooks = load_provider(name).webhooks
    assert webhooks is not None
    assert webhooks.normalise is not None
    (notice,) = found
    event = webhooks.normalise(notice.type, notice.body)
    assert event is None or (event.type in TYPES and event.subject == notice.subject)
    return event


def twilio(**form: str) -> Event | None:
    return meaning("twilio", notices("twilio", urlencode({"MessageSid": "m-1", "From": "+1", "To": "+2", **form})))


def vonage(**body: Any) -> Event | None:
    sent = {"message_uuid": "m-1", "from": "+1", "to": "+2", "channel": "sms", "timestamp": WHEN, **body}
    return meaning("vonage", notices("vonage", sent, {"authorization": "Bearer x"}))


def receipt(**parameters: str) -> Event | None:
    return meaning("vonage", notices("vonage", "", url=f"{URL}?{urlencode({'messageId': 'm-1', **parameters})}"))


@pytest.mark.parametrize(
    ("event", "wanted", "error"),
    [
        (twilio(MessageStatus="queued"), "message.queued", None),
        (twilio(MessageStatus="sent"), "message.sent", None),
        (twilio(MessageStatus="delivered"), "message.delivered", None),
        (twilio(MessageStatus="read"), "message.read", None),
        (twilio(MessageStatus="undelivered", ErrorCode="30003"), "message.failed", "30003"),
        (twilio(SmsStatus="received", Body="hi"), "message.received", None),
        (twilio(MessageStatus="sent", From="whatsapp:+1", To="whatsapp:+2"), "message.sent", None),
        (vonage(status="submitted"), "message.sent", None),
        (vonage(status="delivered"), "message.delivered", None),
        (vonage(status="read"), "message.read", None),
        (vonage(status="rejected", error={"title": 1010}), "message.failed", "1010"),
        (vonage(text="hi"), "message.received", None),
        (receipt(status="delivered", to="+1", msisdn="+2", **{"err-code": "0"}), "message.delivered", None),
        (receipt(status="failed", to="+1", msisdn="+2", **{"err-code": "6"}), "message.failed", "6"),
        (receipt(to="+2", msisdn="+1", text="hi"), "message.received", None),
    ],
)
def test_a_message_is_told_of_in_the_same_words(event: Event | None, wanted: str, error: str | None) -> None:
    assert event is not None
    assert isinstance(event.data, MessageNews)
    assert (event.type, event.subject, event.recipient) == (wanted, "m-1", "+2")
    assert (event.data.sender, event.data.error) == ("+1", error)
    assert event.data.text == ("hi" if wanted == "message.received" else None)


def test_a_call_is_no_message() -> None:
    (notice,) = notices("twilio", urlencode({"CallSid": "c-1", "CallStatus": "completed"}))
    assert (notice.key, notice.type, notice.subject) == ("c-1:completed", "call.completed", "c-1")
    assert meaning("twilio", [notice]) is None


@pytest.mark.parametrize(
    ("name", "body", "headers", "wanted"),
    [
        (
            "github",
            {"action": "opened", "repository": {"full_name": "a/b"}},
            {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1"},
            ("1", "issues.opened", "a/b", None),
        ),
        (
            "github",
            urlencode({"payload": json.dumps({"zen": "."})}),
            {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1", "Content-Type": "application/x-www-form-urlencoded"},
            ("1", "ping", None, None),
        ),
        (
            "slack",
            {
                "type": "event_callback", "event_id": "Ev1",
                "event": {"type": "message", "subtype": "me", "channel": "C1", "event_ts": "1700000000.000100"},
            },
            {},
            ("Ev1", "message.me", "C1", POSITION + 100),
        ),
        (
            "slack",
            {"type": "event_callback", "event_id": "Ev1", "event": {"type": "channel_rename", "channel": {"id": "C1"}}},
            {},
            ("Ev1", "channel_rename", "C1", None),
        ),
        (
            "slack",
            urlencode({"command": "/a", "trigger_id": "t", "channel_id": "C1"}),
            {},
            ("t", "command", "C1", None),
        ),
        (
            "slack",
            urlencode({"payload": json.dumps({"type": "block_actions", "trigger_id": "t", "channel": {"id": "C1"}})}),
            {},
            ("t", "block_actions", "C1", None),
        ),
        (
            "sns",
            {
                "Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": "m", "Timestamp": WHEN,
                "Signature": "", "SignatureVersion": "1", "SigningCertURL": "",
            },
            {},
            ("1", "Notification", "arn", POSITION),
        ),
        (
            "segment",
            {"type": "track", "messageId": "1", "userId": "u", "timestamp": WHEN},
            {},
            ("1", "track", "u", POSITION),
        ),
        (
            "imagekit",
            {"id": "1", "type": "file.created", "created_at": WHEN},
            {},
            ("1", "file.created", None, POSITION),
        ),
        (
            "okta",
            {"data": {"events": [{"uuid": "1", "eventType": "user.a", "published": WHEN, "target": [{"id": "u"}]}]}},
            {},
            ("1", "user.a", "u", POSITION),
        ),
        (
            "teams",
            {"type": "message", "id": "1", "timestamp": WHEN, "conversation": {"id": "c"}},
            {},
            ("1", "message", "c", POSITION),
        ),
        (
            "mastodon",
            {"event": "status.created", "created_at": WHEN, "object": {"id": "1"}},
            {},
            (f"status.created:1:{WHEN}", "status.created", "1", POSITION),
        ),
        ("x", {"data": {"event_uuid": "1", "event_type": "post.create"}}, {}, ("1", "post.create", None, None)),
        (
            "mailgun",
            urlencode({"token": "t", "Message-Id": "<m>", "timestamp": "1", "signature": "s"}),
            {},
            ("t", "inbound", "<m>", None),
        ),
    ],
)  # fmt: skip
def test_a_notice_has_what_the_vendor_tells(
    name: str, body: Any, headers: dict[str, str], wanted: tuple[str, str, str | None, int | None]
) -> None:
    (notice,) = notices(name, body, headers)
    assert (notice.key, notice.type, notice.subject, notice.position) == wanted


def test_what_has_no_id_is_told_apart_by_its_content() -> None:
    for name, body in (
        ("cloudinary", {"notification_type": "upload", "public_id": "a"}),
        ("looker", {"scheduled_plan": {"scheduled_plan_id": 1, "type": "Look"}}),
        ("feeds", "<feed/>"),
        ("postmark", {"RecordType": "Open", "MessageID": "m"}),
    ):
        (first,), (again,) = notices(name, body), notices(name, body)
        text = body if isinstance(body, str) else json.dumps(body)
        (other,) = notices(name, f"{text} ")
        assert first.key == again.key != other.key


def test_a_delivery_of_several_is_cut_into_its_parts() -> None:
    changes = [{"field": "feed", "value": 1}, {"field": "feed", "value": 2}]
    entries = [
        {"id": "1", "time": 1_700_000_000, "changes": changes},
        {"id": "2", "time": 1_700_000_000_000, "messaging": [{"message": {"mid": "m"}}]},
    ]
    found = notices("facebook", {"object": "page", "entry": entries})
    assert [(each.type, each.subject, each.position) for each in found] == [
        ("page.feed", "1", POSITION), ("page.feed", "1", POSITION), ("page.messaging", "2", POSITION),
    ]  # fmt: skip
    assert len({each.key for each in found}) == 3
    assert json.loads(found[1].body) == changes[1]
    listed = notices("x", {"for_user_id": "u", "tweet_create_events": [{"id": 1}, {"id": 2}], "users": {}})
    assert [(each.type, each.subject, each.body) for each in listed] == [
        ("tweet_create_events", "u", b'{"id": 1}'), ("tweet_create_events", "u", b'{"id": 2}'),
    ]  # fmt: skip


def test_a_batch_of_which_only_the_first_is_signed_is_refused() -> None:
    (only,) = notices("segment", [{"type": "track", "messageId": "1"}])
    assert only.key == "1"
    with pytest.raises(WebhookError, match="Switch off batching"):
        notices("segment", [{"type": "track"}, {"type": "track"}])
