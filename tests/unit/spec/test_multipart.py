"""Forms with files: whatever is put in comes out again, and nothing becomes another field."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.headers import Headers
from fairlead.spec.multipart import FormFile, FormPart, build_form
from fairlead.spec.multipart import read_form as read_form_body
from fairlead.testing.exchange import FakeRequest
from fairlead.testing.forms import Part, read_form

_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%\r\n"), min_size=1, max_size=12)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def read(fields: list[tuple[str, str]], files: list[FormFile]) -> list[Part]:
    kind, body = build_form(fields, files)
    request = FakeRequest(method="POST", path="/", query=(), headers=Headers([("content-type", kind)]), body=body)
    return read_form(request)


@given(
    st.lists(st.tuples(_NAMES, _TEXTS), max_size=4),
    st.lists(st.builds(FormFile, _NAMES, _NAMES, st.just("image/png"), st.binary(max_size=40)), max_size=3),
)
def test_what_is_put_in_comes_out(fields: list[tuple[str, str]], files: list[FormFile]) -> None:
    expected = [Part(name, text.encode()) for name, text in fields]
    expected += [Part(each.field, each.content, each.name, each.type) for each in files]
    assert read(fields, files) == expected


def test_a_name_cannot_begin_another_field() -> None:
    evil = 'a"\r\nContent-Type: text/html\r\n\r\n--x'
    (field, file) = read([(evil, "1")], [FormFile("f", evil, "text/plain", b"2")])
    assert (field.name, field.content, field.type) == (evil, b"1", "text/plain")
    assert (file.file_name, file.content) == (evil, b"2")


def test_what_ends_one_form_does_not_end_another() -> None:
    _, inner = build_form([("a", "b")])
    assert read([("a", inner.decode())], [])[0].content == inner


def test_the_same_form_is_the_same_bytes_and_another_is_not() -> None:
    assert build_form([("a", "b")]) == build_form([("a", "b")])
    assert build_form([("a", "b")])[0] != build_form([("a", "c")])[0]


@given(
    st.lists(st.tuples(_NAMES, _TEXTS), min_size=1, max_size=4),
    st.lists(st.builds(FormFile, _NAMES, _NAMES, st.just("image/png"), st.binary(max_size=40)), max_size=3),
)
def test_what_is_built_is_read_by_its_body_alone(fields: list[tuple[str, str]], files: list[FormFile]) -> None:
    expected = [FormPart(name=name, content=text.encode()) for name, text in fields]
    expected += [FormPart(name=each.field, content=each.content, file_name=each.name, type=each.type) for each in files]
    assert read_form_body(build_form(fields, files)[1]) == expected


@given(st.binary(max_size=200))
def test_what_is_no_form_is_refused_and_nothing_else_happens(body: bytes) -> None:
    for each in (body, b"--x\r\n" + body, build_form([("a", "b")])[1][:-6] + body):
        try:
            read_form_body(each)
        except ValueError:
            continue
