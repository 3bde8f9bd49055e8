from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Headers
from fairlead.model.message import Request, Response, build_request, encode_query
from fairlead.model.outcome import Effect

CANARY = "sk_live_8731"


@pytest.mark.parametrize(
    "path", ["/", "/v1/things", "/v1/a%2Fb", "/v1/a:b@c", "/v1//things", "/%C3%A9", "/v1/..things", "/a;b=c,d"]
)
def test_a_path_stays_as_it_is(path: str) -> None:
    assert build_request("GET", path).path == path


@pytest.mark.parametrize(
    "path",
    ["", "v1", "//evil.example/", "///", "http://evil.example/", "https:/evil", "/a b", "/a\r\nHost: evil", "/a\0",
     "/..", "/a/../b", "/a/./b", "/a/%2E%2e/b", "/é",
     "/a?b=c", "/a#b", "\\\\evil", "/\\evil.example", "/a\x7f", "/a\t"],
)  # fmt: skip
def test_a_path_cannot_lead_elsewhere(path: str) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be used"):
        build_request("GET", path)


def test_a_refused_path_does_not_show_its_query() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        build_request("GET", f"/things?key={CANARY}")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("method", ["get", "TRACE", "CONNECT", "", "GET\r\n"])
def test_unknown_methods_are_refused(method: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a method"):
        build_request(method, "/")


@pytest.mark.parametrize(
    ("method", "effect"),
    [("GET", Effect.READ), ("HEAD", Effect.READ), ("OPTIONS", Effect.READ), ("POST", Effect.ONCE),
     ("PUT", Effect.ONCE), ("PATCH", Effect.ONCE), ("DELETE", Effect.ONCE)],
)  # fmt: skip
def test_what_a_repeat_would_do_is_taken_from_the_method(method: str, effect: Effect) -> None:
    assert build_request(method, "/").effect is effect
    assert build_request(method, "/", effect=Effect.IDEMPOTENT).effect is Effect.IDEMPOTENT


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (None, ()),
        ({}, ()),
        ({"a": 1, "b": 1.5, "c": "x y"}, (("a", "1"), ("b", "1.5"), ("c", "x y"))),
        ({"a": True, "b": False}, (("a", "true"), ("b", "false"))),
        ({"a": None, "b": ""}, (("b", ""),)),
        ({"a": [1, None, "x", True]}, (("a", "1"), ("a", "x"), ("a", "true"))),
        ({"a": ()}, ()),
        ([("a", 1), ("a", 2)], (("a", "1"), ("a", "2"))),
    ],
)
def test_a_query_is_flattened(query: Any, pairs: tuple[tuple[str, str], ...]) -> None:
    assert build_request("GET", "/", query=query).query == pairs


@given(st.lists(st.tuples(st.text(), st.text())))
def test_an_encoded_query_reads_back(pairs: list[tuple[str, str]]) -> None:
    encoded = encode_query(tuple(pairs))
    assert parse_qsl(encoded, keep_blank_values=True) == pairs
    assert encoded.isascii()
    assert not set(encoded) & set(" \r\n#?")


def test_a_space_in_a_query_is_written_as_every_server_reads_it() -> None:
    assert encode_query((("a b", "c+d ~"),)) == "a%20b=c%2Bd%20~"


def test_json_has_its_content_type() -> None:
    request = Request.post("/", json={"a": [1, None]}, headers={"X": "1"})
    assert request.body == b'{"a":[1,null]}'
    assert request.headers == (("content-type", "application/json"), ("X", "1"))
    assert Request.post("/").headers == ()


def test_a_post_is_once_unless_somebody_knows_better() -> None:
    assert Request.post("/").effect is Effect.ONCE
    keyed = Request.post("/", effect=Effect.IDEMPOTENT, idempotency_key="k")
    assert (keyed.effect, keyed.idempotency_key) == (Effect.IDEMPOTENT, "k")


def test_the_text_of_a_request_shows_no_credential() -> None:
    request = Request.post("/v1", json=CANARY, query={"k": CANARY}, headers={"k": CANARY}, idempotency_key=CANARY)
    assert repr(request) == "Request(POST /v1, once)"


def test_the_text_of_a_response_shows_no_body() -> None:
    response = Response(status=200, headers=Headers([("set-cookie", CANARY)]), body=CANARY.encode())
    assert repr(response) == f"Response(200, {len(CANARY)} bytes)"


def test_a_body_is_text_or_json() -> None:
    response = Response(status=200, headers=Headers(), body='{"a": "ü"}'.encode())
    assert response.json() == {"a": "ü"}
    assert response.text == '{"a": "ü"}'
    broken = Response(status=200, headers=Headers(), body=b"\xff")
    assert broken.text == "\N{REPLACEMENT CHARACTER}"
    with pytest.raises(ValueError, match=r"malformed|invalid|Invalid"):
        broken.json()
