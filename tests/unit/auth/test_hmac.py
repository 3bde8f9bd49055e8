"""HMAC signatures: pure, with the time given."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

import msgspec
import pytest

from fairlead.auth.sign import sign
from fairlead.model.message import Request
from fairlead.model.secret import Secret
from fairlead.spec.encoding import Encoding
from fairlead.spec.provider import Hmac

SECRETS = {"secret": Secret("Jefe"), "id": Secret("me")}
REQUEST = Request.post("/things", json={"a": 1}, query={"q": "x y", "z": ""})
NOW = 1_767_268_800.9


def signed(auth: Hmac, request: Request = REQUEST) -> dict[str, str]:
    return dict(sign(request, auth, SECRETS, now=NOW).headers)


def test_the_signature_is_that_of_the_rfc() -> None:
    """RFC 4231 §4.3, by a template that is nothing but the body."""
    request = msgspec.structs.replace(REQUEST, body=b"what do ya want for nothing?")
    found = signed(Hmac(header="x-signature", message="{body}"), request)["x-signature"]
    assert found == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_method_path_time_and_body_are_signed() -> None:
    headers = signed(Hmac(header="x-signature", base_path="/v1"))
    message = b'POST\n/v1/things\n1767268800\n{"a":1}'
    assert headers["x-signature"] == hmac.new(b"Jefe", message, hashlib.sha256).hexdigest()
    assert headers["x-timestamp"] == "1767268800"


def test_a_vendor_may_want_it_otherwise() -> None:
    auth = Hmac(
        header="x-sign",
        message="{timestamp}{method}{path}?{query}{body}[x]",
        encoding=Encoding.BASE64,
        prefix="v1=",
        timestamp_header="x-time",
        id_header="x-id",
    )
    headers = signed(auth)
    digest = hmac.new(b"Jefe", b'1767268800POST/things?q=x%20y&z={"a":1}[x]', hashlib.sha256).digest()
    assert headers["x-sign"] == f"v1={b64encode(digest).decode()}"
    assert (headers["x-time"], headers["x-id"]) == ("1767268800", "me")


def test_a_body_that_looks_like_a_template_is_signed_as_it_is() -> None:
    request = msgspec.structs.replace(REQUEST, body=b"{method}")
    found = signed(Hmac(header="x", message="{body}{method}"), request)["x"]
    assert found == hmac.new(b"Jefe", b"{method}POST", hashlib.sha256).hexdigest()


@pytest.mark.parametrize("change", [{"method": "PUT"}, {"path": "/others"}, {"body": b"{}"}])
def test_whatever_changes_changes_the_signature(change: dict[str, str | bytes]) -> None:
    auth = Hmac(header="x")
    assert signed(auth)["x"] != signed(auth, msgspec.structs.replace(REQUEST, **change))["x"]
    assert signed(auth)["x"] != dict(sign(REQUEST, auth, SECRETS, now=NOW + 1).headers)["x"]
