"""Which reads can become one, what is asked instead, and whose each part of the answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.message import Request, build_request
from fairlead.model.outcome import Effect
from fairlead.spec.batch import BatchRule, split_answer
from provider_suite import answer, play

RULE = BatchRule(path="/items/{id}", many="/items")


@pytest.mark.parametrize(
    ("template", "path", "identifier"),
    [
        ("/items/{id}", "/items/42", "42"),
        ("/items/{id}", "/items/a%20b%2Fc", "a b/c"),
        ("/items/{id}", "/items/%C3%A9", "é"),
        ("/items/{id}.json", "/items/42.json", "42"),
        ("/shops/1/items/{id}/short", "/shops/1/items/42/short", "42"),
        ("/items/{id}", "/items/", None),
        ("/items/{id}", "/items", None),
        ("/items/{id}", "/items/42/parts", None),
        ("/items/{id}", "/Items/42", None),
        ("/items/{id}", "/v1/items/42", None),
        ("/items/{id}.json", "/items/.json", None),
        ("/ab{id}bc", "/abc", None),
        ("/items/{id}", "/items/%FF", None),
        ("/items/{id}", "/items/1,2", None),
        ("/items/{id}", "/items/1%2C2", None),
    ],
)
def test_only_what_fits_the_template_is_joined(template: str, path: str, identifier: str | None) -> None:
    rule = BatchRule(path=template, many="/items")
    assert rule.identify(Request.get(path)) == identifier


def test_an_id_may_have_a_comma_where_none_parts_the_ids() -> None:
    assert BatchRule(path="/items/{id}", many="/items", separator="").identify(Request.get("/items/1,2")) == "1,2"
    assert BatchRule(path="/items/{id}", many="/items", separator="|").identify(Request.get("/items/1,2")) == "1,2"


@pytest.mark.parametrize(
    "request_",
    [
        Request.get("/items/42", query={"full": "true"}),
        Request.get("/items/42", headers={"accept-language": "de"}),
        build_request("HEAD", "/items/42"),
        build_request("DELETE", "/items/42", effect=Effect.READ),
        build_request("GET", "/items/42", effect=Effect.ONCE),
        build_request("GET", "/items/42", body=b"{}"),
    ],
    ids=["a query", "a header", "another method", "a delete", "an effect", "a body"],
)
def test_what_is_more_than_a_plain_read_is_not_joined(request_: Request) -> None:
    assert RULE.identify(request_) is None


@pytest.mark.parametrize(
    ("separator", "query"),
    [(",", (("ids", "42,a b"),)), ("|", (("ids", "42|a b"),)), ("", (("ids", "42"), ("ids", "a b")))],
)
def test_the_ids_are_asked_for_as_the_vendor_wants_them(separator: str, query: tuple[tuple[str, str], ...]) -> None:
    rule = BatchRule(path="/items/{id}", many="/things", separator=separator)
    [request], _ = play(rule.ask(["42", "a b"]), answer(b"[]"))
    assert (request.method, request.path, request.query, request.effect) == ("GET", "/things", query, Effect.READ)


def test_each_item_is_an_answer_of_its_own_as_the_vendor_wrote_it() -> None:
    rule = BatchRule(path="/items/{id}", many="/items", items_at=("data", "items"), id_at=("meta", "id"))
    body = b'{"data":{"items":[{"meta":{"id":42},"price":1.10},{"meta":{"id":"x"},"price":2e3}]}}'
    _, found = play(rule.ask(["42", "x", "gone"]), answer(body))
    assert found.keys() == {"42", "x"}
    assert found["42"].body == b'{"meta":{"id":42},"price":1.10}'
    assert found["x"].body == b'{"meta":{"id":"x"},"price":2e3}'
    assert {(each.status, each.headers["content-type"]) for each in found.values()} == {(200, "application/json")}


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"items": {}}, "$.items"),
        ({"items": [{"id": 1}, {}]}, "$.items[1].id"),
        ({"items": [{"id": None}]}, "$.items[0].id"),
        ({"items": [{"id": True}]}, "$.items[0].id"),
        ({"items": [{"id": 1.5}]}, "$.items[0].id"),
        ({"items": [1]}, "$.items[0].id"),
        ({}, "$.items"),
    ],
)
def test_an_answer_whose_parts_belong_to_nobody_is_unexpected(content: Any, path: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        split_answer(answer(json.dumps(content).encode()), items_at=("items",))
    assert caught.value.path == path


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_no_body_breaks_it(body: bytes) -> None:
    try:
        found = split_answer(answer(body))
    except UnexpectedAnswerError:
        return
    assert all(isinstance(each, str) for each in found)
