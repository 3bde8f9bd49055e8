"""A stand-in for a topic of AWS's notification service: it wraps messages, and signs them with a key of its own.

Written from the developer guide, 'Verifying the signatures of Amazon SNS messages' (signature version 2).
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")


class Topic:
    """A topic, whose certificate is said to be at `certificate_url`: whoever verifies has to be given it from here."""

    def __init__(self, arn: str, *, region: str) -> None:
        self.arn = arn
        self.certificate_url = f"https://sns.{region}.amazonaws.com/SimpleNotificationService-stand-in.pem"

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    def certificate(self, now: float) -> bytes:
        """Return the certificate in PEM, good for a day around `now`."""
        at = datetime.fromtimestamp(now, UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - timedelta(days=1))
            .not_valid_after(at + timedelta(days=1))
            .sign(self._key, SHA256())
        )
        return made.public_bytes(Encoding.PEM)

    def wrap(self, message: Any, *, identifier: str, now: float) -> bytes:
        """Return a notification, signed. `message` is what the service tells, and travels as JSON within JSON."""
        fields = {
            "Type": "Notification",
            "MessageId": identifier,
            "TopicArn": self.arn,
            "Message": msgspec.json.encode(message).decode(),
            "Timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "SignatureVersion": "2",
            "SigningCertURL": self.certificate_url,
        }
        signed = "".join(f"{name}\n{fields[name]}\n" for name in _SIGNED if name in fields).encode()
        signature = self._key.sign(signed, padding.PKCS1v15(), SHA256())
        return msgspec.json.encode({**fields, "Signature": b64encode(signature).decode()})
