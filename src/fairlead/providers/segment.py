"""Segment: events that a webhook destination hands on.

Of a batch, only the first event is signed: a batch of several is refused, as nobody can tell who wrote the others.
Facts: segment-docs, the pages on the webhook destinations (747b35d), support article 'How Segment computes x-signature
for batched webhooks'; read 2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, instant, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Signed, Webhooks


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    """What the destination sends unless its mapping says otherwise."""

    type: str = "event"
    message_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    timestamp: str | None = None


def _only_event(body: bytes) -> bytes:
    """Return the event of a delivery, which may come as a list of one."""
    if not body.startswith(b"["):
        return body
    events: list[msgspec.Raw] = parse_json(body, list[msgspec.Raw])
    if len(events) != 1:
        raise WebhookError.of(WebhookReason.UNSIGNED, hint="Switch off batching in the destination's mapping.")
    return bytes(events[0])


def find_signature(incoming: Incoming) -> Signed:
    """Return what was signed: the one event."""
    signature = incoming.headers.get("x-signature")
    if not signature:
        raise WebhookError.of(WebhookReason.UNSIGNED)
    return Signed(messages=(_only_event(incoming.body),), signatures=(signature,))


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery."""
    body = _only_event(incoming.body)
    event: _Event = parse_json(body, _Event)
    return (
        Notice(
            key=event.message_id or content_key(body),
            type=event.type,
            subject=event.user_id or event.anonymous_id,
            position=position(instant(event.timestamp)),
            body=body,
        ),
    )


PROVIDER = Provider(
    id="segment",
    title="Segment",
    docs_url="https://segment.com/docs/connections/destinations/catalog/actions-webhook/",
    api_version="v1",
    base_url="https://api.segment.io/v1",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Shared secret of the destination",
            help="Choose one, and set it in the destination's settings as 'Shared Secret'",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(find=find_signature, algorithms=("sha1",)),
        secrets=("webhook_secret",),
        split=split,
        source="segment-docs, 'Webhooks (Actions) Destination' (747b35d), read 2026-11-25",
    ),
)
