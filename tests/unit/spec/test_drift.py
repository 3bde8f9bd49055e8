"""The rules of drift: what of a vendor's answer is tolerated, what is refused, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.headers import Headers
from fairlead.model.message import Response
from fairlead.spec.answer import decode, decode_at, decode_each
from fairlead.spec.drift import Finding
from fairlead.spec.mapping import ResponseMapping, Shape
from fairlead.spec.watch import Watch

CANARY = "sk_live_8731"


class Colour(Enum):
    RED = "red"
    ONE = "1"


class Line(msgspec.Struct):
    price: Decimal
    amount: int = 1


class Order(msgspec.Struct):
    id: int
    title: str
    total: float = 0.0
    is_paid: bool = False
    note: str | None = None
    tags: list[str] | UnsetType = UNSET
    colour: Colour = Colour.RED
    level: Literal[1, 2] = 1
    code: Annotated[str, msgspec.Meta(max_length=3)] = ""
    lines: list[Line] = []
    by_day: dict[str, Line] = {}


WHOLE: dict[str, Any] = {
    "id": 1, "title": "a", "total": 1.5, "is_paid": True, "colour": "red", "level": 1, "code": "x",
    "lines": [{"price": "1.10", "amount": 1}], "by_day": {},
}  # fmt: skip
ORDER = ResponseMapping(model=Order, version="1")


def answer(content: Any) -> Response:
    return Response(status=200, headers=Headers(), body=content if isinstance(content, bytes) else dump(content))


def dump(content: Any) -> bytes:
    return msgspec.json.encode(content)


def read(content: Any, shape: Shape[Any] = ORDER) -> tuple[Any, list[str]]:
    """Return what an answer is read as, or the error; and what was told, with a `!` where it was refused."""
    watch = Watch()
    try:
        with watch:
            value = decode(answer(content), shape)
    except UnexpectedAnswerError as error:
        value = error
    return value, [written(each) for _, each in watch.take()]


def written(each: Finding) -> str:
    return f"{each.kind}{'' if each.is_tolerated else '!'} {each.path}: {each.expected} -> {each.found}"


def but(**changes: Any) -> dict[str, Any]:
    """Return a whole order with changes; None takes a field out."""
    return {name: value for name, value in {**WHOLE, **changes}.items() if value is not None}


# --- The rules ----------------------------------------------------------------------------------------------------


def test_an_answer_that_fits_has_no_drift() -> None:
    assert read(WHOLE) == (msgspec.convert(WHOLE, Order), [])


@pytest.mark.parametrize(
    ("content", "told", "field", "value"),
    [
        # Missing.
        (but(note=None, tags=None), [], "note", None),
        (but(total=None), ["missing $.total: float -> nothing"], "total", 0.0),
        (but(lines=[{"price": 1}]), ["missing $.lines[].amount: int -> nothing"], "lines", [Line(Decimal(1))]),
        # Added.
        (but(new=CANARY), ["added $.new: nothing -> str"], "id", 1),
        (but(new=[]), ["added $.new: nothing -> array"], "id", 1),
        (but(lines=[{"price": 1, "amount": 1, "x": 1.5}]), ["added $.lines[].x: nothing -> float"], "id", 1),
        (but(**{"a.b@c.test": 1}), ["added $[...]: nothing -> int"], "id", 1),
        # Renamed.
        (but(title=None, Title="b"), ["renamed $.title: str -> $.Title"], "title", "b"),
        (but(is_paid=None, isPaid=True), ["renamed $.is_paid: bool -> $.isPaid"], "is_paid", True),
        (but(is_paid=None, **{"is-paid": True}), ["renamed $.is_paid: bool -> $.is-paid"], "is_paid", True),
        (but(Note="n"), ["renamed $.note: str | null -> $.Note"], "note", "n"),
        (but(Tags=["n"]), ["renamed $.tags: array -> $.Tags"], "tags", ["n"]),
        (but(lines=[{"Price": 1, "amount": 1}]), ["renamed $.lines[].price: decimal -> $.lines[].Price"],
         "lines", [Line(Decimal(1))]),
        (but(by_day={CANARY: {"Price": 1, "amount": 1}}),
         ["renamed $.by_day[...].price: decimal -> $.by_day[...].Price"], "by_day", {CANARY: Line(Decimal(1))}),
        (but(total=None, totals=2.5), ["renamed $.total: float -> $.totals"], "total", 0.0),  # by likeness: a hint
        (but(id=None, ID="7"), ["renamed $.id: int -> $.ID", "retyped $.id: int -> str"], "id", 7),
        # Retyped.
        (but(id="7"), ["retyped $.id: int -> str"], "id", 7),
        (but(id=7.0), ["retyped $.id: int -> float"], "id", 7),
        (but(title=7), ["retyped $.title: str -> int"], "title", "7"),
        (but(total="1.50"), ["retyped $.total: float -> str"], "total", 1.5),
        (but(is_paid=1), ["retyped $.is_paid: bool -> int"], "is_paid", True),
        (but(is_paid="false"), ["retyped $.is_paid: bool -> str"], "is_paid", False),
        (but(note=7), ["retyped $.note: str | null -> int"], "note", "7"),
        (but(colour=1), ["retyped $.colour: enum -> int"], "colour", Colour.ONE),
        (but(level="2"), ["retyped $.level: enum -> str"], "level", 2),
        (dump(but()).replace(b'"id":1', b'"id":1,"total":null'), [], "id", 1),  # the last of two counts
        (dump(but(total=None)).replace(b'"id":1', b'"id":1,"total":null'),
         ["retyped $.total: float -> null"], "total", 0.0),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
def test_what_can_be_tolerated_is(content: Any, told: list[str], field: str, value: Any) -> None:
    got, found = read(content)
    assert found == told
    assert getattr(got, field) == value
    assert type(getattr(got, field)) is type(value)


@pytest.mark.parametrize(
    ("content", "told", "path"),
    [
        (but(title=None), ["missing! $.title: str -> nothing"], "$"),
        (but(title=None, ttl="b"), ["missing! $.title: str -> nothing", "added $.ttl: nothing -> str"], "$"),
        (but(title=None, titles="b"), ["renamed! $.title: str -> $.titles"], "$"),
        (but(title=None, Title=[]), ["missing! $.title: str -> nothing", "added $.Title: nothing -> array"], "$"),
        (but(title=None, Title="b", TITLE="c"),
         ["missing! $.title: str -> nothing", "added $.Title: nothing -> str", "added $.TITLE: nothing -> str"], "$"),
        (but(id=CANARY), ["retyped! $.id: int -> str"], "$.id"),
        (but(id="007"), ["retyped! $.id: int -> str"], "$.id"),
        (but(id=1.5), ["retyped! $.id: int -> float"], "$.id"),
        (dump(but(id=None)).replace(b"{", b'{"id":null,', 1), ["retyped! $.id: int -> null"], "$.id"),
        (but(total="0.12345678901234567890"), ["retyped! $.total: float -> str"], "$.total"),
        (but(title=True), ["retyped! $.title: str -> bool"], "$.title"),
        (but(tags="a"), ["retyped! $.tags: array -> str"], "$.tags"),
        (but(lines={}), ["retyped! $.lines: array -> object"], "$.lines"),
        (but(lines=[{"price": 1, "amount": 1}, {"price": True, "amount": 1}]),
         ["retyped! $.lines[].price: decimal -> bool"], "$.lines[1].price"),
        (but(lines=[{"price": 1, "amount": "1"}, {"price": 1, "amount": "x"}]),
         ["retyped! $.lines[].amount: int -> str"], "$.lines[1].amount"),
        # Of the right type, and not what was declared.
        (but(colour=CANARY), ["retyped! $.colour: Invalid enum value -> another value"], "$.colour"),
        (but(code=CANARY), ["retyped! $.code: str of length <= 3 -> another value"], "$.code"),
        (but(lines=[{"price": CANARY, "amount": 1}]),
         ["retyped! $.lines[].price: Invalid decimal string -> another value"], "$.lines[0].price"),
        ([], ["retyped! $: object -> array"], "$"),
        (7, ["retyped! $: object -> int"], "$"),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_path(content: Any, told: list[str], path: str) -> None:
    error, found = read(content)
    assert found == told
    assert isinstance(error, UnexpectedAnswerError)
    assert error.path == path
    assert CANARY not in f"{error} {found}"
    assert error.__cause__ is None


def test_the_error_names_what_cannot_be_mended_and_not_what_can() -> None:
    error, found = read(but(id="7", title=[CANARY]))
    assert error.path == "$.title"
    assert found == ["retyped $.id: int -> str", "retyped! $.title: str -> array"]


def test_a_mended_number_has_every_digit_that_came() -> None:
    got, _ = read(but(id="7", lines=[{"price": Decimal(0), "amount": 1}]) | {})
    assert got.id == 7
    body = dump(but(id="7")).replace(b'"1.10"', b"1.10000000000000000001")
    got, _ = read(body)
    assert got.lines[0].price == Decimal("1.10000000000000000001")


def test_what_is_no_json_is_no_drift() -> None:
    for body in (b"<html>", b'{"id":"7"', b'{"x":' * 100_000):
        error, found = read(body)
        assert error.is_garbled
        assert found == []


# --- Declared departures ------------------------------------------------------------------------------------------


def declared(**changes: Any) -> ResponseMapping[Order]:
    return ResponseMapping(model=Order, version="1", **changes)


def test_a_declared_name_is_read_and_is_no_drift() -> None:
    mapping = declared(renames={"title": ("ttl", "heading"), "lines.amount": "qty"})
    got, found = read(but(title=None, heading="b", lines=[{"price": 1, "qty": 3}]), mapping)
    assert (got.title, got.lines, found) == ("b", [Line(Decimal(1), 3)], [])


def test_a_declared_name_of_a_field_that_may_be_missing_is_read_in_every_answer() -> None:
    mapping = declared(renames={"note": "remark"})
    for _ in range(3):
        assert decode(answer(but(remark="r")), mapping).note == "r"


def test_where_both_names_are_there_the_own_counts() -> None:
    got, found = read(but(ttl="b"), declared(renames={"title": "ttl"}))
    assert (got.title, found) == ("a", [])


def test_what_is_passed_over_is_no_drift() -> None:
    content = but(new=1, lines=[{"price": 1, "amount": 1, "debug": {"x": 1}, "more": 1}])
    assert read(content, declared(ignores=("new", "lines.debug")))[1] == ["added $.lines[].more: nothing -> int"]


@pytest.mark.parametrize("shape", [Order, declared(is_partial=True)])
def test_a_shape_that_names_only_what_is_read_hears_nothing_of_more(shape: Shape[Order]) -> None:
    content = but(new=1, total=None, lines=[{"price": "1", "x": 1, "Amount": 2}])
    assert read(content, shape)[1] == [
        "missing $.total: float -> nothing",
        "renamed $.lines[].amount: int -> $.lines[].Amount",
    ]


def test_a_model_that_is_closed_refuses_more() -> None:
    class Closed(msgspec.Struct, forbid_unknown_fields=True):
        id: int

    error, found = read({"id": 1, "new": 1}, Closed)
    assert (error.path, found) == ("$", ["added! $.new: nothing -> int"])


def test_paths_begin_where_the_answer_does() -> None:
    watch, mapping = Watch(), declared(at="data.order")
    body = answer({"data": {"order": but(id="7")}, "list": [but(title=7)]})
    with watch:
        assert decode(body, mapping).id == 7
        assert decode_each(body, ("list",), mapping)[0].title == "7"
        with pytest.raises(UnexpectedAnswerError):
            decode_at(body, ("data", "orders"), mapping)
    assert [written(each) for _, each in watch.take()] == [
        "retyped $.data.order.id: int -> str",
        "retyped $.list[].title: str -> int",
        "missing! $.data.orders: object -> nothing",
    ]


# --- How seldom it is looked for ----------------------------------------------------------------------------------


def test_answers_that_fit_are_looked_at_more_and_more_seldom() -> None:
    watch = Watch()
    told = []
    for number in range(1, 10):
        with watch:
            decode(answer(but(**{f"new{number}": 1})), ORDER)
        told += [each.path for _, each in watch.take()]
    assert told == ["$.new1", "$.new2", "$.new4", "$.new8"]


def test_a_new_name_once_seen_is_read_in_every_answer() -> None:
    watch = Watch()
    for _ in range(10):
        with watch:
            assert decode(answer(but(Note="n")), ORDER).note == "n"
    assert len(list(watch.take())) == 1


def test_of_a_long_answer_that_fits_only_the_beginning_is_looked_at() -> None:
    fits = {"price": 1, "amount": 1}
    assert read(but(lines=[fits] * 5000 + [{**fits, "new": 1}]))[1] == []
    assert read(but(id="7", lines=[fits] * 5000 + [{**fits, "new": 1}]))[1] == [
        "retyped $.id: int -> str",
        "added $.lines[].new: nothing -> int",
    ]


def test_unwatched_it_is_read_the_same() -> None:
    assert decode(answer(but(id="7", Title="b", title=None)), ORDER) == msgspec.convert(but(id=7, title="b"), Order)


# --- Models of every kind -----------------------------------------------------------------------------------------


class Card(msgspec.Struct, tag="card"):
    last4: str


class Bank(msgspec.Struct, tag="bank"):
    iban: str


class Tree(msgspec.Struct):
    size: int
    children: list[Tree] = []


class Row(msgspec.Struct, array_like=True):
    id: int
    row: Row | None = None


class Pair(NamedTuple):
    left: int
    right: str


class Loose(TypedDict):
    id: int
    note: NotRequired[str]


@dataclass
class Data:
    id: int
    size: float = 0.0


@pytest.mark.parametrize(
    ("model", "content", "told"),
    [
        (list[Card | Bank], [{"type": "card", "last4": 4242}, {"type": "bank", "IBAN": "x"}],
         ["retyped $[].last4: str -> int", "renamed $[].iban: str -> $[].IBAN"]),
        (list[Card | Bank], [{"type": "cash"}], ["retyped! $[].type: Invalid value -> another value"]),
        (Tree, {"size": 1, "children": [{"size": "1", "children": []}]}, ["retyped $.children[].size: int -> str"]),
        (Row, ["1", None], ["retyped $[0]: int -> str"]),
        (tuple[int, str], ["1", 1], ["retyped $[0]: int -> str", "retyped $[1]: str -> int"]),
        (Pair, [1, 2], ["retyped $[1]: str -> int"]),
        (Loose, {"id": "1"}, ["retyped $.id: int -> str"]),
        (Data, {"id": "1"}, ["missing $.size: float -> nothing", "retyped $.id: int -> str"]),
        (int | str, 1.5, ["retyped $: int | str -> float"]),
        (int | bool, "1", ["retyped! $: int | bool -> str"]),
        (int | float, "1", ["retyped $: int | float -> str"]),
        (str | list[str], 7, ["retyped! $: str | array -> int"]),  # a list may be meant
        (dict[str, int], {CANARY: "1"}, ["retyped $[...]: int -> str"]),
        (Any, {"x": [1]}, []),
        (dict[str, Any], {"x": [1]}, []),
        (msgspec.Raw, {"x": [1]}, []),
        (Annotated[int, msgspec.Meta(ge=1)], "0", ["retyped $: int -> str", "retyped! $: int >= 1 -> another value"]),
    ],
    ids=lambda each: str(each)[:50],
)  # fmt: skip
def test_models_of_every_kind_are_compared(model: Any, content: Any, told: list[str]) -> None:
    assert read(content, model)[1] == told


def test_a_document_deeper_than_any_is_read_and_not_compared_to_the_end() -> None:
    document: dict[str, Any] = {"size": "1", "children": []}
    for _ in range(200):
        document = {"size": 1, "children": [document]}
    error, found = read(document, Tree)
    assert isinstance(error, UnexpectedAnswerError)
    assert len(found) == 1
    assert found[0].startswith("retyped! $.children[].children[]")
