"""Public keys and certificates: whose they are, where they come from, and how long they hold."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UnavailableError, WebhookError
from fairlead.model.headers import Headers
from fairlead.model.incoming import Incoming
from fairlead.model.message import Response
from fairlead.model.secret import Secret
from fairlead.spec.webhook import CertificateScheme, Certified, PublicKeyScheme
from fairlead.webhooks.verify import verify
from webhook_trial import incoming, try_on

NOW = 1_700_000_000
BODY = b'[{"event": "open"}]'
KEYED = PublicKeyScheme(header="x-sig", timestamp_header="x-time")
CERTIFICATE_URL = "https://api.acme.example/certs/1.pem"
CONFIRM_URL = "https://api.acme.example/confirm?token=1"


@cache
def curve_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@cache
def keyed(number: int = 7, at: str = str(NOW), body: bytes = BODY) -> dict[str, str]:
    signature = curve_key(number).sign(at.encode() + body, ec.ECDSA(SHA256()))
    return {"X-Sig": b64encode(signature).decode(), "X-Time": at}


def refusal(run: Callable[[], object]) -> str:
    with pytest.raises(WebhookError) as caught:
        run()
    return caught.value.reason


# --- Public keys --------------------------------------------------------------------------------------------------


def test_the_holder_of_one_of_the_keys_is_believed() -> None:
    keys = (public(curve_key(8)), public(curve_key(7)))
    assert try_on(KEYED, incoming(BODY, keyed()), {"webhook_public_key": keys}, now=NOW)[0].is_accepted


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "unsigned"),
        ({"X-Sig": "AAAA"}, "unsigned"),
        ({"X-Time": "1"}, "unsigned"),
        ({"X-Sig": "AAAA", "X-Time": "soon"}, "malformed"),
        ({"X-Sig": "AAA", "X-Time": "1"}, "malformed"),
        ({"X-Sig": "AA AA", "X-Time": "1"}, "malformed"),
        ({"X-Sig": "AAAA", "X-Time": "1"}, "bad_signature"),
        (keyed(8), "bad_signature"),
        (keyed(at=str(NOW - 301)), "stale"),
        (keyed(at=str(NOW + 301)), "future"),
    ],
)
def test_what_its_holder_did_not_sign_just_now_is_refused(headers: dict[str, str], why: str) -> None:
    secrets = {"webhook_public_key": public(curve_key(7))}
    assert refusal(lambda: try_on(KEYED, incoming(BODY, headers), secrets, now=NOW)) == why


@pytest.mark.parametrize("key", ["no key", "AAAA", public(rsa.generate_private_key(65537, 2048))])
def test_a_key_of_another_kind_is_said_so(key: str) -> None:
    assert refusal(lambda: try_on(KEYED, incoming(BODY, keyed()), {"webhook_public_key": key}, now=NOW)) == "no_secret"


def test_another_way_to_write_the_same_signature_is_refused() -> None:
    padded = next(each for number in range(7, 99) if (each := keyed(7, str(NOW - number))["X-Sig"])[-2] == "=")
    at = str(NOW - next(number for number in range(7, 99) if keyed(7, str(NOW - number))["X-Sig"] == padded))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(padded[-3]) ^ 1]  # a bit that nobody reads
    headers = {"X-Sig": f"{padded[:-3]}{other}==", "X-Time": at}
    secrets = {"webhook_public_key": public(curve_key(7))}
    assert refusal(lambda: try_on(KEYED, incoming(BODY, headers), secrets, now=NOW)) == "malformed"


@given(at=st.data())
def test_any_flipped_bit_refuses_a_public_key(at: st.DataObject) -> None:
    good = keyed()
    place = at.draw(st.sampled_from(["body", *good]))
    raw = bytearray(BODY if place == "body" else good[place].encode())
    raw[at.draw(st.integers(0, len(raw) - 1))] ^= 1 << at.draw(st.integers(0, 6))
    headers = good if place == "body" else {**good, place: raw.decode()}
    delivery = incoming(bytes(raw) if place == "body" else BODY, headers)
    with pytest.raises(WebhookError):
        try_on(KEYED, delivery, {"webhook_public_key": public(curve_key(7))}, now=NOW)


# --- Certificates -------------------------------------------------------------------------------------------------


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, begins: float = NOW - 10, ends: float = NOW + 10
) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1)
    made = made.not_valid_before(datetime.fromtimestamp(begins, UTC)).not_valid_after(datetime.fromtimestamp(ends, UTC))
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


def find(delivery: Incoming, values: Sequence[str]) -> Certified:
    """Read an envelope of our own: headers say everything, and one of the values belongs to what is signed."""
    return Certified(
        messages=tuple(each.encode() + delivery.body for each in values),
        signature=delivery.headers.get("x-sig", ""),
        certificate_url=delivery.headers.get("x-cert", CERTIFICATE_URL),
        timestamp=float(delivery.headers.get("x-time", NOW)),
        confirm_url=delivery.headers.get("x-confirm"),
        nonce=delivery.headers.get("x-id"),
    )


CERTIFIED = CertificateScheme(
    find=find, host=r"api\.acme\.example", path=r"/certs/\d+\.pem", field="hook_id", tolerance_s=300
)
SIGNATURE = b64encode(rsa_key().sign(b"ours" + BODY, padding.PKCS1v15(), SHA256())).decode()
PAGES = {CERTIFICATE_URL: certificate(rsa_key()), CONFIRM_URL: b"thanks"}


def certified(pages: dict[str, bytes] | None = None, now: float = NOW, body: bytes = BODY, **headers: str) -> object:
    sent = {"x-sig": SIGNATURE, **{f"x-{name}": value for name, value in headers.items()}}
    return try_on(CERTIFIED, incoming(body, sent), {"hook_id": ("theirs", "ours")}, now=now, pages=pages or PAGES)


def test_a_certificate_of_the_vendor_is_fetched_once_and_may_be_kept() -> None:
    verdict, fetched = try_on(
        CERTIFIED, incoming(BODY, {"x-sig": SIGNATURE, "x-id": "1"}), {"hook_id": "ours"}, now=NOW, pages=PAGES
    )
    assert (verdict.is_accepted, verdict.nonce) == (True, "1")
    assert [(each.url, each.is_kept) for each in fetched] == [(CERTIFICATE_URL, True)]


def test_a_subscription_is_agreed_to_once_the_signature_holds() -> None:
    headers = {"x-sig": SIGNATURE, "x-confirm": CONFIRM_URL}
    verdict, fetched = try_on(CERTIFIED, incoming(BODY, headers), {"hook_id": "ours"}, now=NOW, pages=PAGES)
    assert (verdict.is_accepted, verdict.is_confirmation) == (False, True)
    assert verdict.reply is not None
    assert [(each.url, each.is_kept) for each in fetched] == [(CERTIFICATE_URL, True), (CONFIRM_URL, False)]


def test_nothing_is_agreed_to_where_the_signature_does_not_hold() -> None:
    delivery = incoming(b"other", {"x-sig": SIGNATURE, "x-confirm": CONFIRM_URL})
    running = verify(CERTIFIED, delivery, {"hook_id": [Secret("ours")]}, now=NOW)
    assert next(running).url == CERTIFICATE_URL
    with pytest.raises(WebhookError):
        running.send(Response(status=200, headers=Headers(), body=PAGES[CERTIFICATE_URL]))


def test_a_subscription_that_cannot_be_agreed_to_is_asked_for_again() -> None:
    pages = {CERTIFICATE_URL: PAGES[CERTIFICATE_URL]}
    with pytest.raises(UnavailableError):
        certified(pages=pages, confirm=CONFIRM_URL)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.acme.example/certs/1.pem",
        "https://api.acme.example.evil.example/certs/1.pem",
        "https://evil.example/api.acme.example/certs/1.pem",
        "https://evil.example#api.acme.example/certs/1.pem",
        "https://api.acme.example@evil.example/certs/1.pem",
        "https://evil.example@api.acme.example/certs/1.pem",
        "https://evil.example\\@api.acme.example/certs/1.pem",
        "https://api.acme.example:8443/certs/1.pem",
        "https://api.acme.example:port/certs/1.pem",
        "https://api.acme.example/certs/1.pem/../../upload/1.pem",
        "https://api.acme.example/certs/1.txt",
        "https://api.acme.example/\ncerts/1.pem",
        "https://[/certs/1.pem",
        "file:///certs/1.pem",
        "",
    ],
)
def test_an_address_that_is_not_the_vendors_is_never_asked(url: str) -> None:
    delivery = Incoming("POST", "https://app.example", Headers([("x-sig", SIGNATURE), ("x-cert", url)]), BODY)
    running = verify(CERTIFIED, delivery, {"hook_id": [Secret("ours")]}, now=NOW)
    assert refusal(lambda: next(running)) == "wrong_host"


def test_an_address_to_agree_at_that_is_not_the_vendors_is_never_asked() -> None:
    assert refusal(lambda: certified(confirm="https://evil.example/?token=1")) == "wrong_host"


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"x" * 70_000,
        certificate(rsa_key(), ends=NOW - 1),
        certificate(rsa_key(), begins=NOW + 1),
        certificate(rsa_key(1024)),
        certificate(curve_key(7)),
    ],
    ids=["empty", "page", "garbled", "large", "over", "to come", "weak", "another kind"],
)
def test_a_certificate_that_cannot_be_used_is_told(page: bytes) -> None:
    assert refusal(lambda: certified(pages={CERTIFICATE_URL: page})) == "bad_certificate"


def test_a_certificate_that_is_not_there_is_told() -> None:
    assert refusal(lambda: certified(pages={CONFIRM_URL: b""})) == "bad_certificate"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"body": b"other"}, "bad_signature"),
        ({"sig": b64encode(b"other").decode()}, "bad_signature"),
        ({"sig": "not base64"}, "malformed"),
        ({"sig": ""}, "malformed"),
        ({"time": str(NOW - 301)}, "stale"),
        ({"time": str(NOW + 301)}, "future"),
    ],
)
def test_what_the_certificate_does_not_vouch_for_is_refused(changed: dict[str, object], why: str) -> None:
    assert refusal(lambda: certified(**changed)) == why  # type: ignore[arg-type]  # a test's table of keywords


def test_without_what_says_that_it_is_for_us_nothing_is_accepted() -> None:
    bare = msgspec.structs.replace(CERTIFIED, field="other")
    assert refusal(lambda: try_on(bare, incoming(BODY), {"hook_id": "ours"}, pages=PAGES)) == "no_secret"
