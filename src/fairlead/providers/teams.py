"""Microsoft Teams: outgoing webhooks, which pass on a message that names them.

Facts: the page 'Create Outgoing Webhooks' and Microsoft's sample (the HMAC is keyed with the token decoded from
base64); read 2026-11-25. An answer must come within five seconds, and is shown as a reply.
"""

from __future__ import annotations

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming, Reply
from fairlead.spec.encoding import Encoding
from fairlead.spec.notice import content_key, instant, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks


class _Conversation(msgspec.Struct, frozen=True):
    id: str | None = None


class _Activity(msgspec.Struct, frozen=True):
    type: str
    id: str | None = None
    timestamp: str | None = None
    conversation: _Conversation | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one message of a delivery."""
    activity: _Activity = parse_json(incoming.body, _Activity)
    return (
        Notice(
            key=activity.id or content_key(incoming.body),
            type=activity.type,
            subject=activity.conversation.id if activity.conversation else None,
            position=position(instant(activity.timestamp)),
            body=incoming.body,
        ),
    )


PROVIDER = Provider(
    id="teams",
    title="Microsoft Teams",
    docs_url="https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook",
    api_version="unversioned",
    base_url="https://graph.microsoft.com/v1.0",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Security token of the outgoing webhook",
            help="Shown once, when the outgoing webhook is made in the team",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(header="authorization", prefix="HMAC ", encoding=Encoding.BASE64, has_base64_key=True),
        secrets=("webhook_secret",),
        split=split,
        acknowledge=Reply(200, (("content-type", "application/json"),), b'{"type":"message","text":"Received."}'),
        source="learn.microsoft.com, 'Create Outgoing Webhooks', read 2026-11-25",
    ),
)
