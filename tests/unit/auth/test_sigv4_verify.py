"""What a signature must be to hold, and what it is told that does not."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from fairlead.auth.sigv4 import Verified, sign_v4, verify_v4
from fairlead.errors import SignatureError
from fairlead.model.message import Request
from fairlead.model.secret import Secret
from fairlead.spec.provider import SigV4

KEY = Secret("canary-gateway-key")
HOST = "gateway.test"
NOW = 1_767_268_800.0
BODY = b'{"a":1}'
S3 = SigV4(service="s3", region="eu-west-1")
SES = SigV4(service="ses", region="eu-west-1")

Wire = dict[bytes, bytes]


def wire(auth: SigV4 = S3, *, more: dict[str, str] | None = None, now: float = NOW) -> Wire:
    """Return the headers of a signed POST as they come."""
    request = Request.post("/x", json={"a": 1}, query={"q": "1"}, headers=more)
    credentials = {"access_key_id": Secret("fairlead"), "secret_access_key": KEY}
    signed = sign_v4(request, auth, credentials, host=HOST, now=now)
    return {name.encode(): value.encode() for name, value in (("host", HOST), *request.headers, *signed)}


def verify(headers: Wire, **change: Any) -> Verified:
    wanted = {"method": "POST", "raw_path": b"/x", "query": b"q=1", "secrets": [KEY], "now": NOW, **change}
    return verify_v4(headers=headers.items(), **wanted)


def without(headers: Wire, name: bytes) -> Wire:
    return {each: value for each, value in headers.items() if each != name}


def rewritten(headers: Wire, old: bytes, new: bytes) -> Wire:
    """Return the headers with something else in their Authorization."""
    assert old in headers[b"authorization"]
    return {**headers, b"authorization": headers[b"authorization"].replace(old, new)}


def test_it_says_who_signed_for_what_and_with_which_secret() -> None:
    verified = verify(wire(), secrets=[Secret("old"), KEY, Secret("new")], body=BODY)
    assert (verified.secret, verified.access_key_id) == (KEY, "fairlead")
    assert (verified.region, verified.service) == ("eu-west-1", "s3")
    assert KEY.reveal() not in repr(verified)


def test_an_access_key_id_may_have_a_slash() -> None:
    request = Request.get("/x")
    credentials = {"access_key_id": Secret("team/fairlead"), "secret_access_key": KEY}
    signed = sign_v4(request, S3, credentials, host=HOST, now=NOW)
    headers = [(name.encode(), value.encode()) for name, value in (("host", HOST), *signed)]
    assert verify_v4("GET", b"/x", b"", headers, secrets=[KEY], now=NOW).access_key_id == "team/fairlead"


def test_names_of_headers_have_no_case_and_white_space_does_not_count() -> None:
    headers = {name.title(): b"  " + value.replace(b", ", b",") for name, value in wire().items()}
    assert verify(headers).secret == KEY


@pytest.mark.parametrize("secrets", [[], [Secret("another")], [Secret("canary-gateway-key ")], [Secret("")]])
def test_a_secret_that_is_not_ours_does_not_fit(secrets: list[Secret]) -> None:
    with pytest.raises(SignatureError, match="fits no key") as caught:
        verify(wire(), secrets=secrets)
    assert KEY.reveal() not in str(caught.value)


@pytest.mark.parametrize("seconds", [-900, 0, 900])
def test_it_holds_for_fifteen_minutes(seconds: int) -> None:
    assert verify(wire(), now=NOW + seconds).secret == KEY
    with pytest.raises(SignatureError, match="too old, or of a time to come"):
        verify(wire(), now=NOW + (901 if seconds >= 0 else -901))


@pytest.mark.parametrize(
    "change", [{"method": "PUT"}, {"raw_path": b"/y"}, {"query": b"q=2"}, {"query": b""}, {"query": b"q=1&q=1"}]
)
def test_whatever_changes_breaks_it(change: dict[str, Any]) -> None:
    with pytest.raises(SignatureError, match="fits no key"):
        verify(wire(), **change)


@pytest.mark.parametrize("query", [b"q=a%20b", b"q=a+b", b"%71=%61%20b", b"&q=a+b&"])
def test_two_ways_to_write_the_same_query_are_the_same(query: bytes) -> None:
    request = Request.get("/x", query={"q": "a b"})
    signed = sign_v4(request, S3, {"access_key_id": Secret("x"), "secret_access_key": KEY}, host=HOST, now=NOW)
    headers = [(name.encode(), value.encode()) for name, value in (("host", HOST), *signed)]
    assert verify_v4("GET", b"/x", query, headers, secrets=[KEY], now=NOW).secret == KEY


# --- The body -----------------------------------------------------------------------------------------------------


def test_the_body_is_the_one_that_was_signed() -> None:
    assert verify(wire(), body=BODY).payload_hash == verify(wire()).payload_hash
    assert verify(wire(SES), body=BODY).payload_hash == verify(wire(), body=BODY).payload_hash
    with pytest.raises(SignatureError, match="The body is not the one that was signed"):
        verify(wire(), body=b"{}")
    with pytest.raises(SignatureError, match="fits no key"):
        verify(wire(SES), body=b"{}")


def test_a_request_that_names_no_hash_is_verified_with_its_body_or_not_at_all() -> None:
    with pytest.raises(SignatureError, match="its body is not known"):
        verify(wire(SES))


def test_the_hash_itself_may_go_unsigned_for_it_is_signed_as_such() -> None:
    headers = {**wire(SES), b"x-amz-content-sha256": hashlib.sha256(BODY).hexdigest().encode()}
    assert verify(headers).payload_hash == verify(wire(SES), body=BODY).payload_hash
    with pytest.raises(SignatureError, match="fits no key"):
        verify({**headers, b"x-amz-content-sha256": b"0" * 64})


@pytest.mark.parametrize("word", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
def test_a_body_that_is_not_signed_is_told(word: str) -> None:
    headers = wire(more={"x-amz-content-sha256": word})
    assert verify(headers, body=b"whatever").payload_hash == word


@pytest.mark.parametrize("word", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"])
def test_signed_chunks_are_refused_with_what_to_do(word: str) -> None:
    headers = {**wire(), b"x-amz-content-sha256": word.encode()}
    with pytest.raises(SignatureError, match=r"signature for each chunk .* UNSIGNED-PAYLOAD"):
        verify(headers)


@pytest.mark.parametrize("named", [b"x", b"0" * 63, b"A" * 64])
def test_a_hash_that_is_none_is_refused(named: bytes) -> None:
    with pytest.raises(SignatureError, match="no SHA-256 in hex"):
        verify({**wire(), b"x-amz-content-sha256": named})


# --- What must be there, and what must be signed ------------------------------------------------------------------


def test_a_request_without_a_signature_is_told_so() -> None:
    for headers in ({}, {b"authorization": b"Bearer x"}, without(wire(), b"authorization")):
        with pytest.raises(SignatureError, match="The request is not signed"):
            verify(headers)


@pytest.mark.parametrize("name", [b"host", b"x-amz-content-sha256", b"content-type"])
def test_a_signed_header_must_be_there(name: bytes) -> None:
    with pytest.raises(SignatureError, match=f"A signed header is missing: '{name.decode()}'"):
        verify(without(wire(), name))


@pytest.mark.parametrize("name", [b"host;", b"x-amz-acl;"])
def test_host_and_amazons_own_headers_must_be_signed(name: bytes) -> None:
    headers = rewritten(wire(more={"x-amz-acl": "private"}), name, b"")
    with pytest.raises(SignatureError, match=f"must be signed that is not: {name.decode()[:-1]}"):
        verify(headers)


def test_the_date_must_be_signed() -> None:
    headers = rewritten(wire(), b";x-amz-date", b"")
    with pytest.raises(SignatureError, match="must be signed that is not: x-amz-date"):
        verify(headers)


def test_a_header_of_amazon_that_comes_on_top_is_refused() -> None:
    with pytest.raises(SignatureError, match="must be signed that is not: x-amz-meta-evil"):
        verify({**wire(), b"x-amz-meta-evil": b"1"})
    assert verify({**wire(), b"x-amz-security-token": b"added afterwards", b"x-forwarded-for": b"::1"}).secret == KEY


@pytest.mark.parametrize("stamp", [b"", b"20260101", b"20260101T12000Z", b"20261301T120000Z", b"20260101T120000+0000"])
def test_a_date_must_be_one(stamp: bytes) -> None:
    with pytest.raises(SignatureError, match="x-amz-date is missing, or no time"):
        verify({**wire(), b"x-amz-date": stamp})


def test_a_date_that_comes_twice_is_none() -> None:
    headers = [*wire().items(), (b"X-Amz-Date", wire()[b"x-amz-date"])]
    with pytest.raises(SignatureError, match="x-amz-date is missing, or no time"):
        verify_v4("POST", b"/x", b"q=1", headers, secrets=[KEY], now=NOW)


def test_the_scope_is_of_the_day_of_the_date() -> None:
    with pytest.raises(SignatureError, match="of another day"):
        verify(rewritten(wire(), b"/20260101/", b"/20260102/"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"/aws4_request", b"/aws5_request", "scope is not"),
        (b"/s3/", b"/", "scope is not"),
        (b"fairlead/", b"/", "scope is not"),
        (b"/eu-west-1/", b"//", "scope is not"),
        (b"SignedHeaders=", b"Headers=", "not that of Signature Version 4"),
        (b", Signature=", b", Signed=", "not that of Signature Version 4"),
        (b", Signature=", b", More=1, Signature=", "not that of Signature Version 4"),
        (b"AWS4-HMAC-SHA256 ", b"AWS4-ECDSA-P256-SHA256 ", "Only AWS4-HMAC-SHA256"),
        (b"content-type;host", b"host;content-type", "not sorted"),
        (b"host;", b"host;host;", "names a header twice"),
        (b"content-type;host", b"Content-Type;host", "A signed header is missing: 'Content-Type'"),
        (b"/eu-west-1/", b"/eu-west-2/", "fits no key"),
        (b"/s3/", b"/s4/", "fits no key"),
        (b"Signature=", b"Signature=\xff", "fits no key"),
        (b"Signature=", b"Signature=0", "fits no key"),
    ],
)
def test_an_authorization_that_is_broken_or_changed_does_not_hold(old: bytes, new: bytes, said: str) -> None:
    with pytest.raises(SignatureError, match=said):
        verify(rewritten(wire(), old, new))


def test_the_access_key_id_is_whatever_the_caller_likes() -> None:
    """It is not signed: it names a key for a server that has many, and here each key is tried."""
    assert verify(rewritten(wire(), b"fairlead/", b"else/")).access_key_id == "else"
