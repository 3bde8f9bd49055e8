from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidArgumentError
from fairlead.model.answer import Answer
from fairlead.model.call import CacheUse, CallReport, Ref
from fairlead.model.page import Page


@pytest.mark.parametrize(
    ("text", "ref"),
    [("stripe-eu:ch_1", Ref("stripe-eu", "ch_1")), ("a:b:c", Ref("a", "b:c")), ("a: ", Ref("a", " "))],
)
def test_a_reference_is_read_and_written(text: str, ref: Ref) -> None:
    assert Ref.parse(text) == ref
    assert str(ref) == text


@pytest.mark.parametrize("text", ["", ":", "a", "a:", ":b"])
def test_half_a_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a reference"):
        Ref.parse(text)


@given(st.text(min_size=1).filter(lambda name: ":" not in name), st.text(min_size=1))
def test_any_identifier_survives(connection: str, identifier: str) -> None:
    ref = Ref(connection, identifier)
    assert Ref.parse(str(ref)) == ref


def test_an_answer_tells_how_it_came_about() -> None:
    assert (Answer().served_by, Answer().is_stale) == (None, False)
    answer = Answer(call=CallReport(call_id="1", served_by="a", cache=CacheUse.STALE))
    assert (answer.served_by, answer.is_stale) == ("a", True)


def test_a_page_is_a_sequence_of_its_items() -> None:
    page = Page(items=(1, 2))
    assert list(page) == [1, 2]
    assert len(page) == 2
    assert page.next is None
