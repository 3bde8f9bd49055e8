from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from fairlead.errors import InvalidArgumentError
from fairlead.spec.mapping import ResponseMapping, mapping_of, name_of


class Line(msgspec.Struct, rename="camel"):
    unit_price: float
    note: str | None = None


class Order(msgspec.Struct):
    id: int
    lines: list[Line] = []
    by_day: dict[str, Line] = {}


def mapping(**changes: Any) -> ResponseMapping[Order]:
    version = changes.pop("version", "1")
    return ResponseMapping(model=Order, version=version, **changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"renames": {"idd": "ID"}}, "Order renames 'idd', which is no field of the model. Did you mean 'id'?"),
        ({"renames": {"lines.unit_price": "p"}}, "is no field of the model. Did you mean 'unitPrice'?"),
        ({"renames": {"id.x": "p"}}, "renames 'id.x', which is no field of the model. Name it as JSON does"),
        ({"renames": {"id": "lines"}}, "takes 'lines' for 'id', and it is a field itself."),
        ({"renames": {"lines.note": ("a", "unitPrice")}}, "takes 'unitPrice' for 'lines.note', and it is a field"),
        ({"at": "a..b"}, "'a..b' is not a place."),
        ({"ignores": ("$.", )}, "'$.' is not a place."),
        ({"renames": {".id": "x"}}, "'.id' is not a place."),
        ({"version": ""}, "The mapping Order has no version."),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_is_refused_where_it_is_declared(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        mapping(**changes)
    assert problem in str(caught.value)


def test_places_lead_through_lists_and_free_keys() -> None:
    made = mapping(renames={"lines.unitPrice": "price", "by_day.note": ("remark", "memo")}, ignores=("lines.debug",))
    assert made.other_names == {("lines", "unitPrice"): ("price",), ("by_day", "note"): ("remark", "memo")}
    assert made.passed_over == {("lines", "debug")}
    assert made.marks == (b'"price"', b'"remark"', b'"memo"')


def test_a_name_that_may_be_written_in_several_ways_is_looked_for_in_every_body() -> None:
    assert mapping(renames={"id": "número"}).marks == (b"",)


def test_a_plain_type_is_a_mapping_that_names_only_what_is_read() -> None:
    plain = mapping_of(Order)
    assert (plain.title, plain.version, plain.is_partial, plain.path) == ("Order", "", True, ())
    assert mapping_of(Order) is plain
    assert mapping_of(plain) is plain


def test_a_type_that_cannot_be_hashed_can_be_read_all_the_same() -> None:
    odd: Any = Annotated[int, ["a note"]]
    assert mapping_of(odd).model is odd
    assert mapping_of(odd).key == mapping_of(odd).key


def test_a_mapping_made_anew_is_the_same_one() -> None:
    assert mapping().key == mapping().key
    assert mapping().key != mapping(name="other").key
    assert mapping().key != mapping_of(Order).key


def test_of_a_list_it_is_each_item_that_is_mapped() -> None:
    several = mapping(at="data", renames={"id": "ID"}).of_items
    assert (several.model, several.title, several.path) == (tuple[Order, ...], "Order", ())
    assert several.other_names == {("id",): ("ID",)}


@pytest.mark.parametrize(
    ("model", "name"),
    [(Order, "Order"), (list[Order], "list[Order]"), (dict[str, list[Order]], "dict[str, list[Order]]"), (int, "int"),
     (Any, "Any"), (Order | None, "Order | None"), (tuple[Order, ...], "tuple[Order, ...]")],
)  # fmt: skip
def test_names_have_no_modules(model: Any, name: str) -> None:
    assert name_of(model) == name
