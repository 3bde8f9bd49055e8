"""Vonage: what became of a message, and messages that came.

The Messages API signs by a JSON Web Token over the body's digest, the older SMS API by an HMAC over the parameters;
that API's plain MD5 is not taken, as it is no HMAC. Facts: vonage-python-sdk test_auth.py, test_verify_jwt.py
(b308cb1), the pages 'Signed webhooks' and 'Messages API status callbacks', the OpenAPI description of Messages, a list
of what receipts hold (worldindata.com, 'Sms Delivery Receipt API'); read 2026-11-25.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from fairlead.capabilities.news.messages import MessageNews
from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import content_key, instant, parse_form, parse_json, position
from fairlead.spec.provider import Credential, Provider
from fairlead.spec.webhook import EitherScheme, HmacScheme, JwtScheme, Signed, Webhooks

_TYPES = {
    "submitted": "message.sent",
    "delivered": "message.delivered",
    "read": "message.read",
    "rejected": "message.failed",
    "undeliverable": "message.failed",
    "accepted": "message.sent",
    "buffered": "message.sent",
    "failed": "message.failed",
    "expired": "message.failed",
    "received": "message.received",
}


class _Problem(msgspec.Struct, frozen=True):
    title: int | str | None = None


class _Message(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """A status or a message of the Messages API."""

    message_uuid: str
    status: str | None = None
    timestamp: str | None = None
    to: str | None = None
    sender: str | None = None
    channel: str | None = None
    text: str | None = None
    error: _Problem | None = None


def _parameters(incoming: Incoming) -> dict[str, str]:
    """Return the parameters of the SMS API: in the query, in a form, or in JSON."""
    if incoming.body.startswith(b"{"):
        found: dict[str, Any] = parse_json(incoming.body, dict[str, Any])
        return {name: str(value) for name, value in found.items()}
    return parse_form(incoming.body or urlsplit(incoming.url).query.encode())


def find_signature(incoming: Incoming) -> Signed:
    """Return what was signed: every parameter in the order of names, `&` and `=` within a value made `_`."""
    parameters = _parameters(incoming)
    signature, timestamp = parameters.pop("sig", ""), parameters.get("timestamp", "")
    if not (signature and timestamp):
        raise WebhookError.of(WebhookReason.UNSIGNED)
    pairs = ((name, value.replace("&", "_").replace("=", "_")) for name, value in sorted(parameters.items()))
    message = "".join(f"&{name}={value}" for name, value in pairs)
    return Signed(messages=(message.encode(),), signatures=(signature,), timestamp=timestamp)


def split(incoming: Incoming) -> tuple[Notice, ...]:
    """Return the one event of a delivery: its type is the status, or `received`."""
    if "authorization" not in incoming.headers:
        return (_of_sms(incoming),)
    message: _Message = parse_json(incoming.body, _Message)
    status = message.status or "received"
    return (
        Notice(
            key=f"{message.message_uuid}:{status}",
            type=status,
            subject=message.message_uuid,
            position=position(instant(message.timestamp)),
            body=incoming.body,
        ),
    )


def _of_sms(incoming: Incoming) -> Notice:
    parameters = _parameters(incoming)
    subject, status = parameters.get("messageId"), parameters.get("status", "received")
    body = msgspec.json.encode(parameters)
    return Notice(key=f"{subject}:{status}" if subject else content_key(body), type=status, subject=subject, body=body)


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    if kind not in _TYPES:
        return None
    if b'"message_uuid"' not in body:
        return _normalise_sms(kind, parse_json(body, dict[str, str]))
    message: _Message = parse_json(body, _Message)
    code = message.error.title if message.error else None
    data = MessageNews(
        channel=message.channel,
        sender=message.sender,
        text=message.text if kind == "received" else None,
        error=None if code is None else str(code),
    )
    return Event(
        type=_TYPES[kind],
        occurred_at=instant(message.timestamp),
        subject=message.message_uuid,
        recipient=message.to,
        data=data,
    )


def _normalise_sms(kind: str, parameters: dict[str, str]) -> Event:
    """Read the parameters of the SMS API.

    A receipt names as `to` who sent, and as `msisdn` who received; a message that came, the other way round.
    """
    ours, theirs = parameters.get("to"), parameters.get("msisdn")
    is_ours = kind != "received"
    error = parameters.get("err-code")
    data = MessageNews(
        channel="sms",
        sender=ours if is_ours else theirs,
        text=None if is_ours else parameters.get("text"),
        error=None if error == "0" else error,
    )
    subject = parameters.get("messageId")
    return Event(type=_TYPES[kind], subject=subject, recipient=theirs if is_ours else ours, data=data)


PROVIDER = Provider(
    id="vonage",
    title="Vonage",
    docs_url="https://developer.vonage.com/en/getting-started/concepts/webhooks",
    api_version="v1",
    base_url="https://api.nexmo.com",
    credentials=(
        Credential(
            name="webhook_secret",
            label="Signature secret of the account",
            help="Dashboard, API settings: 'Signature secret'; choose there a method that is an HMAC",
            is_required=False,
        ),
    ),
    auth=(),
    capabilities={},
    webhooks=Webhooks(
        scheme=EitherScheme(
            by_header=("authorization", JwtScheme(hash_claim="payload_hash")),
            otherwise=HmacScheme(find=find_signature, algorithms=("sha256", "sha512", "sha1", "md5")),
        ),
        secrets=("webhook_secret",),
        split=split,
        normalise=normalise,
        source="vonage-python-sdk test_auth.py and test_verify_jwt.py (b308cb1), read 2026-11-25",
    ),
)
