"""Measure what it takes to tell a vendor's delivery from somebody else's: the CPU time of one verification."""

from __future__ import annotations

import hmac
import timeit
from base64 import b64encode
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding as Form
from cryptography.hazmat.primitives.serialization import PublicFormat

from fairlead.errors import WebhookError
from fairlead.model.headers import Headers
from fairlead.model.incoming import Incoming
from fairlead.model.secret import Secret
from fairlead.spec.webhook import HmacScheme, PublicKeyScheme, Scheme
from fairlead.webhooks.verify import verify
from harness import Limit, Sheet

ROUNDS, CALLS = 11, 2000
NOW = 1_700_000_000
BODY = b'{"id": "evt_1", "type": "payment.succeeded", "data": "' + b"x" * 1900 + b'"}'
LISTED = HmacScheme(
    header="x-signature", message="{timestamp}.{body}", prefix="v1=", separator=",", timestamp_prefix="t="
)
KEYED = PublicKeyScheme(header="x-signature", timestamp_header="x-timestamp")


def cost(sheet: Sheet, title: str, scheme: Scheme, headers: Mapping[str, str], secret: tuple[str, str]) -> None:
    """Print what it takes to verify one delivery of 2 KB, and what it takes to refuse a changed one."""
    secrets = {secret[0]: [Secret(secret[1])]}
    good = Incoming("POST", "https://app.example/hooks", Headers(headers.items()), BODY)
    changed = Incoming("POST", good.url, good.headers, BODY.replace(b"x", b"y"))

    def judge(delivery: Incoming) -> bool:
        try:
            next(verify(scheme, delivery, secrets, now=NOW))
        except StopIteration:
            return True
        except WebhookError:
            return False
        return False

    if not judge(good) or judge(changed):
        raise SystemExit(f"{title}: what is measured does not work.")
    calls, rounds = sheet.pick(CALLS, quick=10), sheet.pick(ROUNDS, quick=1)
    for what, delivery in (("accepted", good), ("refused", changed)):
        times = timeit.repeat(lambda delivery=delivery: judge(delivery), number=calls, repeat=rounds)  # type: ignore[misc]
        limit = Limit(at_most=1000.0) if what == "refused" else None
        sheet.row(f"{title}, {what}", [each / calls * 1e6 for each in times], "us", limit)


def measure(sheet: Sheet) -> None:
    """Measure the two kinds of scheme that need nothing fetched."""
    sheet.begin("Verifying a delivery of 2 KB", "cryptography")
    digest = hmac.new(b"secret", f"{NOW}.".encode() + BODY, "sha256").hexdigest()
    cost(sheet, "HMAC-SHA256", LISTED, {"x-signature": f"t={NOW},v1={digest}"}, ("webhook_secret", "secret"))
    key = ec.derive_private_key(7, ec.SECP256R1())
    signature = b64encode(key.sign(str(NOW).encode() + BODY, ec.ECDSA(SHA256()))).decode()
    public = b64encode(key.public_key().public_bytes(Form.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    headers = {"x-signature": signature, "x-timestamp": str(NOW)}
    cost(sheet, "ECDSA on P-256", KEYED, headers, ("webhook_public_key", public))
