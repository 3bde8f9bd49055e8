"""Each pager against a model of an API that pages in its style."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import HostBlockedError, InvalidArgumentError, UnexpectedAnswerError
from fairlead.model.message import Request, Response
from fairlead.spec.pagination import ByCursor, ByLink, ByOffset, ByPage, ByUrl, Pager, Pagination, Position, Seen, Style
from paged_api import APIS, BASE, ITEMS_AT, Api, reply

FIRST = Request.get("/things", query={"q": "x"}, headers={"x-a": "1"})
CANARY = "canary-8731"


class Thing(msgspec.Struct):
    id: int


def open_pager(pagination: Pagination, position: Any = None, first: Request = FIRST) -> Pager:
    return Pager(
        pagination,
        first,
        base_url=BASE,
        position=position,
        is_credential=lambda name, value: name == "key" or value == CANARY,
    )


def walk(
    pager: Pager, serve: Callable[[Request], Response], pages: int = 10_000
) -> tuple[list[tuple[int, ...]], list[Position]]:
    """Return the pages, and the position after each."""
    found: list[tuple[int, ...]] = []
    positions: list[Position] = []
    while not pager.is_over and len(found) < pages:
        found.append(tuple(each.id for each in pager.take(serve(pager.request()), Thing)))
        positions.append(pager.position())
    return found, positions


def joined(pages: list[tuple[int, ...]]) -> list[int]:
    return [each for page in pages for each in page]


sizes = st.integers(1, 7)
totals = st.integers(0, 25)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
@given(total=totals, size=sizes)
def test_every_item_comes_once_and_in_order(api: Api, total: int, size: int) -> None:
    pages, positions = walk(open_pager(api.pagination()), api.serve(range(total), size))
    assert joined(pages) == list(range(total))
    assert [each.get("is_over", False) for each in positions] == [False] * (len(pages) - 1) + [True]
    assert len(pages) <= -(-total // size) + 1


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
@given(total=totals, size=sizes)
def test_any_position_gives_the_rest(api: Api, total: int, size: int) -> None:
    serve = api.serve(range(total), size)
    pages, positions = walk(open_pager(api.pagination()), serve)
    for at, position in enumerate(positions, 1):
        saved = json.loads(json.dumps(position))
        rest, _ = walk(open_pager(api.pagination(), saved), serve)
        assert joined(rest) == joined(pages[at:])


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
@given(total=totals, size=sizes, wanted=st.integers(0, 5))
def test_no_more_is_asked_than_is_wanted(api: Api, total: int, size: int, wanted: int) -> None:
    asked: list[Request] = []

    def serve(request: Request) -> Response:
        asked.append(request)
        return api.serve(range(total), size)(request)

    pages, _ = walk(open_pager(api.pagination()), serve, wanted)
    assert len(asked) == len(pages) <= wanted
    assert all(dict(each.query)["q"] == "x" and each.headers == FIRST.headers for each in asked)
    assert all(before.query != after.query for before, after in pairwise(asked))


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_an_answer_that_cannot_be_read_changes_nothing(api: Api) -> None:
    serve, pager = api.serve(range(10), 3), open_pager(api.pagination())
    pager.take(serve(pager.request()), Thing)
    before, request = pager.position(), pager.request()
    for bad in (b"<html>", b'{"data": {}}', b'{"data": {"items": [{"id": "x"}]}}', b"[]"):
        with pytest.raises(UnexpectedAnswerError):
            pager.take(Response(status=200, headers=serve(request).headers, body=bad), Thing)
        assert (pager.position(), pager.request()) == (before, request)
    assert joined(walk(pager, serve)[0]) == list(range(3, 10))


# --- Lists that do not end ------------------------------------------------------------------------------------------


@given(lead=st.integers(0, 30), lap=st.integers(1, 30))
def test_cursors_that_go_in_circles_are_noticed_before_a_page_comes_twice(lead: int, lap: int) -> None:
    def serve(request: Request) -> Response:
        at = int(dict(request.query).get("cursor", "0"))
        return reply({"items": [{"id": at}], "next": at + 1 if at + 1 < lead + lap else max(1, lead)})

    pager = open_pager(Pagination(style=ByCursor(at=("next",)), items_at=("items",)))
    pages, _ = walk(pager, serve, max(lead + lap, 2))
    assert joined(pages) == list(range(max(lead + lap, 2)))
    with pytest.raises(UnexpectedAnswerError, match="goes in circles"):
        pager.request()
    assert not pager.is_over


@pytest.mark.parametrize("style", [ByUrl(), ByLink()])
def test_an_address_that_leads_to_itself_or_to_the_beginning_is_noticed(style: Style) -> None:
    for path in ("/v1/things?q=x", "?q=x", f"{BASE}/things?q=x"):
        pager = open_pager(Pagination(style=style, items_at=("items",)))
        pager.take(reply({"items": [{"id": 1}], "next": path}, link=f"<{path}>; rel=next"), Thing)
        with pytest.raises(UnexpectedAnswerError, match="goes in circles"):
            pager.request()


def test_the_position_after_a_page_whose_successor_cannot_be_had_is_that_of_the_page() -> None:
    pagination = Pagination(style=ByUrl(), items_at=("items",))
    pager = open_pager(pagination)
    pager.take(reply({"items": [], "next": "/v1/things?from=1"}), Thing)
    here = pager.position()
    assert len(pager.take(reply({"items": [{"id": 1}], "next": "https://else.test/"}), Thing)) == 1
    assert pager.position() == here
    mended = open_pager(pagination, here)
    assert mended.request().query == (("from", "1"),)


@pytest.mark.parametrize("style", [ByOffset(), ByPage()])
def test_a_vendor_that_passes_over_the_parameter_is_noticed(style: Style) -> None:
    pager = open_pager(Pagination(style=style, items_at=("items",)))
    same = reply({"items": [{"id": 1}, {"id": 2}]})
    pager.take(same, Thing)
    with pytest.raises(UnexpectedAnswerError, match="sent the same page twice"):
        pager.take(same, Thing)


def test_a_list_is_bounded() -> None:
    pagination = Pagination(style=ByPage(), items_at=("items",), max_pages=3)
    pager, numbers = open_pager(pagination), count()
    with pytest.raises(UnexpectedAnswerError, match="more than 3 pages"):
        walk(pager, lambda _: reply({"items": [{"id": next(numbers)}]}))
    assert next(numbers) == 3
    assert open_pager(pagination, pager.position()).request().query[-1] == ("page", "4")


@given(lap=st.integers(1, 6000))
def test_even_a_long_circle_is_found_and_memory_stays_the_same(lap: int) -> None:
    seen = Seen()
    noticed = next(at for at in count() if seen.note(str(at % lap)))
    assert lap <= noticed <= 4 * lap
    assert len(seen._last) == len(seen._order) <= 1024


def test_what_does_not_repeat_is_never_taken_for_a_circle() -> None:
    seen = Seen()
    assert not any(seen.note(str(at)) for at in range(50_000))


# --- Addresses of the vendor's --------------------------------------------------------------------------------------


def after(link: str) -> Pager:
    pager = open_pager(Pagination(style=ByUrl(), items_at=("items",)))
    pager.take(reply({"items": [], "next": link}), Thing)
    return pager


@pytest.mark.parametrize(
    "link",
    [
        "https://other.test/v1/things",
        "http://shop.test/v1/things",
        "https://shop.test:8443/v1/things",
        "//other.test/v1/things",
        "https://shop.test@other.test/v1/things",
        "https://shop.test/v2/things",
        "https://shop.test/v1x/things",
        "https://shop.test/v1/../admin",
        "https://shop.test/v1/%2e%2e/admin",
        "/admin",
        "ftp://shop.test/v1/things",
        "javascript:alert(1)",
        f"/v1/{CANARY}/things",
    ],
)
def test_an_address_elsewhere_is_not_followed(link: str) -> None:
    with pytest.raises(HostBlockedError) as caught:
        after(link).request()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("link", ["https://[::1", "https://shop.test:port/v1/things", "/v1/a b", "/v1/things\r\nX: 1"])
def test_an_address_that_is_none(link: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match="cannot be read"):
        after(link).request()


@pytest.mark.parametrize(
    ("link", "path", "query"),
    [
        ("https://shop.test/v1/things?from=2", "/things", (("from", "2"),)),
        ("https://SHOP.test:443/v1/things?from=2#top", "/things", (("from", "2"),)),
        ("/v1/others?a=%C3%BC&a=&b=1%202", "/others", (("a", "ü"), ("a", ""), ("b", "1 2"))),
        ("?from=2", "/things", (("from", "2"),)),
        ("others", "/others", ()),
        ("https://shop.test/v1?from=2", "/", (("from", "2"),)),
    ],
)
def test_an_address_below_the_base_url_is_followed(link: str, path: str, query: tuple[tuple[str, str], ...]) -> None:
    request = after(link).request()
    assert (request.path, request.query, request.headers) == (path, query, FIRST.headers)


def test_credentials_in_an_address_are_taken_out() -> None:
    link = f"https://me:{CANARY}@shop.test/v1/things?key={CANARY}&from=2&Access_Token={CANARY}&x={CANARY}"
    pager = after(link)
    assert pager.request().query == (("from", "2"),)
    assert CANARY not in json.dumps(pager.position())


# --- Small print ----------------------------------------------------------------------------------------------------


def test_the_size_of_a_page_is_asked_for_unless_the_query_has_its_own() -> None:
    pagination = Pagination(style=ByPage(), size_param="limit", size=50)
    assert open_pager(pagination).request().query == (("q", "x"), ("limit", "50"), ("page", "1"))
    own = Request.get("/things", query={"limit": 7})
    assert open_pager(pagination, first=own).request().query == (("limit", "7"), ("page", "1"))


def test_the_query_may_not_have_the_parameter_that_pages() -> None:
    with pytest.raises(InvalidArgumentError, match="The query has 'page'"):
        open_pager(Pagination(style=ByPage()), first=Request.get("/things", query={"page": 3}))


def test_a_vendor_that_caps_the_size_of_a_page_skips_no_item() -> None:
    api = APIS[0]
    pages, _ = walk(open_pager(api.pagination(size_param="limit", size=100)), api.serve(range(10), 3))
    assert joined(pages) == list(range(10))


@pytest.mark.parametrize("value", [None, "", 0, False])
def test_a_cursor_that_is_nothing_ends_the_list(value: Any) -> None:
    pager = open_pager(Pagination(style=ByCursor(at=("next",)), items_at=("items",)))
    pager.take(reply({"items": [{"id": 1}], "next": value}), Thing)
    assert pager.is_over
    with pytest.raises(InvalidArgumentError, match="The list is over"):
        pager.request()


@pytest.mark.parametrize("value", [{"a": 1}, [1], 1.5, True])
def test_a_cursor_that_is_none_is_told_with_its_path(value: Any) -> None:
    pager = open_pager(Pagination(style=ByCursor(at=("meta", "next")), items_at=("items",)))
    with pytest.raises(UnexpectedAnswerError) as caught:
        pager.take(reply({"items": [], "meta": {"next": value}}), Thing)
    assert caught.value.path == "$.meta.next"


def test_an_empty_page_in_the_middle_does_not_end_a_list_of_cursors() -> None:
    pager = open_pager(Pagination(style=ByCursor(at=("next",)), items_at=("items",)))
    pager.take(reply({"items": [], "next": "b"}), Thing)
    assert pager.request().query[-1] == ("cursor", "b")


def test_the_last_item_must_have_its_cursor() -> None:
    pager = open_pager(Pagination(style=ByCursor(of_last=("key",)), items_at=("items",)))
    with pytest.raises(UnexpectedAnswerError, match=r"nothing at \$\.key"):
        pager.take(reply({"items": [{"id": 1}]}), Thing)


def test_a_list_that_is_left_out() -> None:
    nothing = reply({"total": 0})
    with pytest.raises(UnexpectedAnswerError, match=r"nothing at \$\.data\.items"):
        open_pager(Pagination(style=ByPage(), items_at=ITEMS_AT)).take(nothing, Thing)
    for content in ({"total": 0}, {"data": {"items": None}}):
        pager = open_pager(Pagination(style=ByPage(), items_at=ITEMS_AT, may_lack_items=True))
        assert pager.take(reply(content), Thing) == ()
        assert pager.is_over


def test_what_does_not_fit_is_told_with_its_whole_path() -> None:
    pager = open_pager(Pagination(style=ByPage(), items_at=ITEMS_AT))
    with pytest.raises(UnexpectedAnswerError) as caught:
        pager.take(reply({"data": {"items": [{"id": 1}, {"id": CANARY}]}}), Thing)
    assert caught.value.path == "$.data.items[1].id"
    assert CANARY not in str(caught.value)


def test_a_body_that_is_the_list_itself() -> None:
    pager = open_pager(Pagination(style=ByPage()))
    assert pager.take(reply([{"id": 1}]), Thing) == (Thing(1),)


@pytest.mark.parametrize(
    "position",
    [
        {},
        {"path": "/things", "style": "offset", "next": 3},
        {"path": "/others", "style": "page", "next": 3},
        {"path": "/things", "style": "page", "next": "3"},
        {"path": "/things", "style": "page", "next": -1},
        {"path": "/things", "style": "page", "next": True},
        {"path": "/things", "style": "page", "next": None, "is_over": "yes"},
    ],
)
def test_a_position_of_another_list_is_refused(position: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="not one of this list"):
        open_pager(Pagination(style=ByPage()), position)


@pytest.mark.parametrize("value", ["//other.test/", "https://other.test/", "/../admin", "things"])
def test_a_forged_position_leads_nowhere_else(value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not one of this list"):
        open_pager(Pagination(style=ByUrl()), {"path": "/things", "style": "next_url", "next": value})
