"""X: what happens to the accounts and posts that an app follows.

To prove that the address is ours, X has us sign a text of its choice with the secret that also signs deliveries. What
could be a delivery is therefore never signed: see `fairlead.webhooks.challenge`. Facts: xdevplatform/docs
x-api/webhooks/quickstart.mdx (2871328), X's OpenAPI description (2.167); read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.encoding import Encoding
from fairlead.spec.notice import content_key, parse_json
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import Challenge, HmacScheme, Webhooks


class _Data(msgspec.Struct, frozen=True):
    event_uuid: str | None = None
    event_type: str | None = None
    id: str | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the events of a delivery: one of the new form, or the lists of the older one, each under its name."""
    parts: dict[str, msgspec.Raw] = parse_json(incoming.body, dict[str, msgspec.Raw])
    if "data" in parts:
        data: _Data = parse_json(parts["data"], _Data)
        key = data.event_uuid or content_key(incoming.body)
        return (Notice(key=key, type=data.event_type or "post", subject=data.id, body=incoming.body),)
    whose: str = parse_json(parts["for_user_id"], str) if "for_user_id" in parts else ""
    return tuple(_of_lists(parts, whose))


def _of_lists(parts: dict[str, msgspec.Raw], whose: str) -> Iterator[Notice]:
    for name, part in parts.items():
        if not bytes(part).startswith(b"["):
            continue
        events: list[msgspec.Raw] = parse_json(part, list[msgspec.Raw])
        for event in events:
            key = f"{whose}:{name}:{content_key(event)}"
            yield Notice(key=key, type=name, subject=whose or None, body=bytes(event))


PROVIDER = Provider(
    id="x",
    title="X",
    docs_url="https://docs.x.com/x-api/webhooks/introduction",
    api_version="2",
    base_url="https://api.x.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Consumer secret of the app",
            help="Developer console, the app, Keys and tokens: the secret of the consumer key",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="x-twitter-webhooks-signature",
            prefix="sha256=",
            encoding=Encoding.BASE64,
            challenge=Challenge(parameter="crc_token", answer_field="response_token", is_signed=True),
        ),
        secrets=("webhook_secret",),
        split=split,
        source="xdevplatform/docs x-api/webhooks/quickstart.mdx (2871328), read 2026-11-25",
    ),
)
