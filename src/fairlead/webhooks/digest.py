"""Signatures that are digests: RFC 2104, and those that only look like it.

Digests are compared as the text they came in, in constant time: what decodes to the same bytes is not the same text.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Iterator

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.incoming import Incoming
from fairlead.spec.webhook import HmacScheme, Signed
from fairlead.webhooks.freshness import check_time, parse_seconds
from fairlead.webhooks.secrets import Secrets, is_agreed, unusable, values_of

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
#: Signatures of one delivery that are looked at: a vendor sends one for each secret in use.
_MOST_SIGNATURES = 16


def check_digest(scheme: HmacScheme, incoming: Incoming, secrets: Secrets, *, now: float) -> str | None:
    """Raise `WebhookError` unless one of the secrets signed this delivery, and did so just now; return its nonce.

    Where no time is signed, the signature itself stands for the delivery: else it could be sent again, with another id
    beside it, for ever.
    """
    keys = values_of(secrets, scheme.field)
    signed = scheme.find(incoming) if scheme.find else _read(scheme, incoming)
    signed_at = None if signed.timestamp is None else parse_seconds(signed.timestamp)
    if not any(_matches(scheme, key, incoming, signed) for key in keys):
        raise WebhookError.of(WebhookReason.BAD_SIGNATURE)
    if signed_at is None:
        return signed.nonce or signed.signatures[0]
    check_time(signed_at, scheme.tolerance_s, now=now)
    return signed.nonce


def sign_text(scheme: HmacScheme, key: str, message: bytes) -> str:
    """Sign a text as the scheme does, with the first of its algorithms."""
    return scheme.prefix + scheme.encoding.write(hmac.digest(_key(scheme, key), message, scheme.algorithms[0]))


def _matches(scheme: HmacScheme, key: str, incoming: Incoming, signed: Signed) -> bool:
    """Whether this secret made any of the signatures; all of them are compared, whichever fits."""
    messages = signed.messages or (_fill(scheme, incoming, signed.timestamp, key),)
    found = False
    for algorithm in scheme.algorithms:
        prefix = scheme.prefix.replace("{algorithm}", algorithm)
        given = [each.removeprefix(prefix) for each in signed.signatures if each.startswith(prefix)]
        if not given:
            continue
        for message in messages:
            if scheme.is_keyed:
                digest = hmac.digest(_key(scheme, key), message, algorithm)
            else:
                digest = hashlib.new(algorithm, message, usedforsecurity=True).digest()
            found |= is_agreed(scheme.encoding.write(digest), given)
    return found


def _read(scheme: HmacScheme, incoming: Incoming) -> Signed:
    """Read the headers."""
    text = _header(incoming, scheme.header)
    parts = list(_parts(text, scheme.separator))
    timestamp = None
    if scheme.timestamp_prefix is not None:
        times = [
            part.removeprefix(scheme.timestamp_prefix) for part in parts if part.startswith(scheme.timestamp_prefix)
        ]
        if len(times) != 1:
            raise WebhookError.of(WebhookReason.MALFORMED)
        timestamp = times[0]
    elif scheme.timestamp_header is not None:
        timestamp = _header(incoming, scheme.timestamp_header)
    if scheme.id_header is not None:
        _header(incoming, scheme.id_header)
    prefixes = tuple(scheme.prefix.replace("{algorithm}", each) for each in scheme.algorithms)
    signatures = tuple(part for part in parts if part.startswith(prefixes))[:_MOST_SIGNATURES]
    if not signatures:
        raise WebhookError.of(WebhookReason.MALFORMED)
    return Signed(messages=(), signatures=signatures, timestamp=timestamp)


def _parts(text: str, separator: str | None) -> Iterator[str]:
    if separator is None:
        yield text
    else:
        yield from (part.strip() for part in text.split(separator))


def _header(incoming: Incoming, name: str) -> str:
    """Return a header that a signature needs; raise `WebhookError` where it is missing or empty."""
    found = incoming.headers.get(name, "").strip()
    if not found:
        raise WebhookError.of(WebhookReason.UNSIGNED)
    return found


def _fill(scheme: HmacScheme, incoming: Incoming, timestamp: str | None, key: str) -> bytes:
    """Fill the template; a placeholder's value is not searched for others."""
    values = {
        "body": incoming.body,
        "url": incoming.url.encode(errors="replace"),
        "timestamp": (timestamp or "").encode(),
        "id": incoming.headers.get(scheme.id_header, "").encode(errors="replace") if scheme.id_header else b"",
        "secret": key.encode(),
    }
    parts = _PLACEHOLDER.split(scheme.message)
    return b"".join(values[part] if at % 2 else part.encode() for at, part in enumerate(parts))


def _key(scheme: HmacScheme, text: str) -> bytes:
    """Read the key out of the secret that people are shown."""
    text = text.removeprefix(scheme.key_prefix)
    if not scheme.has_base64_key:
        return text.encode()
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise unusable(scheme.field, "base64") from None
    if not key:
        raise unusable(scheme.field, "base64")
    return key
