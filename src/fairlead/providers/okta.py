"""Okta: event hooks.

Nothing is signed: a value of our choice comes in the `Authorization` header. Facts: the page 'Event hooks', support
article 'Unable to verify event hook' (the one-time question); read 2026-11-25. An answer must come within three
seconds.
"""

from __future__ import annotations

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, instant, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import Challenge, TokenScheme, Webhooks


class _Target(msgspec.Struct, frozen=True):
    id: str | None = None


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    event_type: str
    uuid: str | None = None
    published: str | None = None
    target: tuple[_Target, ...] | None = None


class _Data(msgspec.Struct, frozen=True):
    events: tuple[msgspec.Raw, ...] = ()


class _Delivery(msgspec.Struct, frozen=True):
    data: _Data


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the events of a delivery."""
    delivery: _Delivery = parse_json(incoming.body, _Delivery)
    return tuple(map(_notice, delivery.data.events))


def _notice(part: msgspec.Raw) -> Notice:
    event: _Event = parse_json(part, _Event)
    return Notice(
        key=event.uuid or content_key(part),
        type=event.event_type,
        subject=event.target[0].id if event.target else None,
        position=position(instant(event.published)),
        body=bytes(part),
    )


PROVIDER = Provider(
    id="okta",
    title="Okta",
    docs_url="https://developer.okta.com/docs/concepts/event-hooks/",
    api_version="v1",
    base_url="https://okta.invalid",  # each organisation has its own: `base_url` of the connection says it
    credentials=(
        Credential(
            name="webhook_token",
            label="Authentication secret of the event hook",
            help="Choose a long one at random, and set it as the hook's 'Authentication secret', for 'Authorization'",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=TokenScheme(
            header="authorization",
            challenge=Challenge(header="x-okta-verification-challenge", answer_field="verification"),
        ),
        secrets=("webhook_token",),
        split=split,
        source="support.okta.com, 'Unable to verify event hook', and the page 'Event hooks', read 2026-11-25",
    ),
)
