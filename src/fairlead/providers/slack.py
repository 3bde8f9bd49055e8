"""Slack: events, commands and interactions.

Facts: python-slack-sdk test_signature_verifier.py (ae87985), the common event wrapper's schema, the page 'Verifying
requests from Slack'; read 2026-11-25. An answer must come within three seconds.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec

from fairlead.model.event import Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, parse_form, parse_json
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import Challenge, HmacScheme, Webhooks


class _Inner(msgspec.Struct, frozen=True):
    type: str
    subtype: str | None = None
    event_ts: str | None = None
    channel: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def channel_id(self) -> str | None:
        """The channel: an id, or in the events that are about one an object with its id."""
        text = bytes(self.channel)
        if text.startswith(b'"'):
            found: str = parse_json(text, str)
            return found
        if text.startswith(b"{"):
            thing: _Id = parse_json(text, _Id)
            return thing.id
        return None


class _Id(msgspec.Struct, frozen=True):
    id: str | None = None


class _Wrapper(msgspec.Struct, frozen=True):
    type: str
    event_id: str | None = None
    event: _Inner | None = None


class _Interaction(msgspec.Struct, frozen=True):
    type: str
    trigger_id: str | None = None
    channel: _Id | None = None


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery: an event in JSON, an interaction or a command in a form."""
    if not incoming.body.startswith(b"{"):
        return (_from_form(incoming.body),)
    wrapper: _Wrapper = parse_json(incoming.body, _Wrapper)
    event = wrapper.event
    return (
        Notice(
            key=wrapper.event_id or content_key(incoming.body),
            type=".".join(filter(None, (event.type, event.subtype))) if event else wrapper.type,
            subject=event.channel_id if event else None,
            position=_microseconds(event.event_ts) if event else None,
            body=incoming.body,
        ),
    )


def _from_form(body: bytes) -> Notice:
    form = parse_form(body)
    if "payload" not in form:
        key = form.get("trigger_id") or content_key(body)
        return Notice(key=key, type="command", subject=form.get("channel_id"), body=body)
    payload = form["payload"].encode()
    told: _Interaction = parse_json(payload, _Interaction)
    subject = told.channel.id if told.channel else None
    return Notice(key=told.trigger_id or content_key(payload), type=told.type, subject=subject, body=payload)


def _microseconds(text: str | None) -> int | None:
    """Read a timestamp as Slack writes it: seconds with six decimals."""
    try:
        return int(Decimal(text) * 1_000_000) if text else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


PROVIDER = Provider(
    id="slack",
    title="Slack",
    docs_url="https://docs.slack.dev/authentication/verifying-requests-from-slack",
    api_version="unversioned",
    base_url="https://slack.com/api",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Signing secret of the app",
            help="api.slack.com/apps, the app, Basic Information: 'Signing Secret'",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="x-slack-signature",
            message="v0:{timestamp}:{body}",
            prefix="v0=",
            timestamp_header="x-slack-request-timestamp",
            challenge=Challenge(json_field="challenge", only_where=(("type", "url_verification"),)),
        ),
        secrets=("webhook_secret",),
        split=split,
        source="python-slack-sdk tests/slack_sdk/signature (ae87985), read 2026-11-25",
    ),
)
