"""Messages of AWS's topics: whose topic it is, and what of a message is signed."""

from __future__ import annotations

import json

import pytest

from fairlead.errors import WebhookError
from fairlead.spec.topic import find_signature, parse_message
from webhook_trial import incoming

TOPIC = "arn:aws:sns:eu-west-1:1:ours"
MESSAGE = {
    "Type": "Notification", "MessageId": "1", "TopicArn": TOPIC, "Message": "m", "Timestamp": "2026-11-25T00:00:00Z",
    "SignatureVersion": "2", "Signature": "s", "SigningCertURL": "https://c",
}  # fmt: skip
CONFIRMATION = {**MESSAGE, "Token": "t", "SubscribeURL": "https://s"}


def refusal(message: dict[str, str], headers: dict[str, str] | None = None) -> str:
    with pytest.raises(WebhookError) as caught:
        find_signature(incoming(json.dumps(message), headers), (TOPIC,))
    return caught.value.reason


def test_a_message_of_somebody_elses_topic_is_refused() -> None:
    assert find_signature(incoming(json.dumps(MESSAGE)), ("other", TOPIC)).algorithm == "sha256"
    assert refusal({**MESSAGE, "TopicArn": f"{TOPIC}s"}) == "wrong_audience"


@pytest.mark.parametrize("changed", [{"SignatureVersion": "3"}, {"Timestamp": "yesterday"}, {"MessageId": 1}])
def test_what_is_not_as_the_guide_says_is_refused(changed: dict[str, str]) -> None:
    assert refusal({**MESSAGE, **changed}) == "malformed"


def test_without_its_envelope_nothing_is_signed() -> None:
    assert refusal(MESSAGE, {"x-amz-sns-rawdelivery": "true"}) == "unsigned"


def test_what_is_signed_depends_on_the_type_and_only_a_new_subscription_is_agreed_to() -> None:
    plain = find_signature(incoming(json.dumps({**MESSAGE, "Subject": "s"})), (TOPIC,))
    assert plain.messages == (
        f"Message\nm\nMessageId\n1\nSubject\ns\nTimestamp\n2026-11-25T00:00:00Z\nTopicArn\n{TOPIC}\nType\nNotification\n".encode(),
    )
    begins = find_signature(incoming(json.dumps({**CONFIRMATION, "Type": "SubscriptionConfirmation"})), (TOPIC,))
    ends = find_signature(incoming(json.dumps({**CONFIRMATION, "Type": "UnsubscribeConfirmation"})), (TOPIC,))
    assert (begins.confirm_url, ends.confirm_url, plain.confirm_url) == ("https://s", None, None)
    assert all(b"Token\nt\n" in each.messages[0] for each in (begins, ends))
    assert (len(begins.messages), len(ends.messages)) == (1, 2)


def test_the_names_are_those_of_the_guide() -> None:
    message = parse_message(incoming(json.dumps(CONFIRMATION)))
    assert (message.certificate_url, message.subscribe_url, message.token) == ("https://c", "https://s", "t")
