"""A vendor for tests, as another package would declare it: it signs what it sends, and numbers its events."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import msgspec

from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import parse_json
from fairlead.spec.provider import Bearer, Credential, Provider
from fairlead.spec.webhook import HmacScheme, Webhooks

SECRET = "canary-acme-secret"  # made up


class _One(msgspec.Struct):
    id: str
    type: str
    subject: str | None = None
    sequence: int | None = None


_NEUTRAL = {"order.paid": "payment.succeeded", "order.failed": "payment.failed"}


def split(incoming: Incoming) -> Sequence[Notice]:
    """Read a delivery: a list of events."""
    notices = []
    parts: list[msgspec.Raw] = parse_json(incoming.body, list[msgspec.Raw])
    for raw in parts:
        one: _One = parse_json(raw, _One)
        notices.append(Notice(key=one.id, type=one.type, subject=one.subject, position=one.sequence, body=bytes(raw)))
    return notices


def normalise(kind: str, body: bytes) -> Event | None:
    """Return what an event means."""
    neutral = _NEUTRAL.get(kind)
    one: _One = parse_json(body, _One)
    return Event(type=neutral, subject=one.subject) if neutral else None


def signed(body: bytes, *, at: float, secret: str = SECRET) -> dict[str, str]:
    """Return the headers with which the vendor sends a body."""
    digest = hmac.digest(secret.encode(), f"{at:.0f}.".encode() + body, "sha256").hex()
    return {"content-type": "application/json", "acme-time": f"{at:.0f}", "acme-signature": f"v1={digest}"}


PROVIDER = Provider(
    id="acme",
    title="Acme",
    docs_url="https://acme.example/docs",
    api_version="1",
    base_url="https://api.acme.example",
    credentials=(
        Credential(name="token", label="Token", help="By post.", is_required=False),
        Credential(name="webhook_secret", label="Signing secret", help="By post.", is_required=False),
    ),
    auth=Bearer(),
    capabilities={},
    webhooks=Webhooks(
        scheme=HmacScheme(
            header="acme-signature", prefix="v1=", timestamp_header="acme-time", message="{timestamp}.{body}"
        ),
        secrets=("webhook_secret",),
        split=split,
        normalise=normalise,
        source="made up for tests",
    ),
)
