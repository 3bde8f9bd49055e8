"""GitHub: what it sends of its own accord.

The signature is over the body alone: neither the id nor the type of a delivery is signed, nor any time. Facts:
octokit's webhooks-methods (da0cc1c) and the page 'Validating webhook deliveries', read 2026-11-25.
"""

from __future__ import annotations

import msgspec

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import parse_form, parse_json
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks

_FORM = "application/x-www-form-urlencoded"


class _Repository(msgspec.Struct, frozen=True):
    full_name: str | None = None


class _Payload(msgspec.Struct, frozen=True):
    action: str | None = None
    repository: _Repository | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery; its type is GitHub's, with the action, as `issues.opened`."""
    key, kind = (incoming.headers.get(each) for each in ("x-github-delivery", "x-github-event"))
    if not (key and kind):
        raise WebhookError.of(WebhookReason.MALFORMED)
    is_form = incoming.headers.get("content-type", "").startswith(_FORM)
    body = parse_form(incoming.body).get("payload", "").encode() if is_form else incoming.body
    payload: _Payload = parse_json(body, _Payload)
    return (
        Notice(
            key=key,
            type=f"{kind}.{payload.action}" if payload.action else kind,
            subject=payload.repository.full_name if payload.repository else None,
            body=body,
        ),
    )


PROVIDER = Provider(
    id="github",
    title="GitHub",
    docs_url="https://docs.github.com/en/webhooks",
    api_version="2022-11-28",
    base_url="https://api.github.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Secret of the webhook",
            help="The one you chose where the webhook was made: settings of the repository or organisation, Webhooks",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(header="x-hub-signature-256", prefix="sha256="),
        secrets=("webhook_secret",),
        split=split,
        source="octokit/webhooks-methods.js test/verify.test.ts (da0cc1c), read 2026-11-25",
    ),
)
