"""Meta (Facebook, Instagram, WhatsApp): changes of what an app is subscribed to.

The signature is over the bytes as they come: Meta escapes what is not ASCII, and so another way to write the same JSON
does not fit. Changes have no id of their own. Facts: the page 'Getting started' of the Graph API's webhooks, read
2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, parse_json
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import Challenge, HmacScheme, Webhooks

_FIRST_MILLISECONDS = 100_000_000_000  # as seconds, this would be the year 5138


class _Change(msgspec.Struct, frozen=True):
    field: str


class _Entry(msgspec.Struct, frozen=True):
    id: str
    time: int | None = None
    changes: tuple[msgspec.Raw, ...] = ()
    messaging: tuple[msgspec.Raw, ...] = ()

    @property
    def at(self) -> int | None:
        """The time in microseconds: pages tell it in seconds, messages in milliseconds."""
        if self.time is None:
            return None
        return self.time * (1000 if self.time >= _FIRST_MILLISECONDS else 1_000_000)


class _Payload(msgspec.Struct, frozen=True):
    object: str
    entry: tuple[_Entry, ...] = ()


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the changes of a delivery; the type of each is the object and the field, as `page.feed`."""
    payload: _Payload = parse_json(incoming.body, _Payload)
    return tuple(notice for entry in payload.entry for notice in _notices(payload.object, entry))


def _notices(thing: str, entry: _Entry) -> Iterator[Notice]:
    fields = [(parse_json(part, _Change).field, part) for part in entry.changes]  # type: ignore[var-annotated]
    for field, part in [*fields, *(("messaging", part) for part in entry.messaging)]:
        key = f"{entry.id}:{entry.time}:{content_key(part)}"
        yield Notice(key=key, type=f"{thing}.{field}", subject=entry.id, position=entry.at, body=bytes(part))


PROVIDER = Provider(
    id="facebook",
    title="Meta (Facebook)",
    docs_url="https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
    api_version="that of the app",
    base_url="https://graph.facebook.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="App secret",
            help="App settings, Basic: 'App secret'",
            is_required=False,
        ),
        Credential(
            name="webhook_verify_token",
            label="Verify token",
            help="Choose one at random, and give it to Meta where the callback URL is set",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="x-hub-signature-256",
            prefix="sha256=",
            challenge=Challenge(
                parameter="hub.challenge",
                only_where=(("hub.mode", "subscribe"),),
                token=("hub.verify_token", "webhook_verify_token"),
            ),
        ),
        secrets=("webhook_secret", "webhook_verify_token"),
        split=split,
        source="developers.facebook.com, 'Getting started' with webhooks, read 2026-11-25",
    ),
)
