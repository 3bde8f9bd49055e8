"""Mastodon: what happens on a server, told to its administrators.

Facts: mastodon/documentation content/en/admin/webhooks.md (2903485), read 2026-11-25. With a payload template of one's
own, the fields that are read here must be kept.
"""

from __future__ import annotations

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, instant, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks


class _Object(msgspec.Struct, frozen=True):
    id: str | None = None


class _Event(msgspec.Struct, frozen=True):
    event: str
    created_at: str | None = None
    object: _Object = _Object()


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery: the object and the time tell repeats apart, as it has no id."""
    event: _Event = parse_json(incoming.body, _Event)
    whose, at = event.object.id, event.created_at
    key = f"{event.event}:{whose}:{at}" if whose and at else content_key(incoming.body)
    return (Notice(key=key, type=event.event, subject=whose, position=position(instant(at)), body=incoming.body),)


PROVIDER = Provider(
    id="mastodon",
    title="Mastodon",
    docs_url="https://docs.joinmastodon.org/admin/webhooks/",
    api_version="v1",
    base_url="https://mastodon.social",  # the largest server; `base_url` of the connection names another
    credentials=(
        Credential(
            name="webhook_secret",
            label="Signing secret of the webhook",
            help="Administration, Webhooks, the webhook: 'Signing secret'",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(header="x-hub-signature", prefix="sha256="),
        secrets=("webhook_secret",),
        split=split,
        source="mastodon/documentation content/en/admin/webhooks.md (2903485), read 2026-11-25",
    ),
)
