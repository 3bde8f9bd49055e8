"""Cloudinary: what became of an upload or a change.

The signature is a plain digest with the API secret at its end, and no HMAC. Facts: pycloudinary test_utils.py, utils.py
(85f4b40), the page 'Webhook notifications'; read 2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, parse_json
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks

_VALID_FOR_S = 7200.0  # what Cloudinary's own library takes where nothing else is said


class _Told(msgspec.Struct, frozen=True):
    notification_type: str
    asset_id: str | None = None
    public_id: str | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery; it has no id of its own."""
    told: _Told = parse_json(incoming.body, _Told)
    key, subject = content_key(incoming.body), told.asset_id or told.public_id
    return (Notice(key=key, type=told.notification_type, subject=subject, body=incoming.body),)


PROVIDER = Provider(
    id="cloudinary",
    title="Cloudinary",
    docs_url="https://cloudinary.com/documentation/notifications",
    api_version="v1_1",
    base_url="https://api.cloudinary.com/v1_1",
    credentials=(
        Credential(
            name="webhook_secret",
            label="API secret",
            help="Settings, API Keys: the secret of the key that signs notifications",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="x-cld-signature",
            message="{body}{timestamp}{secret}",
            timestamp_header="x-cld-timestamp",
            algorithms=("sha1", "sha256"),
            is_keyed=False,
            tolerance_s=_VALID_FOR_S,
        ),
        secrets=("webhook_secret",),
        split=split,
        source="pycloudinary test/test_utils.py (85f4b40), read 2026-11-25",
    ),
)
