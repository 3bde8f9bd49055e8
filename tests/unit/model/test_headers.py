from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidArgumentError
from fairlead.model.headers import Headers, checked_headers

CANARY = "sk_live_8731"


def test_names_have_no_case() -> None:
    headers = Headers([("Content-Type", "text/plain")])
    assert headers["content-TYPE"] == "text/plain"
    assert headers.get("CONTENT-type") == "text/plain"
    assert "Content-type" in headers
    assert list(headers) == ["content-type"]


def test_a_repeated_field_is_one_value_and_can_be_had_apart() -> None:
    headers = Headers([("Link", "a"), ("X", "1"), ("link", "b")])
    assert headers["link"] == "a, b"
    assert headers.all("LINK") == ("a", "b")
    assert len(headers) == 2
    assert headers.pairs == (("Link", "a"), ("X", "1"), ("link", "b"))


def test_what_is_not_there() -> None:
    headers = Headers()
    assert headers.get("x") is None
    assert headers.all("x") == ()
    with pytest.raises(KeyError):
        headers["x"]


def test_the_text_shows_names_only() -> None:
    assert repr(Headers([("Authorization", CANARY), ("X", "1")])) == "Headers(authorization, x)"


def test_good_headers_pass_unchanged() -> None:
    assert checked_headers({"X-A": "1", "b": "ü \t"}) == (("X-A", "1"), ("b", "ü \t"))
    assert checked_headers([("a", "1"), ("a", "2")]) == (("a", "1"), ("a", "2"))
    assert checked_headers(None) == ()


@pytest.mark.parametrize("end", ["\r", "\n", "\r\nX-Evil: 1", "\0"])
@pytest.mark.parametrize("form", ["{value}{end}", "{end}{value}", "{value}{end}{value}"])
def test_a_value_cannot_start_another_header(form: str, end: str) -> None:
    with pytest.raises(InvalidArgumentError, match="'X-Key' has a line break or NUL") as caught:
        checked_headers({"X-Key": form.format(value=CANARY, end=end)})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", ["", "X Key", "X:", "X\r\nEvil", "X\n", "ü", "X\0", "(X)"])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a header name") as caught:
        checked_headers({name: CANARY})
    assert CANARY not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.lists(st.tuples(st.text(), st.text())))
def test_what_passes_is_one_line(pairs: list[tuple[str, str]]) -> None:
    try:
        checked = checked_headers(pairs)
    except InvalidArgumentError:
        return
    assert not any(char in f"{name}{value}" for name, value in checked for char in "\r\n\0")
