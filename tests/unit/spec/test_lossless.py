from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.spec.lossless import Convert, to_bool, to_float, to_int, to_member, to_text

Raw = msgspec.Raw
NUMBERS = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("convert", "value", "made"),
    [
        (to_int, "12", 12), (to_int, "-3", -3), (to_int, "0", 0), (to_int, Raw("12.0"), 12), (to_int, Raw("1e2"), 100),
        (to_text, 12, "12"), (to_text, Raw("1.50"), "1.50"), (to_text, Raw("1e400"), "1e400"),
        (to_bool, 0, False), (to_bool, 1, True), (to_bool, "true", True), (to_bool, "False", False),
        (to_bool, "1", True), (to_member(["1", "2"]), 2, "2"), (to_member([1, 2]), "2", 2),
    ],
)  # fmt: skip
def test_what_can_be_said_in_the_other_type_is(convert: Convert, value: Any, made: Any) -> None:
    got = convert(value)
    assert (type(got), got) == (type(made), made)


@pytest.mark.parametrize("text", ["1.50", "-0.1", "12", "1e3", "1E-7"])
def test_the_text_of_a_number_becomes_a_float(text: str) -> None:
    made = to_float(text)
    assert made is not None
    assert float(bytes(made)) == float(text)


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (to_int, "007"), (to_int, "+1"), (to_int, " 1"), (to_int, "1.0"), (to_int, "x"), (to_int, ""), (to_int, True),
        (to_int, Raw("1.5")), (to_int, Raw("1e999999999")), (to_int, "9" * 5000), (to_int, None), (to_int, "\u0661"),
        (to_float, "0.12345678901234567890"), (to_float, "1e400"), (to_float, "NaN"), (to_float, "Infinity"),
        (to_float, "1,5"), (to_float, "1_0"), (to_float, ""), (to_float, True), (to_float, "9" * 5000),
        (to_text, True), (to_text, None), (to_text, []), (to_text, {}),
        (to_bool, 2), (to_bool, "yes"), (to_bool, ""), (to_bool, Raw("1.0")), (to_bool, None), (to_bool, -1),
        (to_member(["1"]), "2"), (to_member([True]), "True"), (to_member([1]), True), (to_member([None]), "None"),
    ],
)  # fmt: skip
def test_what_would_be_a_guess_is_not_made(convert: Convert, value: Any) -> None:
    assert convert(value) is None


@given(NUMBERS)
def test_an_integer_survives_the_way_through_text(number: int) -> None:
    assert to_int(to_text(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_the_way_through_text(number: float) -> None:
    made = to_float(to_text(Raw(msgspec.json.encode(number))))
    assert made is not None
    assert float(bytes(made)) == number
