from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.headers import Headers
from fairlead.spec.links import link_to


@pytest.mark.parametrize(
    ("values", "target"),
    [
        (['<https://a.test/2>; rel="next"'], "https://a.test/2"),
        (["<https://a.test/2>;rel=next"], "https://a.test/2"),
        (["<https://a.test/2> ; REL = NEXT"], "https://a.test/2"),
        (['<a>; rel="prev", <b>; rel="next", <c>; rel="last"'], "b"),
        (["<a>; rel=prev", "<b>; rel=next"], "b"),
        (['<b>; rel="prefetch next https://a.test/rel"'], "b"),
        (['<https://a.test/?ids=1,2;3>; rel="next"'], "https://a.test/?ids=1,2;3"),
        (['<a>; title="x, <z>; rel=\\"next\\""; rel=prev, <b>; rel=next'], "b"),
        (["<a>; rel=prev; rel=next, <b>; rel=next"], "b"),  # of a repeated parameter the first counts
        (['<a>; anchor="#x"; rel=next, <b>; rel=next'], "b"),  # about something else
        ([", ,<b>;;rel=next;"], "b"),
        (["<>; rel=next"], ""),
        (["< b >; rel=next"], "b"),
        (["<a>; crossorigin; rel=next"], "a"),
        (['<a>; rel="nextpage"'], None),
        (["<a>; rel=prev"], None),
        (["<a>; title=next"], None),
        (["a; rel=next"], None),
        (["<a; rel=next"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_link_to_the_next_page(values: list[str], target: str | None) -> None:
    assert link_to(Headers(("Link", value) for value in values), "next") == target


@given(st.text(alphabet='<>;,=" \\relnxt*', max_size=200))
def test_no_header_does_harm(value: str) -> None:
    link_to(Headers([("link", value)]), "next")


def test_a_long_header_is_read_in_no_time() -> None:
    for piece in ("<a>" + ";" * 50_000, "<a>; rel=" + '"' * 50_000, "<a>;" + " " * 50_000, "," * 50_000):
        assert link_to(Headers([("link", piece)]), "next") is None
