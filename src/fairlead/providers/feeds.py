"""Feeds: what a hub pushes, by WebSub (https://www.w3.org/TR/websub/, W3C Recommendation of 2018, §5.3, §7, §8).

A subscription made without a secret is not signed, and is refused here. Read 2026-11-25.
"""

from __future__ import annotations

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import Challenge, HmacScheme, Webhooks


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the feed as it now is: RSS, Atom, JSON or whatever the topic is; the same content is the same event."""
    return (Notice(key=content_key(incoming.body), type="updated", body=incoming.body),)


PROVIDER = Provider(
    id="feeds",
    title="Feeds (WebSub)",
    docs_url="https://www.w3.org/TR/websub/",
    api_version="W3C Recommendation 2018-01-23",
    base_url="https://hub.invalid",  # each feed names its own: `base_url` of the connection says it
    credentials=(
        Credential(
            name="webhook_secret",
            label="Secret of the subscription",
            help="Choose one of less than 200 bytes at random, and give it to the hub as hub.secret",
            is_required=False,
        ),
        Credential(
            name="webhook_topic",
            label="Address of the feed",
            help="What is subscribed to. The hub asks whether we mean it: to all other addresses the answer is no",
            is_secret=False,
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="x-hub-signature",
            prefix="{algorithm}=",
            algorithms=("sha512", "sha384", "sha256", "sha1"),
            challenge=Challenge(parameter="hub.challenge", topic=("hub.topic", "webhook_topic")),
        ),
        secrets=("webhook_secret", "webhook_topic"),
        split=split,
        source="W3C Recommendation WebSub, §5.3, §7 and §8, read 2026-11-25",
    ),
)
