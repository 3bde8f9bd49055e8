"""What holds for any request: that it verifies, that no change does, and that AWS's own signer says the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.auth.sign import sign
from fairlead.auth.sigv4 import Verified, authority_of, verify_v4
from fairlead.errors import SignatureError
from fairlead.model.message import Request, encode_query
from fairlead.model.outcome import Effect
from fairlead.model.secret import Secret
from fairlead.spec.provider import SigV4

ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_767_268_800.0
STAMP = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ")

text = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
segments = text.filter(lambda part: part not in {".", ".."}).map(lambda part: quote(part, safe=""))
paths = (
    st.lists(segments, min_size=1, max_size=4)
    .map(lambda parts: "/" + "/".join(parts))
    .filter(lambda path: not path.startswith("//"))
)
values = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
names = st.sampled_from(["content-type", "Content-MD5", "Range", "X-Amz-Acl", "x-amz-meta-a", "If-Match", "x-own"])
requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    path=paths,
    effect=st.just(Effect.ONCE),
    query=st.lists(st.tuples(text, text), max_size=4).map(tuple),
    headers=st.lists(st.tuples(names, values), max_size=4).map(tuple),
    body=st.binary(max_size=20),
)
auths = st.builds(
    SigV4,
    service=st.sampled_from(["s3", "s3-outposts", "ses", "sns", "execute-api"]),
    region=st.sampled_from(["us-east-1", "eu-west-1"]),
)
bases = st.sampled_from(["https://aws.test", "https://aws.test:443/base", "http://127.0.0.1:5000/a/b"])
tokens = st.none() | st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)


def signed_by_us(request: Request, auth: SigV4, base: str, token: str | None = None) -> Request:
    credentials = {"access_key_id": Secret(ID), "secret_access_key": Secret(SECRET)}
    if token:
        credentials["session_token"] = Secret(token)
    return sign(request, auth, credentials, base_url=base, now=NOW)


def url_of(request: Request, base: str) -> str:
    return f"{base}{request.path}" + (f"?{encode_query(request.query)}" if request.query else "")


def verify(request: Request, base: str, **change: Any) -> Verified:
    """Verify a request as it arrives."""
    path = f"{base.partition('://')[2].partition('/')[1]}{base.partition('://')[2].partition('/')[2]}{request.path}"
    headers = (("Host", authority_of(base)), *request.headers)
    wanted = {
        "method": request.method,
        "raw_path": path.encode(),
        "query": encode_query(request.query).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "body": request.body,
        **change,
    }
    return verify_v4(secrets=[Secret(SECRET)], now=NOW, **wanted)


# --- Ours with ours -----------------------------------------------------------------------------------------------


@given(requests, auths, bases, tokens)
def test_what_is_signed_verifies(request: Request, auth: SigV4, base: str, token: str | None) -> None:
    verified = verify(signed_by_us(request, auth, base, token), base)
    assert verified.secret == Secret(SECRET)
    assert (verified.service, verified.region) == (auth.service, auth.region)


@given(requests, auths, bases, st.data())
def test_no_change_verifies(request: Request, auth: SigV4, base: str, data: st.DataObject) -> None:
    """Of the path only what AWS's own rule keeps apart: but for S3, `//` is `/`."""
    signed = signed_by_us(request, auth, base)
    changed = data.draw(
        st.sampled_from(
            [
                {"method": "OPTIONS"},
                {"path": f"{signed.path}x"},
                {"path": f"/x{signed.path}"},
                {"query": (*signed.query, ("x", ""))},
                {"query": signed.query[1:]} if signed.query else {"query": (("", ""), ("a", ""))},
                {"body": signed.body + b"x"},
                *({"headers": _with(signed, at, f"{value}x")} for at, (_, value) in enumerate(signed.headers)),
                *({"headers": _with(signed, at, None)} for at, _ in enumerate(signed.headers)),
            ]
        )
    )
    with pytest.raises(SignatureError):
        verify(msgspec.structs.replace(signed, **changed), base)


def _with(request: Request, at: int, value: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers with another value in one place, or without it."""
    name = request.headers[at][0]
    changed = () if value is None else ((name, value),)
    return (*request.headers[:at], *changed, *request.headers[at + 1 :])


# --- Ours with AWS's ----------------------------------------------------------------------------------------------


def signed_by_aws(
    request: Request, auth: SigV4, base: str, token: str | None = None, *, names_hash: bool = True
) -> AWSRequest:
    """Sign with botocore, at our time."""
    aws = AWSRequest(method=request.method, url=url_of(request, base), data=request.body)
    for name, value in request.headers:
        aws.headers.add_header(name, value)
    kind = S3SigV4Auth if auth.service.startswith("s3") and names_hash else SigV4Auth
    signer = kind(Credentials(ID, SECRET, token), auth.service, auth.region)
    aws.context["timestamp"] = STAMP
    signer._modify_request_before_signing(aws)
    canonical = signer.canonical_request(aws)
    signature = signer.signature(signer.string_to_sign(aws, canonical), aws)
    signer._inject_signature_to_request(aws, signature)
    return aws


@settings(max_examples=500)
@given(requests, auths, bases, tokens)
def test_we_sign_as_aws_does(request: Request, auth: SigV4, base: str, token: str | None) -> None:
    ours = dict(signed_by_us(request, auth, base, token).headers)
    theirs = signed_by_aws(request, auth, base, token).headers
    assert ours["authorization"] == theirs["Authorization"]
    for name in ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token"):
        assert ours.get(name) == theirs.get(name)


@given(requests, auths, bases, tokens)
def test_what_aws_signs_verifies(request: Request, auth: SigV4, base: str, token: str | None) -> None:
    headers = tuple(signed_by_aws(request, auth, base, token).headers.items())
    assert verify(msgspec.structs.replace(request, headers=headers), base).access_key_id == ID


def test_a_request_to_s3_that_names_no_hash_is_verified_with_its_body() -> None:
    request, auth, base = Request.post("/x", json=1), SigV4(service="s3", region="eu-west-1"), "https://aws.test"
    headers = tuple(signed_by_aws(request, auth, base, names_hash=False).headers.items())
    arrived = msgspec.structs.replace(request, headers=headers)
    assert verify(arrived, base).access_key_id == ID
    with pytest.raises(SignatureError, match="its body is not known"):
        verify(arrived, base, body=None)


@given(paths, bases, st.dictionaries(text.filter(bool), text, max_size=3), tokens)
def test_what_aws_presigns_verifies(path: str, base: str, query: dict[str, str], token: str | None) -> None:
    request = AWSRequest(method="GET", url=f"{base}{path}", params=query)
    signer = SigV4QueryAuth(Credentials(ID, SECRET, token), "ses", "eu-west-1", expires=60)
    request.context["timestamp"] = STAMP
    signer._modify_request_before_signing(request)
    signer._inject_signature_to_request(
        request, signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    )
    raw = request.url.partition("?")[2].encode()
    plain = Request.get(path)
    assert verify(plain, base, query=raw).access_key_id == ID
    with pytest.raises(SignatureError):
        verify(plain, base, query=raw + b"&x=1")
    with pytest.raises(SignatureError):
        verify(plain, base, query=raw, body=json.dumps(query).encode() + b"x")
