"""Hand events to an application over HTTP, signed by Standard Webhooks (standardwebhooks.com, version 1.0)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from fairlead.config.settings import Settings
from fairlead.config.sources import Sources
from fairlead.errors import InvalidSettingError
from fairlead.model.outcome import Effect
from fairlead.model.ports import Clock
from fairlead.model.secret import Secret
from fairlead.runtime.handlers import PATTERNS, Handler, Received, is_pattern
from fairlead.runtime.http import HttpFacade
from fairlead.vault.references import resolve

_PREFIX = "whsec_"


def build_forwards(
    settings: Settings,
    *,
    source: str,
    sources: Sources,
    http: Callable[[str], HttpFacade],
    clock: Clock,
) -> tuple[Handler, ...]:
    """Return the handlers that the settings' forwards ask for; raise `ConfigError` for one that cannot work."""
    found: dict[str, Handler] = {}
    for at, wanted in enumerate(settings.webhooks.forwards):
        where = f"{source}: webhooks.forwards[{at}]"
        if wanted.connection not in settings.connections:
            raise InvalidSettingError(
                f"{where}.connection: there is no connection {wanted.connection!r}.",
                hint=f"There are: {', '.join(settings.connections) or 'none'}.",
            )
        secret = resolve(wanted.secret, sources, where=f"{where}.secret", is_secret=True) if wanted.secret else None
        key = _key(secret, f"{where}.secret") if secret else None
        act = partial(_forward, connection=wanted.connection, path=wanted.path, key=key, http=http, clock=clock)
        for pattern in wanted.events:
            name = f"forward {pattern} to {wanted.connection}{wanted.path}"
            if name in found or not is_pattern(pattern):
                what = "is there twice" if name in found else "is no pattern of events"
                raise InvalidSettingError(f"{where}.events: {pattern!r} {what}.", hint=PATTERNS)
            found[name] = Handler(name=name, pattern=pattern, act=act, skips_late=False, wants_transaction=False)
    return tuple(found.values())


async def _forward(
    event: Received,
    *,
    connection: str,
    path: str,
    key: Secret | None,
    http: Callable[[str], HttpFacade],
    clock: Clock,
) -> None:
    """Send one event; raise `FairleadError` unless the application answers with 2xx."""
    body = msgspec.json.encode(envelope(event))
    timestamp = str(int(clock.wall()))
    headers = {
        "content-type": "application/json",
        "webhook-id": event.idempotency_key,
        "webhook-timestamp": timestamp,
    }
    if key is not None:
        headers["webhook-signature"] = sign(event.idempotency_key, timestamp, body, key)
    # It may come twice, and says by its id that it does.
    await http(connection).request("POST", path, body=body, headers=headers, effect=Effect.IDEMPOTENT)


def envelope(event: Received) -> dict[str, Any]:
    """Return what an application is told of an event; `original` is what the vendor sent, as text."""
    occurred_at = event.neutral.occurred_at if event.neutral else None
    at = datetime.fromtimestamp(event.received_at if occurred_at is None else occurred_at, UTC)
    return {
        "type": event.neutral.type if event.neutral else f"{event.provider}:{event.type}",
        "timestamp": at.isoformat(),
        "data": {
            "connection": event.connection,
            "provider": event.provider,
            "vendor_type": event.type,
            "key": event.key,
            "is_late": event.is_late,
            "neutral": event.neutral,
            "original": event.body.decode("utf-8", "replace"),
        },
    }


def sign(identifier: str, timestamp: str, body: bytes, key: Secret) -> str:
    """Return the value of `webhook-signature`."""
    message = b".".join((identifier.encode(), timestamp.encode(), body))
    digest = hmac.digest(base64.b64decode(key.reveal()), message, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: Secret, where: str) -> Secret:
    """Return the key, still in base64, that a secret has behind its prefix."""
    text = secret.reveal().removeprefix(_PREFIX)
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        size = 0
    if size < 24:  # as the specification has it
        raise InvalidSettingError(
            f"{where} is no secret of Standard Webhooks.",
            hint="Make one: `whsec_` and 24 to 64 random bytes in base64.",
        )
    return Secret(text)
