"""Signatures by a key whose certificate the vendor publishes.

The address of the certificate stands in the delivery: it is believed only where it is the vendor's own, over https.
That is what the trust rests on; the chain of the certificate is not followed.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import Certificate, load_pem_x509_certificate

from fairlead.errors import WebhookError, WebhookReason
from fairlead.model.message import Response
from fairlead.spec.webhook import Certified
from fairlead.webhooks.freshness import check_time
from fairlead.webhooks.keys import read_base64

_HASHES: dict[str, HashAlgorithm] = {"sha256": SHA256(), "sha1": SHA1()}  # noqa: S303  # what older subscriptions have
_LARGEST_CERTIFICATE = 64 * 1024
_LEAST_BITS, _MOST_BITS = 2048, 8192


def check_address(url: str, *, host: str, path: str = ".*") -> None:
    """Raise `WebhookError` unless an address is the vendor's own."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_theirs = (
        parts.scheme == "https"
        and port in {None, 443}
        and "@" not in parts.netloc
        and re.fullmatch(host, parts.hostname or "") is not None
        and re.fullmatch(path, parts.path) is not None
        and all("!" <= char <= "~" and char != "\\" for char in url)
    )
    if not is_theirs:
        raise WebhookError.of(WebhookReason.WRONG_HOST)


def check_certified(certified: Certified, answer: Response, *, tolerance_s: float | None, now: float) -> None:
    """Raise `WebhookError` unless the holder of the fetched certificate signed the delivery."""
    signature = read_base64(certified.signature)
    key = _key(_load(answer), now=now)
    if not any(_holds(key, signature, each, _HASHES[certified.algorithm]) for each in certified.messages):
        raise WebhookError.of(WebhookReason.BAD_SIGNATURE)
    if certified.timestamp is not None:
        check_time(certified.timestamp, tolerance_s, now=now)


def _load(answer: Response) -> Certificate:
    """Read the first certificate of a PEM file: it is the signer's own."""
    if answer.status != 200 or len(answer.body) > _LARGEST_CERTIFICATE:
        raise WebhookError.of(WebhookReason.BAD_CERTIFICATE, hint=f"Its address answers {answer.status}.")
    try:
        return load_pem_x509_certificate(answer.body)
    except ValueError:
        raise WebhookError.of(WebhookReason.BAD_CERTIFICATE) from None


def _key(certificate: Certificate, *, now: float) -> RSAPublicKey:
    """Return its key, where it is valid now and strong enough."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise WebhookError.of(WebhookReason.BAD_CERTIFICATE) from None
    is_valid = certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp()
    if not (is_valid and isinstance(key, RSAPublicKey) and _LEAST_BITS <= key.key_size <= _MOST_BITS):
        raise WebhookError.of(WebhookReason.BAD_CERTIFICATE)
    return key


def _holds(key: RSAPublicKey, signature: bytes, message: bytes, algorithm: HashAlgorithm) -> bool:
    try:
        key.verify(signature, message, PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True
