"""JSON Web Tokens, shared tokens and logins, and the questions that vendors ask of an address."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from fairlead.errors import WebhookError
from fairlead.spec.encoding import Encoding
from fairlead.spec.webhook import BasicScheme, Challenge, EitherScheme, HmacScheme, JwtScheme, TokenScheme
from webhook_trial import URL, incoming, try_on

NOW = 1_700_000_000
BODY = b'{"text": "hi"}'
JWT = JwtScheme(hash_claim="payload_hash")
TOKEN = TokenScheme(header="x-token")
BASIC = BasicScheme()
HASH = hashlib.sha256(BODY).hexdigest()


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(text).decode().rstrip("=")


def bearer(claims: Any, *, header: Any = None, key: str = "a") -> dict[str, str]:
    message = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.digest(key.encode(), message.encode(), "sha256")
    return {"Authorization": f"Bearer {message}.{part(signature)}"}


def good(**changed: Any) -> dict[str, Any]:
    claims = {"iat": NOW, "jti": "1", "payload_hash": HASH} | changed
    return {name: value for name, value in claims.items() if value is not None}


def refusal(run: Callable[[], object]) -> str:
    with pytest.raises(WebhookError) as caught:
        run()
    return caught.value.reason


def with_token(headers: dict[str, str]) -> str:
    return refusal(lambda: try_on(JWT, incoming(BODY, headers), {"webhook_secret": ("b", "a")}, now=NOW))


def test_a_token_for_this_body_is_believed_and_its_id_is_for_one_delivery() -> None:
    verdict, _ = try_on(JWT, incoming(BODY, bearer(good())), {"webhook_secret": ("b", "a")}, now=NOW)
    assert (verdict.is_accepted, verdict.nonce) == (True, "1")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (good(payload_hash=None), "unsigned"),
        (good(payload_hash=1), "unsigned"),
        (good(payload_hash="0" * 64), "bad_signature"),
        (good(iat=None), "malformed"),
        (good(iat="1"), "malformed"),
        (good(iat=True), "malformed"),
        (good(iat=NOW - 301), "stale"),
        (good(iat=NOW + 301), "future"),
        (good(exp=NOW), "stale"),
        (good(exp="never"), "malformed"),
        (good(nbf=NOW + 301), "future"),
        ([], "malformed"),
        (b"[" * 6000, "malformed"),
        (b"\xff", "malformed"),
    ],
)
def test_a_token_for_another_body_or_time_is_refused(claims: Any, why: str) -> None:
    assert with_token(bearer(claims)) == why


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "RS256", "hs256", None, 1])
def test_no_other_algorithm_is_taken_whatever_the_token_says(algorithm: object) -> None:
    assert with_token(bearer(good(), header={"alg": algorithm})) == "malformed"


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "unsigned"),
        ({"Authorization": "Basic AAAA"}, "malformed"),
        ({"Authorization": "Bearer a.b"}, "malformed"),
        ({"Authorization": f"Bearer {part({'alg': 'none'})}.{part(good())}."}, "malformed"),
        ({"Authorization": f"Bearer a.b.{'c' * 43}"}, "malformed"),
        (bearer(good(), key="c"), "bad_signature"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(headers: dict[str, str], why: str) -> None:
    assert with_token(headers) == why


def test_a_vendor_with_two_schemes_is_told_apart_by_the_header() -> None:
    either = EitherScheme(("authorization", JWT), HmacScheme(header="x-sig"))
    signature = hmac.digest(b"a", BODY, "sha256").hex()
    for headers in (bearer(good()), {"X-Sig": signature}):
        assert try_on(either, incoming(BODY, headers), {"webhook_secret": "a"}, now=NOW)[0].is_accepted
    both = {"Authorization": "Bearer x", "X-Sig": signature}
    assert refusal(lambda: try_on(either, incoming(BODY, both), {"webhook_secret": "a"}, now=NOW)) == "malformed"


# --- What both sides know -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "why"), [(None, "unsigned"), ("", "unsigned"), ("c", "bad_token"), ("é", "bad_token")]
)
def test_another_token_is_refused(shown: str | None, why: str) -> None:
    headers = {} if shown is None else {"X-Token": shown}
    secrets = {"webhook_token": ("a", "b")}
    assert refusal(lambda: try_on(TOKEN, incoming(BODY, headers), secrets)) == why
    assert try_on(TOKEN, incoming(BODY, {"X-Token": "b"}), secrets)[0].is_accepted


def test_another_login_is_refused() -> None:
    secrets: dict[str, str | tuple[str, ...]] = {"webhook_user": "u", "webhook_password": ("p:1", "p2")}

    def login(text: str) -> dict[str, str]:
        return {"Authorization": f"Basic {b64encode(text.encode()).decode()}"}

    for text in ("u:p:1", "u:p2"):
        assert try_on(BASIC, incoming(BODY, login(text)), secrets)[0].is_accepted
    for text in ("u:p3", "v:p2", "u:", ":"):
        assert refusal(lambda text=text: try_on(BASIC, incoming(BODY, login(text)), secrets)) == "bad_token"  # type: ignore[misc]
    assert refusal(lambda: try_on(BASIC, incoming(BODY), secrets)) == "unsigned"
    assert refusal(lambda: try_on(BASIC, incoming(BODY, login("u:")), {"webhook_user": "u"})) == "no_secret"


# --- Questions ----------------------------------------------------------------------------------------------------

HUB = Challenge(
    parameter="hub.challenge", only_where=(("hub.mode", "subscribe"),), token=("hub.verify_token", "agreed")
)
HUBBED = HmacScheme(header="x-sig", challenge=HUB)
TOPICAL = HmacScheme(header="x-sig", challenge=Challenge(parameter="hub.challenge", topic=("hub.topic", "topic")))
SIGNS = HmacScheme(
    header="x-sig",
    prefix="sha256=",
    encoding=Encoding.BASE64,
    challenge=Challenge(parameter="crc", answer_field="token", is_signed=True),
)


def ask(scheme: HmacScheme | TokenScheme, secrets: dict[str, str], **query: str) -> tuple[int, bytes] | str:
    """Return how a question is answered, or why it is refused."""
    url = f"{URL}?{urlencode({name.replace('_', '.', 1): value for name, value in query.items()})}"
    try:
        verdict, _ = try_on(scheme, incoming(method="GET", url=url), secrets)
    except WebhookError as error:
        return error.reason
    assert not verdict.is_accepted
    assert verdict.reply is not None
    assert ("x-content-type-options", "nosniff") in verdict.reply.headers
    return verdict.reply.status, verdict.reply.body


def test_a_question_with_the_agreed_token_is_answered_as_it_stands() -> None:
    secrets = {"agreed": "t", "webhook_secret": "a"}
    assert ask(HUBBED, secrets, hub_mode="subscribe", hub_challenge="<b>1", hub_verify_token="t") == (200, b"<b>1")
    assert ask(HUBBED, secrets, hub_mode="subscribe", hub_challenge="1", hub_verify_token="a") == "bad_token"
    assert ask(HUBBED, secrets, hub_mode="subscribe", hub_challenge="1") == "bad_token"
    assert ask(HUBBED, secrets, hub_mode="other", hub_challenge="1", hub_verify_token="t") == "unsigned"
    assert ask(HUBBED, {}, hub_mode="subscribe", hub_challenge="1", hub_verify_token="") == "no_secret"
    long = "1" * 2000
    assert ask(HUBBED, secrets, hub_mode="subscribe", hub_challenge=long, hub_verify_token="t") == "malformed"


def test_a_hub_is_told_yes_only_to_what_we_want() -> None:
    secrets = {"topic": "https://feed", "webhook_secret": "a"}
    assert ask(TOPICAL, secrets, hub_mode="subscribe", hub_challenge="1", hub_topic="https://feed") == (200, b"1")
    assert ask(TOPICAL, secrets, hub_mode="subscribe", hub_challenge="1", hub_topic="https://x") == "wrong_audience"
    assert ask(TOPICAL, secrets, hub_mode="unsubscribe", hub_challenge="1", hub_topic="https://x") == (200, b"1")
    assert (
        ask(TOPICAL, secrets, hub_mode="unsubscribe", hub_challenge="1", hub_topic="https://feed") == "wrong_audience"
    )
    assert ask(TOPICAL, {}, hub_mode="subscribe", hub_challenge="1", hub_topic="https://feed") == "wrong_audience"


def test_what_could_be_a_delivery_is_never_signed_on_request() -> None:
    digest = b64encode(hmac.digest(b"a", b"abc", "sha256")).decode()
    answer = json.dumps({"token": f"sha256={digest}"}, separators=(",", ":")).encode()
    assert ask(SIGNS, {"webhook_secret": "a"}, crc="abc") == (200, answer)
    for forged in ('{"data":{}}', "[]", '"a"', "a b", "a" * 257, "é"):
        assert ask(SIGNS, {"webhook_secret": "a"}, crc=forged) == "malformed"


def test_a_question_in_a_signed_body_is_answered_once_the_signature_holds() -> None:
    challenge = Challenge(json_field="challenge", only_where=(("type", "url_verification"),))
    scheme = HmacScheme(header="x-sig", challenge=challenge)

    def sent(body: bytes, key: bytes = b"a") -> object:
        verdict, _ = try_on(
            scheme, incoming(body, {"X-Sig": hmac.digest(key, body, "sha256").hex()}), {"webhook_secret": "a"}
        )
        return verdict.reply.body if verdict.reply else verdict.is_accepted

    question = b'{"type": "url_verification", "challenge": "c"}'
    assert sent(question) == b"c"
    assert refusal(lambda: sent(question, b"b")) == "bad_signature"
    for other in (
        b'{"type": "event", "challenge": "c"}',
        b'{"challenge": 1}',
        b"challenge=c",
        b"challenge" + b"[" * 100_000,
    ):
        assert sent(other) is True
