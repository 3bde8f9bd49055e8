from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.headers import Headers
from fairlead.model.message import Response
from fairlead.spec.answer import decode, text_at

CANARY = "sk_live_8731"


class Colour(Enum):
    RED = "red"


class Item(msgspec.Struct):
    id: int
    kind: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    code: Annotated[str, msgspec.Meta(max_length=3)] = ""


class Items(msgspec.Struct):
    items: list[Item]
    by_name: dict[str, Item] = {}


def answer(body: bytes, status: int = 200, **headers: str) -> Response:
    return Response(status=status, headers=Headers((k.replace("_", "-"), v) for k, v in headers.items()), body=body)


def test_a_body_is_read_and_unknown_fields_are_ignored() -> None:
    assert decode(answer(b'{"items":[{"id":1,"new":[{}]}],"more":1}'), Items) == Items([Item(1)])


@pytest.mark.parametrize(
    ("body", "path", "problem"),
    [
        ('{"items":[{"id":1},{"id":"%s"}]}', "$.items[1].id", "Expected `int`, got `str`"),
        ('{"items":[{"id":null,"x":"%s"}]}', "$.items[0].id", "Expected `int`, got `null`"),
        ('{"items":"%s"}', "$.items", "Expected `array`, got `str`"),
        ('{"x":"%s"}', "$", "Object missing required field `items`"),
        ('["%s"]', "$", "Expected `object`, got `array`"),
        ('{"items":[{"id":1,"kind":"%s"}]}', "$.items[0].kind", "Invalid enum value"),
        ('{"items":[{"id":1,"kind":"%s\' - at `$.evil`"}]}', "$.items[0].kind", "Invalid enum value"),
        ('{"items":[{"id":1,"colour":"%s\\n"}]}', "$.items[0].colour", "Invalid enum value"),
        ('{"items":[{"id":1,"code":"%s"}]}', "$.items[0].code", "Expected `str` of length <= 3"),
        ('{"items":[],"by_name":{"%s":{"id":[]}}}', "$.by_name[...].id", "Expected `int`, got `array`"),
    ],
)
def test_a_changed_shape_is_named_by_its_place_and_not_quoted(body: str, path: str, problem: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        decode(answer((body % CANARY).encode(), 201), Items)
    error = caught.value
    assert (error.path, error.is_garbled, error.status) == (path, False, 201)
    assert error.message == f"The answer has another shape at {path}: {problem}."
    assert CANARY not in str(error)
    assert error.__cause__ is None


GARBLED = (b"", b"<html>", b'{"items":[', b"{'items': []}", b"\xff", b'{"x":' * 100_000, b'{"items":[]} []')


@pytest.mark.parametrize("body", GARBLED, ids=lambda body: repr(body[:12]))
def test_what_is_no_json_is_garbled(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError, match="is not JSON") as caught:
        decode(answer(body, 502, content_type="text/html"), Items)
    error = caught.value
    assert (error.path, error.is_garbled, error.status) == ("$", True, 502)
    assert error.message == f"The answer is not JSON (text/html, {len(body)} bytes)."


def test_a_missing_content_type_is_said() -> None:
    with pytest.raises(UnexpectedAnswerError, match="no content type"):
        decode(answer(b"<html>"), Items)


@given(st.binary(max_size=50))
def test_no_body_does_harm(body: bytes) -> None:
    with suppress(UnexpectedAnswerError):
        decode(answer(body), Items)
    text_at(answer(body), ("a",))


@pytest.mark.parametrize(
    ("body", "path", "text"),
    [
        (b'{"code":"x"}', ("code",), "x"),
        (b'{"code":402}', ("code",), "402"),
        (b'{"error":{"code":"x"}}', ("error", "code"), "x"),
        (b'[{"code":"first"},{"code":"second"}]', ("code",), "first"),
        (b'{"errors":[{"code":"first"},{"code":"second"}]}', ("errors", "code"), "first"),
        (b'{"errors":[]}', ("errors", "code"), None),
        (b'{"code":"x"}', (), None),
        (b'{"code":null}', ("code",), None),
        (b'{"code":{}}', ("code",), None),
        (b'{"code":1.5}', ("code",), None),
        (b'{"error":"x"}', ("error", "code"), None),
        (b"[]", ("code",), None),
        (b"{}", ("code",), None),
        (b"<html>", ("code",), None),
        (b"[" * 100_000, ("code",), None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_text_at_a_place(body: bytes, path: tuple[str, ...], text: str | None) -> None:
    assert text_at(answer(body), path) == text
