from __future__ import annotations

from base64 import b64decode
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.auth.sign import sign
from fairlead.errors import InvalidArgumentError
from fairlead.model.message import Request, is_path
from fairlead.model.secret import Secret
from fairlead.spec.provider import ApiKey, Auth, Basic, Bearer, Place

CANARY = "sk_live_8731"
REQUEST = Request.post("/v1/things", json={"a": 1}, query={"q": "x"}, headers={"x-trace": "1"})
UNSIGNED = (("content-type", "application/json"), ("x-trace", "1"))


def secrets(**values: str) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in values.items()}


def test_a_key_in_a_header() -> None:
    signed = sign(REQUEST, (ApiKey("key", Place.HEADER, "x-api-key"),), secrets(key=CANARY))
    assert signed.headers == (*UNSIGNED, ("x-api-key", CANARY))
    assert signed.query == (("q", "x"),)


def test_a_key_in_the_query() -> None:
    signed = sign(REQUEST, (ApiKey("key", Place.QUERY, "api_key"),), secrets(key=CANARY))
    assert signed.query == (("q", "x"), ("api_key", CANARY))
    assert signed.headers == UNSIGNED


def test_several_keys_and_one_that_was_not_given() -> None:
    keys = (
        ApiKey("id", Place.QUERY, "app_id"),
        ApiKey("key", Place.HEADER, "x-key"),
        ApiKey("user", Place.HEADER, "x-user"),
    )
    signed = sign(REQUEST, keys, secrets(id="1", key="2"))
    assert signed.query == (("q", "x"), ("app_id", "1"))
    assert signed.headers == (*UNSIGNED, ("x-key", "2"))


def test_a_key_in_the_path() -> None:
    request = Request.get("/v1/{key}/things/{key}", query={"q": "x"})
    signed = sign(request, (ApiKey("api_key", Place.PATH, "key"),), secrets(api_key=CANARY))
    assert signed.path == f"/v1/{CANARY}/things/{CANARY}"
    assert (signed.query, signed.headers) == (request.query, request.headers)


def test_a_path_without_the_placeholder_or_the_credential_stays_as_it_is() -> None:
    keys = (ApiKey("api_key", Place.PATH, "key"),)
    assert sign(REQUEST, keys, secrets(api_key=CANARY)) == REQUEST
    placeholder = Request.get("/v1/{key}/things")
    assert sign(placeholder, keys, {}) == placeholder


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1).filter(lambda text: text not in {".", ".."}))
def test_a_key_in_the_path_keeps_to_its_segment(value: str) -> None:
    keys = (ApiKey("one", Place.PATH, "one"), ApiKey("two", Place.PATH, "two"))
    signed = sign(Request.get("/{one}/things"), keys, secrets(one=value, two=CANARY))
    _, segment, rest = signed.path.split("/")
    assert (unquote(segment), rest) == (value, "things")
    assert is_path(signed.path)
    assert repr(signed) == "Request(GET /{one}/things, read)"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_key_cannot_lead_to_another_path(value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="'api_key' cannot be part of a path"):
        sign(Request.get("/{key}/things"), (ApiKey("api_key", Place.PATH, "key"),), secrets(api_key=value))


def test_no_keys_at_all() -> None:
    assert sign(REQUEST, (), secrets(key=CANARY)) == REQUEST


def test_bearer() -> None:
    assert sign(REQUEST, Bearer(), secrets(token="t")).headers == (*UNSIGNED, ("authorization", "Bearer t"))
    assert sign(REQUEST, Bearer("key"), secrets(key="t")).headers[-1] == ("authorization", "Bearer t")


def test_basic_with_the_same_user_for_everybody_and_a_credential_in_the_path() -> None:
    auth = Basic(password="key", fixed_user="api", path=("domain",))
    signed = sign(Request.get("/v3/{domain}/things"), auth, secrets(key="k", domain="mg.example.com"))
    assert signed.path == "/v3/mg.example.com/things"
    assert signed.shown_path == "/v3/{domain}/things"
    assert b64decode(dict(signed.headers)["authorization"].removeprefix("Basic ")) == b"api:k"
    with pytest.raises(InvalidArgumentError, match="'domain' cannot be part of a path"):
        sign(Request.get("/v3/{domain}/things"), auth, secrets(key="k", domain=".."))


def test_basic_is_that_of_the_rfc() -> None:
    signed = sign(REQUEST, Basic(), secrets(user="Aladdin", password="open sesame"))  # RFC 7617 §2
    assert signed.headers == (*UNSIGNED, ("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text(alphabet=st.characters(codec="utf-8")))
def test_basic_reads_back(user: str, password: str) -> None:
    signed = sign(REQUEST, Basic("u", "p"), secrets(u=user, p=password))
    assert b64decode(signed.headers[-1][1].removeprefix("Basic ")).decode() == f"{user}:{password}"


@pytest.mark.parametrize("auth", [Bearer("key"), (ApiKey("key", Place.HEADER, "x-key"),)])
def test_a_credential_cannot_start_another_header(auth: Auth) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        sign(REQUEST, auth, secrets(key=f"{CANARY}\r\nX-Evil: 1"))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "auth", [Bearer("key"), (ApiKey("key", Place.HEADER, "x"),), (ApiKey("key", Place.QUERY, "x"),)]
)
def test_the_request_stays_unsigned_and_the_signed_one_shows_nothing(auth: Auth) -> None:
    before = (REQUEST.query, REQUEST.headers)
    signed = sign(REQUEST, auth, secrets(key=CANARY))
    assert (REQUEST.query, REQUEST.headers) == before
    assert (signed.method, signed.path, signed.body, signed.effect) == (
        REQUEST.method, REQUEST.path, REQUEST.body, REQUEST.effect,
    )  # fmt: skip
    assert CANARY not in repr(signed)
