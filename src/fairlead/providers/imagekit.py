"""ImageKit: what became of uploads, files and transformations.

Signed as the Standard Webhooks are. Facts: ImageKit's OpenAPI description (1.0.0, its section 'webhooks'),
imagekit-nodejs webhooks.test.ts (816822d); read 2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import instant, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import Webhooks, standard_webhooks


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    file_id: str | None = None


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    created_at: str | None = None
    data: _Data = _Data()


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery."""
    event: _Event = parse_json(incoming.body, _Event)
    at = position(instant(event.created_at))
    return (Notice(key=event.id, type=event.type, subject=event.data.file_id, position=at, body=incoming.body),)


PROVIDER = Provider(
    id="imagekit",
    title="ImageKit",
    docs_url="https://imagekit.io/docs/webhooks",
    api_version="v1",
    base_url="https://api.imagekit.io",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Secret of the webhook",
            help="Dashboard, Developer options, Webhooks, the webhook: its secret, whole, as whsec_...",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=standard_webhooks(),
        secrets=("webhook_secret",),
        split=split,
        source="imagekit-nodejs tests/api-resources/webhooks.test.ts (816822d), read 2026-11-25",
    ),
)
