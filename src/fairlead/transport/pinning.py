"""Pins: the public keys that a server may have, beside what the certificate authorities say (RFC 7469 §2.4).

A pin is the base64 of the SHA-256 of a certificate's SubjectPublicKeyInfo, so it survives renewal with the same key.
The handshake itself fails where no pin fits: TLS is not up yet, so no byte of a request can have left. Chain and host
name are verified as ever, and first. Only the server's own certificate is compared: Python 3.11 and 3.12 show no more
of the chain by any public name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ssl
from collections.abc import Callable, Sequence

from fairlead.errors import InvalidSettingError

_PREFIX = "sha256/"


class PinMismatch(ssl.SSLError):  # it is our refusal, seen through the handshake's SSLError
    """The server's key is none of the pinned ones."""

    def __init__(self) -> None:
        super().__init__(1, "its key matches no pin")


def parse_pins(pins: Sequence[str]) -> frozenset[bytes]:
    """Return the digests; raise `InvalidSettingError` for what is no pin, and without a second one in reserve."""
    digests = frozenset(map(_parse, pins))
    if len(digests) < 2:
        raise InvalidSettingError(
            "tls.pins needs at least two different pins.",
            hint="Add the pin of a reserve key that is kept elsewhere: with one alone, a lost key locks you out.",
        )
    return digests


def _parse(pin: str) -> bytes:
    try:
        digest = base64.b64decode(pin.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if not pin.startswith(_PREFIX) or len(digest) != hashlib.sha256().digest_size:
        raise InvalidSettingError(
            "tls.pins holds something that is no pin.",
            hint="Write sha256/ and the base64 of the key's SHA-256; docs/explanation/transport.md shows the command.",
        )
    return digest


def pin_of(certificate: bytes) -> str:
    """Return the pin of a certificate in DER form."""
    return _PREFIX + base64.b64encode(_hasher()(certificate)).decode()


def require_pins(tls: ssl.SSLContext, digests: frozenset[bytes]) -> None:
    """Let handshakes of this context succeed only with a server whose key has one of these digests."""
    digest = _hasher()

    class Pinned(ssl.SSLObject):
        """A TLS connection that ends in its handshake unless the server's key is pinned."""

        def do_handshake(self) -> None:
            """Shake hands, and look at the key."""
            super().do_handshake()
            certificate = self.getpeercert(binary_form=True)
            try:
                is_pinned = certificate is not None and digest(certificate) in digests
            except Exception:  # noqa: BLE001  # a certificate that cannot be read matches no pin, whatever is wrong
                is_pinned = False
            if not is_pinned:
                raise PinMismatch

    tls.sslobject_class = Pinned
    tls.sslsocket_class = _Unpinned


class _Unpinned(ssl.SSLSocket):
    """A blocking TLS socket, which would not look at the pins: nothing of ours makes one, and nothing shall."""

    def do_handshake(self, *_: object, **__: object) -> None:
        """Refuse."""
        raise PinMismatch


def _hasher() -> Callable[[bytes], bytes]:
    """Return what hashes a certificate's SubjectPublicKeyInfo."""
    from cryptography import x509  # noqa: PLC0415  # takes a while to load, and few connections have pins
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  # likewise

    def digest(certificate: bytes) -> bytes:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    return digest
