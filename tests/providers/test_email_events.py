"""What became of an email is told in the same words, whichever vendor tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.capabilities.news.email import TYPES, Bounce, EmailNews
from fairlead.model.event import Event
from fairlead.runtime.registry import load_provider
from webhook_trial import incoming

AT = 1_513_299_569.0
WHEN = "2017-12-15T00:59:29.000Z"
TO = "ann@example.com"
MAIL = "m-1"


def told(name: str, body: Any, headers: dict[str, str] | None = None) -> Sequence[Event | None]:
    """Return what the notices of a delivery mean."""
    webhooks = load_provider(name).webhooks
    assert webhooks is not None
    assert webhooks.normalise is not None
    delivery = incoming(json.dumps(body), headers)
    notices = webhooks.split(delivery)
    assert [each.key for each in notices] == [each.key for each in webhooks.split(delivery)]
    found = [webhooks.normalise(each.type, each.body) for each in notices]
    for notice, event in zip(notices, found, strict=True):
        assert event is None or event.type in TYPES
        assert event is None or notice.subject == event.subject == MAIL
    return found


def sendgrid(event: str, **more: Any) -> Event | None:
    sent = {"email": TO, "timestamp": AT, "event": event, "sg_event_id": "e", "sg_message_id": f"{MAIL}.filter-1"}
    return told("sendgrid", [{**sent, **more}])[0]


def mailgun(event: str, **more: Any) -> Event | None:
    data = {"id": "e", "event": event, "timestamp": AT, "recipient": TO, "message": {"headers": {"message-id": MAIL}}}
    return told("mailgun", {"signature": {}, "event-data": {**data, **more}})[0]


def postmark(kind: str, **more: Any) -> Event | None:
    return told("postmark", {"RecordType": kind, "MessageID": MAIL, **more})[0]


def resend(kind: str, **more: Any) -> Event | None:
    body = {"type": kind, "created_at": WHEN, "data": {"email_id": MAIL, "to": [TO], **more}}
    return told("resend", body, {"svix-id": "1"})[0]


def ses(kind: str, **more: Any) -> Event | None:
    (found,) = told("ses", envelope({"eventType": kind, "mail": {"messageId": MAIL, "destination": [TO]}, **more}))
    return found


def envelope(record: Any, kind: str = "Notification") -> dict[str, str]:
    return {
        "Type": kind, "MessageId": "n-1", "TopicArn": "arn", "Timestamp": WHEN, "SignatureVersion": "2",
        "Signature": "", "SigningCertURL": "", "Message": record if isinstance(record, str) else json.dumps(record),
    }  # fmt: skip


SES_BOUNCE = {
    "bounceType": "Permanent",
    "timestamp": WHEN,
    "bouncedRecipients": [{"emailAddress": TO, "status": "5.1.1"}],
}


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (sendgrid("delivered", response="250 OK"), ("email.delivered", None)),
        (sendgrid("deferred", response="400 later"), ("email.deferred", None)),
        (sendgrid("bounce", type="bounce", status="5.1.1"), ("email.bounced", Bounce.HARD)),
        (sendgrid("bounce", type="blocked"), ("email.bounced", Bounce.SOFT)),
        (sendgrid("dropped", reason="Bounced Address"), ("email.dropped", None)),
        (sendgrid("spamreport"), ("email.complained", None)),
        (sendgrid("group_unsubscribe"), ("email.unsubscribed", None)),
        (sendgrid("open"), ("email.opened", None)),
        (sendgrid("click", url="https://a"), ("email.clicked", None)),
        (mailgun("delivered"), ("email.delivered", None)),
        (mailgun("failed", severity="temporary"), ("email.deferred", None)),
        (mailgun("failed", severity="permanent", reason="bounce"), ("email.bounced", Bounce.HARD)),
        (mailgun("failed", severity="permanent", reason="suppress-bounce"), ("email.dropped", None)),
        (mailgun("rejected"), ("email.dropped", None)),
        (mailgun("complained"), ("email.complained", None)),
        (mailgun("unsubscribed"), ("email.unsubscribed", None)),
        (mailgun("opened"), ("email.opened", None)),
        (mailgun("clicked", url="https://a"), ("email.clicked", None)),
        (postmark("Delivery", Recipient=TO, DeliveredAt=WHEN), ("email.delivered", None)),
        (postmark("Bounce", ID=1, Type="Transient", Email=TO, BouncedAt=WHEN), ("email.deferred", None)),
        (postmark("Bounce", ID=1, Type="HardBounce", Email=TO, BouncedAt=WHEN), ("email.bounced", Bounce.HARD)),
        (postmark("Bounce", ID=1, Type="SoftBounce", Email=TO, BouncedAt=WHEN), ("email.bounced", Bounce.SOFT)),
        (postmark("SpamComplaint", ID=1, Email=TO, BouncedAt=WHEN), ("email.complained", None)),
        (
            postmark(
                "SubscriptionChange", Recipient=TO, ChangedAt=WHEN, SuppressSending=True,
                SuppressionReason="ManualSuppression",
            ),
            ("email.unsubscribed", None),
        ),
        (postmark("Open", Recipient=TO, ReceivedAt=WHEN), ("email.opened", None)),
        (postmark("Click", Recipient=TO, ReceivedAt=WHEN, OriginalLink="https://a"), ("email.clicked", None)),
        (resend("email.delivered"), ("email.delivered", None)),
        (resend("email.delivery_delayed"), ("email.deferred", None)),
        (resend("email.bounced", bounce={"type": "Permanent"}), ("email.bounced", Bounce.HARD)),
        (resend("email.bounced", bounce={"type": "Transient"}), ("email.bounced", Bounce.SOFT)),
        (resend("email.suppressed", suppressed={"reason": "previous_bounce"}), ("email.dropped", None)),
        (resend("email.failed", failed={"reason": "reached_daily_quota"}), ("email.dropped", None)),
        (resend("email.complained"), ("email.complained", None)),
        (resend("email.opened"), ("email.opened", None)),
        (resend("email.clicked", click={"link": "https://a"}), ("email.clicked", None)),
        (ses("Delivery", delivery={"timestamp": WHEN, "recipients": [TO]}), ("email.delivered", None)),
        (
            ses("DeliveryDelay", deliveryDelay={"timestamp": WHEN, "delayedRecipients": [{"emailAddress": TO}]}),
            ("email.deferred", None),
        ),
        (ses("Bounce", bounce=SES_BOUNCE), ("email.bounced", Bounce.HARD)),
        (ses("Bounce", bounce={**SES_BOUNCE, "bounceType": "Transient"}), ("email.bounced", Bounce.SOFT)),
        (
            ses("Complaint", complaint={"timestamp": WHEN, "complainedRecipients": [{"emailAddress": TO}]}),
            ("email.complained", None),
        ),
        (ses("Open", open={"timestamp": WHEN}), ("email.opened", None)),
        (ses("Click", click={"timestamp": WHEN, "link": "https://a"}), ("email.clicked", None)),
    ],
)  # fmt: skip
def test_it_is_told_in_the_same_words(event: Event | None, wanted: tuple[str, Bounce | None]) -> None:
    assert event is not None
    assert isinstance(event.data, EmailNews)
    assert (event.type, event.data.bounce) == wanted
    assert (event.subject, event.recipient, event.occurred_at) == (MAIL, TO, AT)
    assert event.data.url == ("https://a" if event.type == "email.clicked" else None)


@pytest.mark.parametrize(
    "event",
    [
        sendgrid("processed"),
        mailgun("accepted"),
        postmark("Bounce", ID=1, Type="AutoResponder", Email=TO, BouncedAt=WHEN),
        postmark("SubscriptionChange", SuppressSending=False),
        resend("email.sent"),
        ses("Send"),
    ],
)
def test_what_has_no_neutral_word_is_none(event: Event | None) -> None:
    assert event is None


def test_one_that_bounces_at_several_is_told_of_each() -> None:
    people = [{"emailAddress": "a@example.com", "status": "5.1.1"}, {"emailAddress": "b@example.com"}]
    record = {
        "eventType": "Bounce", "mail": {"messageId": MAIL}, "bounce": {**SES_BOUNCE, "bouncedRecipients": people}
    }  # fmt: skip
    first, second = told("ses", envelope(record))
    assert first is not None
    assert second is not None
    assert (first.recipient, second.recipient) == ("a@example.com", "b@example.com")
    assert isinstance(first.data, EmailNews)
    assert first.data.status == "5.1.1"


def test_what_comes_through_the_topic_and_is_no_email_is_handed_on_as_it_is() -> None:
    webhooks = load_provider("ses").webhooks
    assert webhooks is not None
    for message, kind in (("Successfully validated", "Notification"), ("Bye", "UnsubscribeConfirmation")):
        (notice,) = webhooks.split(incoming(json.dumps(envelope(message, kind))))
        assert (notice.key, notice.type, notice.body) == ("n-1", kind, message.encode())
