"""The messages of AWS's notification topics: JSON that carries its own signature.

Several of AWS's services send theirs this way. Anybody may have a topic, and AWS signs for all of them: so it is the
topic that says whether a message is meant for us.

Source: the developer guide, 'Verifying the signatures of messages' and 'Message and JSON formats', and AWS's
validator for JavaScript (a6ba4d6), read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import instant, parse_json
from fairlead.spec.webhook import CertificateScheme, Certified

NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
#: Deliveries are repeated for an hour at most (developer guide, 'Message delivery retries', read 2026-11-25).
REPEATED_FOR_S = 3900.0

_ALGORITHMS = {"1": "sha1", "2": "sha256"}
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_OF_CONFIRMATIONS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
#: For the end of a subscription, guide and validator differ: what is used here is part of either.
_NAMES = {NOTIFICATION: (_SIGNED,), "UnsubscribeConfirmation": (_SIGNED_OF_CONFIRMATIONS, _SIGNED)}


class TopicMessage(msgspec.Struct, frozen=True, rename="pascal"):
    """A message as it comes."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature: str
    signature_version: str
    certificate_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)
    token: str | None = None


def parse_message(incoming: Incoming) -> TopicMessage:
    """Read a message; raise `WebhookError` where it is none."""
    if incoming.headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
        raise WebhookError.of(WebhookReason.UNSIGNED, hint="Switch off raw message delivery for this subscription.")
    message: TopicMessage = parse_json(incoming.body, TopicMessage)
    return message


def find_signature(incoming: Incoming, topics: Sequence[str]) -> Certified:
    """Return what was signed; raise `WebhookError` for a message of a topic that is not one of ours."""
    message = parse_message(incoming)
    if message.topic_arn not in topics:
        raise WebhookError.of(WebhookReason.WRONG_AUDIENCE, hint="Compare the topic with the credential topic_arn.")
    algorithm = _ALGORITHMS.get(message.signature_version)
    signed_at = instant(message.timestamp)
    if algorithm is None or signed_at is None:
        raise WebhookError.of(WebhookReason.MALFORMED)
    values = {
        "Message": message.message, "MessageId": message.message_id, "Subject": message.subject,
        "SubscribeURL": message.subscribe_url, "Timestamp": message.timestamp, "Token": message.token,
        "TopicArn": message.topic_arn, "Type": message.type,
    }  # fmt: skip
    return Certified(
        messages=tuple(
            "".join(f"{name}\n{values[name]}\n" for name in names if values[name] is not None).encode()
            for names in _NAMES.get(message.type, (_SIGNED_OF_CONFIRMATIONS,))
        ),
        signature=message.signature,
        certificate_url=message.certificate_url,
        algorithm=algorithm,
        timestamp=signed_at,
        confirm_url=message.subscribe_url if message.type == SUBSCRIPTION else None,
    )


#: How a topic's messages are verified, whichever service sends them. The credential `topic_arn` says which are ours.
TOPIC = CertificateScheme(
    find=find_signature,
    host=r"sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?",
    path=r"/.*\.pem",
    field="topic_arn",
    tolerance_s=REPEATED_FOR_S,
)
