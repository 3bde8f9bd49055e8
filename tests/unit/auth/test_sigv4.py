"""AWS Signature Version 4 against what AWS publishes: its test suite, and the examples of the S3 API reference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest

from fairlead.auth.sign import sign
from fairlead.auth.sigv4 import authority_of, sign_v4, verify_v4
from fairlead.errors import InvalidArgumentError, SignatureError
from fairlead.model.headers import Headers
from fairlead.model.message import Request
from fairlead.model.outcome import Effect
from fairlead.model.secret import Secret
from fairlead.spec.provider import SigV4

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("sigv4_vectors.json").read_text("utf-8"))["cases"]
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "example.amazonaws.com"
STAMP = "20150830T123600Z"
NOW = datetime.fromisoformat(STAMP).timestamp()
AUTH = SigV4(service="service", region="us-east-1")

Pairs = Sequence[tuple[str, str]]


def credentials(secret: str = SECRET, **more: str) -> dict[str, Secret]:
    return {
        "access_key_id": Secret("AKIDEXAMPLE"),
        "secret_access_key": Secret(secret),
        **{name: Secret(value) for name, value in more.items()},
    }


def signature_of(authorization: str) -> str:
    return authorization.rpartition("Signature=")[2]


def on_the_wire(pairs: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]


# --- The test suite of AWS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_of_the_suite_is_signed_as_aws_signs_it(case: dict[str, Any]) -> None:
    request = Request(
        method=case["method"],
        path=case["path"],
        effect=Effect.ONCE,
        query=tuple(parse_qsl(case.get("query", ""))),
        headers=tuple(map(tuple, case.get("headers", ()))),
        body=case.get("body", "").encode(),
    )
    token = {"session_token": case["token"]} if "token" in case else {}
    headers = dict(sign_v4(request, AUTH, credentials(**token), host=HOST, now=NOW))
    assert signature_of(headers["authorization"]) == case["signature"]
    assert headers["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_of_the_suite_is_verified(case: dict[str, Any]) -> None:
    headers = [("Host", HOST), *case.get("headers", ()), ("X-Amz-Date", STAMP)]
    headers += [("X-Amz-Security-Token", case["token"])] if "token" in case else []
    names = ";".join(sorted({name.lower() for name, _ in headers}))
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={case['signature']}"
    )
    verified = verify_v4(
        case["method"],
        case["path"].encode(),
        case.get("query", "").encode(),
        on_the_wire([*headers, ("Authorization", authorization)]),
        secrets=[Secret("another"), Secret(SECRET)],
        now=NOW,
        body=case.get("body", "").encode(),
    )
    assert verified.secret == Secret(SECRET)
    assert (verified.access_key_id, verified.region, verified.service) == ("AKIDEXAMPLE", "us-east-1", "service")
    assert verified.payload_hash == hashlib.sha256(case.get("body", "").encode()).hexdigest()


# --- S3 -----------------------------------------------------------------------------------------------------------

S3 = SigV4(service="s3", region="us-east-1")
S3_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
S3_HOST = "examplebucket.s3.amazonaws.com"
S3_NOW = datetime.fromisoformat("20130524T000000Z").timestamp()
S3_CREDENTIALS = {"access_key_id": Secret("AKIAIOSFODNN7EXAMPLE"), "secret_access_key": Secret(S3_SECRET)}


def of_s3(method: str, path: str, *, query: Pairs = (), headers: Pairs = (), body: bytes = b"") -> Request:
    return Request(method=method, path=path, effect=Effect.ONCE, query=tuple(query), headers=tuple(headers), body=body)


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (
            of_s3("GET", "/test.txt", headers=[("Range", "bytes=0-9")]),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            of_s3(
                "PUT",
                "/test%24file.text",
                headers=[
                    ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                body=b"Welcome to Amazon S3.",
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            of_s3("GET", "/", query=[("lifecycle", "")]),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            of_s3("GET", "/", query=[("prefix", "J"), ("max-keys", "2")]),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get object", "put object", "get lifecycle", "list objects"],
)
def test_an_example_of_s3_is_signed_as_its_reference_has_it(request_: Request, signature: str) -> None:
    headers = dict(sign_v4(request_, S3, S3_CREDENTIALS, host=S3_HOST, now=S3_NOW))
    assert signature_of(headers["authorization"]) == signature
    assert headers["x-amz-content-sha256"] == hashlib.sha256(request_.body).hexdigest()


PRESIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


def presigned(query: str = PRESIGNED, *, path: bytes = b"/test.txt", now: float = S3_NOW) -> Any:
    return verify_v4(
        "GET", path, query.encode(), on_the_wire([("host", S3_HOST)]), secrets=[Secret(S3_SECRET)], now=now
    )


def test_the_presigned_example_of_s3_holds_for_its_day() -> None:
    assert presigned().payload_hash == "UNSIGNED-PAYLOAD"
    assert presigned(now=S3_NOW + 86_400).secret == Secret(S3_SECRET)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": b"/else.txt"}, "fits no key"),
        ({"query": PRESIGNED + "&versionId=1"}, "fits no key"),
        ({"query": PRESIGNED.replace("86400", "86401")}, "fits no key"),
        ({"query": PRESIGNED.replace("86400", "604801")}, "more than seven days"),
        ({"query": PRESIGNED.replace("86400", "-1")}, "no number of seconds"),
        ({"query": PRESIGNED.replace("=host", "=host%3Brange")}, "A signed header is missing: 'range'"),
        ({"query": PRESIGNED.replace("SHA256&", "SHA1&")}, "Only AWS4-HMAC-SHA256"),
        ({"query": PRESIGNED.replace("&X-Amz-Expires=86400", "")}, "The request is not signed"),
        ({"now": S3_NOW + 86_401}, "too old"),
        ({"now": S3_NOW - 901}, "of a time to come"),
    ],
)
def test_a_presigned_url_that_was_changed_or_is_of_another_time_does_not_hold(change: Any, said: str) -> None:
    with pytest.raises(SignatureError, match=said):
        presigned(**change)


@pytest.mark.parametrize(
    ("path", "other"), [("/a//b", "/a/b"), ("/a/./b", "/a/b"), ("/c/../a", "/a"), ("//", "/"), ("/a/", "/a")]
)
def test_the_key_of_an_object_is_not_normalised(path: str, other: str) -> None:
    def signed(path: str, auth: SigV4) -> str:
        return dict(sign_v4(of_s3("GET", path), auth, S3_CREDENTIALS, host=S3_HOST, now=S3_NOW))["authorization"]

    assert signed(path, S3) != signed(other, S3)
    assert (signed(path, AUTH) == signed(other, AUTH)) == (path != "/a/")


def test_the_key_of_an_object_is_encoded_once() -> None:
    wire = on_the_wire(
        [("host", S3_HOST), *sign_v4(of_s3("GET", "/a%24"), S3, S3_CREDENTIALS, host=S3_HOST, now=S3_NOW)]
    )
    for same in (b"/a%24", b"/a$", b"/%61%24"):
        verify_v4("GET", same, b"", wire, secrets=[Secret(S3_SECRET)], now=S3_NOW)
    with pytest.raises(SignatureError):
        verify_v4("GET", b"/a%2524", b"", wire, secrets=[Secret(S3_SECRET)], now=S3_NOW)


# --- What is signed, and what is not ------------------------------------------------------------------------------


def signed_names(request: Request, auth: SigV4 = AUTH) -> list[str]:
    headers = dict(sign_v4(request, auth, credentials(), host=HOST, now=NOW))
    return headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")


def test_what_a_hop_may_change_is_not_signed() -> None:
    signed = ["Content-Type", "Content-MD5", "Range", "X-Amz-Acl", "x-own"]
    unsigned = [
        "Accept-Encoding", "Connection", "Content-Length", "Expect", "Forwarded", "Keep-Alive", "Proxy-Authorization",
        "TE", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Amzn-Trace-Id", "X-Forwarded-For",
        "traceparent",
    ]  # fmt: skip
    request = of_s3("PUT", "/", headers=[(name, "x") for name in (*signed, *unsigned)])
    assert signed_names(request) == sorted([*map(str.lower, signed), "host", "x-amz-date"])
    assert "x-amz-content-sha256" in signed_names(request, S3)


def test_only_s3_is_told_the_hash_of_the_body() -> None:
    assert "x-amz-content-sha256" not in dict(sign_v4(of_s3("GET", "/"), AUTH, credentials(), host=HOST, now=NOW))


@pytest.mark.parametrize("named", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0" * 64])
@pytest.mark.parametrize("auth", [AUTH, S3])
def test_a_hash_that_the_request_names_is_signed_in_place_of_the_bodys(auth: SigV4, named: str) -> None:
    request = of_s3("PUT", "/x", headers=[("X-Amz-Content-Sha256", named)], body=b"one")
    headers = sign_v4(request, auth, credentials(), host=HOST, now=NOW)
    other = msgspec.structs.replace(request, body=b"another")
    assert headers == sign_v4(other, auth, credentials(), host=HOST, now=NOW)
    assert "x-amz-content-sha256" not in dict(headers)  # it stays the request's own
    sent = [("host", HOST), *request.headers, *headers]
    verified = verify_v4("PUT", b"/x", b"", on_the_wire(sent), secrets=[Secret(SECRET)], now=NOW)
    assert verified.payload_hash == named


@pytest.mark.parametrize("word", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"])
def test_signed_chunks_are_not_signed_anew(word: str) -> None:
    request = of_s3("PUT", "/x", headers=[("x-amz-content-sha256", word)])
    with pytest.raises(InvalidArgumentError, match="signed chunks"):
        sign_v4(request, S3, credentials(), host=HOST, now=NOW)


def test_an_earlier_signature_is_replaced() -> None:
    stale = [("Authorization", "old"), ("X-Amz-Date", "old"), ("X-Amz-Security-Token", "old"), ("x-amz-acl", "private")]
    request = of_s3("GET", "/x", headers=stale)
    signed = sign(request, S3, credentials(), base_url=f"https://{HOST}", now=NOW)
    assert "old" not in {value for _, value in signed.headers}
    fresh = sign(of_s3("GET", "/x", headers=stale[3:]), S3, credentials(), base_url=f"https://{HOST}", now=NOW)
    assert signed == fresh
    again = sign(signed, S3, credentials(session_token="token"), base_url=f"https://{HOST}", now=NOW + 60)
    assert Headers(again.headers).all("x-amz-security-token") == ("token",)
    assert [len(Headers(again.headers).all(name)) for name in ("authorization", "x-amz-date")] == [1, 1]


def test_the_host_that_a_request_names_is_the_one_that_is_signed() -> None:
    request = of_s3("GET", "/x", headers=[("Host", "bucket.s3.test")])
    wire = on_the_wire([*request.headers, *sign_v4(request, AUTH, credentials(), host=HOST, now=NOW)])
    assert verify_v4("GET", b"/x", b"", wire, secrets=[Secret(SECRET)], now=NOW, body=b"").service == "service"


def test_what_stands_plainly_in_a_path_is_sent_encoded_as_it_was_signed() -> None:
    request = of_s3("GET", "/a+b:c@d/$e(f)/%2B%20~")
    signed = sign(request, S3, credentials(), base_url=f"https://{HOST}/base", now=NOW)
    assert signed.path == "/a%2Bb%3Ac%40d/%24e%28f%29/%2B%20~"
    wire = on_the_wire([("host", HOST), *signed.headers])
    verify_v4("GET", f"/base{signed.path}".encode(), b"", wire, secrets=[Secret(SECRET)], now=NOW)


@pytest.mark.parametrize(
    ("base_url", "authority"),
    [
        ("https://S3.Eu-West-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
        ("https://s3.test:443/x", "s3.test"),
        ("http://s3.test:80", "s3.test"),
        ("HTTP://s3.test.:80", "s3.test"),
        ("https://s3.test.:9000", "s3.test:9000"),
        ("http://s3.test:443", "s3.test:443"),
        ("https://[::1]:9000/x", "[::1]:9000"),
        ("https://[::1]", "[::1]"),
    ],
)
def test_the_authority_is_what_the_transport_sends(base_url: str, authority: str) -> None:
    assert authority_of(base_url) == authority
