"""Digests: what is signed, by which secret, and when."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import WebhookError, WebhookReason
from fairlead.spec.webhook import HmacScheme, standard_webhooks
from webhook_trial import incoming, try_on

NOW = 1_700_000_000
BODY = b'{"id": "1"}'
LISTED = HmacScheme(header="x-sig", message="{timestamp}.{body}", prefix="v1=", separator=",", timestamp_prefix="t=")
SPREAD = standard_webhooks()
VECTORS = json.loads((Path(__file__).parent / "standard_vectors.json").read_text("utf-8"))["vectors"]
ANY = HmacScheme(header="x-hub", prefix="{algorithm}=", algorithms=("sha512", "sha256", "sha1"))
PLAIN = HmacScheme(header="x-sig", message="{body}{timestamp}{secret}", timestamp_header="x-time", is_keyed=False)


def listed(body: bytes, *secrets: str, at: int = NOW) -> dict[str, str]:
    signatures = [hmac.new(each.encode(), f"{at}.".encode() + body, "sha256").hexdigest() for each in secrets]
    return {"X-Sig": ",".join([f"t={at}", *(f"v1={each}" for each in signatures), "v0=what"])}


def reason(scheme: HmacScheme, headers: dict[str, str], *secrets: str, body: bytes = BODY, now: float = NOW) -> str:
    with pytest.raises(WebhookError) as caught:
        try_on(scheme, incoming(body, headers), {"webhook_secret": secrets}, now=now)
    return caught.value.reason


@pytest.mark.parametrize("now", [NOW - 300, NOW, NOW + 300])
def test_a_good_one_is_accepted_and_looks_nothing_up(now: float) -> None:
    verdict, fetched = try_on(LISTED, incoming(BODY, listed(BODY, "a")), {"webhook_secret": "a"}, now=now)
    assert verdict.is_accepted
    assert verdict.reply is None
    assert fetched == []


@pytest.mark.parametrize("signed_with", [("old",), ("new",), ("old", "new"), ("other", "old")])
def test_while_a_secret_is_changed_either_will_do(signed_with: tuple[str, ...]) -> None:
    delivery = incoming(BODY, listed(BODY, *signed_with))
    assert try_on(LISTED, delivery, {"webhook_secret": ("new", "old")}, now=NOW)[0].is_accepted


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "unsigned"),
        ({"x-sig": ""}, "unsigned"),
        ({"x-sig": "t=1"}, "malformed"),
        ({"x-sig": "v1=ab"}, "malformed"),
        ({"x-sig": "t=1,t=1,v1=ab"}, "malformed"),
        ({"x-sig": "t=-1,v1=ab"}, "malformed"),
        ({"x-sig": "t=\u0661,v1=ab"}, "malformed"),
        ({"x-sig": f"t={'9' * 400},v1=ab"}, "malformed"),
        ({"x-sig": "t=1,v1="}, "bad_signature"),
        ({"x-sig": "t=1,v1=é"}, "bad_signature"),
        ({"x-sig": f"t=1,{'v1=ab,' * 5000}"}, "bad_signature"),
    ],
)
def test_what_is_no_signature_is_told_apart(headers: dict[str, str], why: str) -> None:
    assert reason(LISTED, headers, "a") == why


def test_a_time_that_is_off_is_told_apart_both_ways_and_only_for_what_is_genuine() -> None:
    assert reason(LISTED, listed(BODY, "a"), "a", now=NOW + 301) == "stale"
    assert reason(LISTED, listed(BODY, "a"), "a", now=NOW - 301) == "future"
    assert reason(LISTED, listed(BODY, "b"), "a", now=NOW + 301) == "bad_signature"


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_without_a_secret_nothing_is_accepted(secrets: tuple[str, ...]) -> None:
    assert reason(LISTED, listed(BODY, ""), *secrets) == "no_secret"


@pytest.mark.parametrize("secret", ["whsec_not base64", "whsec_", "whsec_é"])
def test_a_secret_that_cannot_be_one_is_said_so(secret: str) -> None:
    headers = {"webhook-id": "1", "webhook-timestamp": str(NOW), "webhook-signature": "v1,aaaa"}
    with pytest.raises(WebhookError, match="webhook_secret is not base64") as caught:
        try_on(SPREAD, incoming(BODY, headers), {"webhook_secret": secret}, now=NOW)
    assert caught.value.reason is WebhookReason.NO_SECRET
    assert secret not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_the_algorithm_may_stand_before_the_signature(algorithm: str) -> None:
    digest = hmac.new(b"a", BODY, algorithm).hexdigest()
    assert try_on(ANY, incoming(BODY, {"X-Hub": f"{algorithm}={digest}"}), {"webhook_secret": "a"})[0].is_accepted
    others = {"sha1", "sha256", "sha512"} - {algorithm}
    assert {reason(ANY, {"X-Hub": f"{each}={digest}"}, "a") for each in others} == {"bad_signature"}
    assert reason(ANY, {"X-Hub": f"md5={digest}"}, "a") == "malformed"


def test_a_digest_without_a_key_has_the_secret_in_it() -> None:
    digest = hashlib.sha256(BODY + str(NOW).encode() + b"a").hexdigest()
    delivery = incoming(BODY, {"X-Sig": digest, "X-Time": str(NOW)})
    assert try_on(PLAIN, delivery, {"webhook_secret": "a"}, now=NOW)[0].is_accepted


def test_a_placeholder_in_the_body_is_body() -> None:
    body = b"{secret}{timestamp}"
    assert try_on(LISTED, incoming(body, listed(body, "a")), {"webhook_secret": "a"}, now=NOW)[0].is_accepted


@pytest.mark.parametrize("vector", VECTORS, ids=[each["name"] for each in VECTORS])
def test_the_vectors_of_the_standard_hold(vector: dict[str, Any]) -> None:
    delivery, secrets = incoming(vector["body"], vector["headers"]), {"webhook_secret": vector["secret"]}
    if vector["expected"] == "accepted":
        assert try_on(SPREAD, delivery, secrets, now=vector["now"])[0].is_accepted
        return
    with pytest.raises(WebhookError) as caught:
        try_on(SPREAD, delivery, secrets, now=vector["now"])
    assert caught.value.reason == vector["expected"]


def test_without_a_signed_time_the_signature_stands_for_the_delivery() -> None:
    digest = hmac.new(b"a", BODY, "sha256").hexdigest()
    verdict, _ = try_on(ANY, incoming(BODY, {"X-Hub": f"sha256={digest}"}), {"webhook_secret": "a"})
    assert verdict.nonce == f"sha256={digest}"
    assert try_on(LISTED, incoming(BODY, listed(BODY, "a")), {"webhook_secret": "a"}, now=NOW)[0].nonce is None


@given(body=st.binary(min_size=1, max_size=80), at=st.data())
def test_any_flipped_bit_refuses(body: bytes, at: st.DataObject) -> None:
    digest = hmac.new(b"a", b"m." + str(NOW).encode() + b"." + body, "sha256").digest()
    secret = f"whsec_{b64encode(b'a').decode()}"
    good = {"webhook-id": "m", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,{b64encode(digest).decode()}"}
    assert try_on(SPREAD, incoming(body, good), {"webhook_secret": secret}, now=NOW)[0].is_accepted
    place = at.draw(st.sampled_from(["body", *good]))
    raw = bytearray(body if place == "body" else good[place].encode())
    raw[at.draw(st.integers(0, len(raw) - 1))] ^= 1 << at.draw(st.integers(0, 6))
    changed = {**good} if place == "body" else {**good, place: raw.decode()}
    with pytest.raises(WebhookError):
        try_on(SPREAD, incoming(bytes(raw) if place == "body" else body, changed), {"webhook_secret": secret}, now=NOW)
