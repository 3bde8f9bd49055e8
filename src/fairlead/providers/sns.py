"""Amazon SNS: the messages of a topic.

The message, its signature and its address are those of `fairlead.spec.topic`, where the facts are named.
"""

from __future__ import annotations

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import instant, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.topic import TOPIC, parse_message
from fairlead.spec.webhook import Webhooks


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the message of a delivery: what was published is under its `Message`."""
    message = parse_message(incoming)
    return (
        Notice(
            key=message.message_id,
            type=message.type,
            subject=message.topic_arn,
            position=position(instant(message.timestamp)),
            body=incoming.body,
        ),
    )


PROVIDER = Provider(
    id="sns",
    title="Amazon SNS",
    docs_url="https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html",
    api_version="2010-03-31",
    base_url="https://sns.us-east-1.amazonaws.com",
    credentials=(
        Credential(
            name="topic_arn",
            label="ARN of the topic",
            help="What is subscribed to. Messages of any other topic are refused: AWS signs everybody's",
            is_secret=False,
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=TOPIC,
        secrets=("topic_arn",),
        split=split,
        source="AWS's developer guide and validator for JavaScript (a6ba4d6), read 2026-11-25",
    ),
)
