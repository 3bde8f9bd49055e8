"""Deliveries that carry a JSON Web Token (RFC 7515, RFC 7519), signed with a secret that both sides know."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.incoming import Incoming
from fairlead.spec.notice import parse_json
from fairlead.spec.webhook import JwtScheme
from fairlead.webhooks.freshness import check_time
from fairlead.webhooks.secrets import Secrets, is_agreed, values_of

_TOKEN = re.compile(r"[Bb]earer ([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{1,8192})\.([A-Za-z0-9_-]{43})")


def check_jwt(scheme: JwtScheme, incoming: Incoming, secrets: Secrets, *, now: float) -> str | None:
    """Raise `WebhookError` unless the token is signed with one of the secrets, is of now, and is for this body.

    Returns its nonce, where it has one.
    """
    keys = values_of(secrets, scheme.field)
    given = incoming.headers.get("authorization", "")
    if not given:
        raise WebhookError.of(WebhookReason.UNSIGNED)
    token = _TOKEN.fullmatch(given)
    if token is None or _decode(token[1]).get("alg") != "HS256":  # no other is ever taken, whatever the token says
        raise WebhookError.of(WebhookReason.MALFORMED)
    message = f"{token[1]}.{token[2]}".encode()
    wanted = (urlsafe_b64encode(hmac.digest(key.encode(), message, "sha256")).decode().rstrip("=") for key in keys)
    if not is_agreed(token[3], wanted):
        raise WebhookError.of(WebhookReason.BAD_SIGNATURE)
    claims = _decode(token[2])
    _check_body(claims.get(scheme.hash_claim), incoming.body)
    _check_times(claims, scheme.tolerance_s, now=now)
    nonce = claims.get(scheme.nonce_claim)
    return nonce if isinstance(nonce, str) else None


def _check_body(given: Any, body: bytes) -> None:
    """Raise where the token is for another body, or for none while there is one."""
    if given is None and not body:
        return
    if not isinstance(given, str):
        raise WebhookError.of(WebhookReason.UNSIGNED)
    if not is_agreed(given, [hashlib.sha256(body).hexdigest()]):
        raise WebhookError.of(WebhookReason.BAD_SIGNATURE)


def _check_times(claims: dict[str, Any], tolerance_s: float | None, *, now: float) -> None:
    """Raise where the token was not made just now, or says itself that its time is over or yet to come."""
    check_time(_seconds(claims, "iat"), tolerance_s, now=now)
    if "exp" in claims and _seconds(claims, "exp") <= now:
        raise WebhookError.of(WebhookReason.STALE)
    if "nbf" in claims and _seconds(claims, "nbf") > now + (tolerance_s or 0.0):
        raise WebhookError.of(WebhookReason.FUTURE)


def _seconds(claims: dict[str, Any], name: str) -> float:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise WebhookError.of(WebhookReason.MALFORMED)
    return found


def _decode(part: str) -> dict[str, Any]:
    try:
        text = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise WebhookError.of(WebhookReason.MALFORMED) from None
    return parse_json(text, dict[str, Any])
