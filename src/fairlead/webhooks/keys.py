"""Signatures by a key of the vendor's, whose public half we were given."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.incoming import Incoming
from fairlead.spec.webhook import PublicKeyScheme
from fairlead.webhooks.freshness import check_time, parse_seconds
from fairlead.webhooks.secrets import Secrets, unusable, values_of

_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")


def check_public_key(scheme: PublicKeyScheme, incoming: Incoming, secrets: Secrets, *, now: float) -> None:
    """Raise `WebhookError` unless the holder of one of the keys signed this delivery, and did so just now."""
    keys = [_load(each, scheme.field) for each in values_of(secrets, scheme.field)]
    given, timestamp = (incoming.headers.get(each, "") for each in (scheme.header, scheme.timestamp_header))
    if not (given and timestamp):
        raise WebhookError.of(WebhookReason.UNSIGNED)
    signature, signed_at = read_base64(given), parse_seconds(timestamp)
    message = timestamp.encode() + incoming.body
    if not any(_holds(key, signature, message) for key in keys):
        raise WebhookError.of(WebhookReason.BAD_SIGNATURE)
    check_time(signed_at, scheme.tolerance_s, now=now)


def read_base64(text: str) -> bytes:
    """Read base64 (RFC 4648 §4) written in the one right way; raise `WebhookError` for any other."""
    try:
        found = b64decode(text, validate=True) if _BASE64.fullmatch(text) else b""
    except ValueError:
        found = b""
    if not found or b64encode(found).decode() != text:  # bits that nobody reads could be anything
        raise WebhookError.of(WebhookReason.MALFORMED)
    return found


def _load(text: str, field: str) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise unusable(field, "a public key in base64")
    return key


def _holds(key: EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
