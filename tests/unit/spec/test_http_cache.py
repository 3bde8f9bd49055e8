"""The rules of RFC 9111, section by section. How they meet a store is in `tests/unit/runtime/test_http_caching.py`."""

from __future__ import annotations

from email.utils import formatdate
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.headers import Headers
from fairlead.model.lives import Lives
from fairlead.spec.http_cache import (
    CacheControl,
    as_asked,
    conditions,
    confirms,
    control_of,
    freshened,
    initial_age_s,
    lifetime_s,
    lives_of,
    may_store,
    parse_cache_control,
    varies_on,
)

NOW = 1_767_268_800.0


def at(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


def fields(**headers: str) -> Headers:
    return Headers([(name.replace("_", "-"), value) for name, value in headers.items()])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", {}),
        ("no-store", {"no_store": True}),
        ("No-Store, NO-CACHE", {"no_store": True, "no_cache": True}),
        ('no-cache="set-cookie, x", max-age=5', {"no_cache": True, "max_age_s": 5}),
        ("must-revalidate,immutable,must-understand", {
            "must_revalidate": True, "immutable": True, "must_understand": True}),
        ("max-age=60, stale-while-revalidate=30, stale-if-error=600", {
            "max_age_s": 60, "stale_while_revalidate_s": 30, "stale_if_error_s": 600}),
        ('max-age="60"', {"max_age_s": 60}),
        ("max-age = 60", {"max_age_s": 60}),
        ("max-age=60, max-age=60", {"max_age_s": 60}),
        ("max-age=60, max-age=61", {"max_age_s": 0}),
        ("max-age", {"max_age_s": 0}),
        ("max-age=", {"max_age_s": 0}),
        ("max-age=-1", {"max_age_s": 0}),
        ("max-age=1.5", {"max_age_s": 0}),
        ("max-age=99999999999999999999", {"max_age_s": 2.0**31}),
        ("min-fresh=9, only-if-cached", {"min_fresh_s": 9, "only_if_cached": True}),
        ("min-fresh=x", {"min_fresh_s": inf}),
        ("max-stale", {"max_stale_s": 2.0**31}),
        ("max-stale=9", {"max_stale_s": 9}),
        ("max-stale=x", {"max_stale_s": 0}),
        ('ext="a, max-age=60", no-store', {"no_store": True}),
        (r'ext="a\", max-age=60", no-store', {"no_store": True}),
        ('ext="a, max-age=60', {}),  # the quote does not end
        ("private, public, s-maxage=5, proxy-revalidate, no-transform", {}),  # for others to heed
        ("max-ages=60, x-max-age=60", {}),
    ],
)  # fmt: skip
def test_section_5_2_the_directives_are_read(text: str, said: dict[str, Any]) -> None:
    assert parse_cache_control(text) == CacheControl(**said)


@given(st.text(max_size=60))
def test_whatever_a_vendor_writes_is_read(text: str) -> None:
    said = parse_cache_control(text)
    assert said.max_age_s is None or said.max_age_s >= 0


def test_section_5_2_several_lines_are_one() -> None:
    headers = Headers([("cache-control", "no-store"), ("Cache-Control", "max-age=5")])
    assert control_of(headers) == CacheControl(no_store=True, max_age_s=5)


@pytest.mark.parametrize(
    ("status", "headers", "is_stored"),
    [
        (200, {}, True),
        (203, {}, True),
        (204, {}, True),
        (404, {}, True),
        (410, {}, True),
        (206, {}, False),
        (201, {"cache_control": "max-age=60"}, False),
        (302, {"cache_control": "max-age=60"}, False),
        (500, {"cache_control": "max-age=60"}, False),
        (200, {"cache_control": "no-store"}, False),
        (200, {"cache_control": "no-store, max-age=60"}, False),
        (200, {"cache_control": "must-understand, no-store"}, True),  # §5.2.2.3
        (206, {"cache_control": "must-understand, no-store"}, False),
        (200, {"cache_control": "private"}, True),  # §5.2.2.7: we are private
        (200, {"cache_control": "no-cache"}, True),
        (200, {"vary": "*"}, False),
        (200, {"vary": "accept, *"}, False),
        (200, {"vary": "accept"}, True),
    ],
)
def test_section_3_what_may_be_stored(status: int, headers: dict[str, str], is_stored: bool) -> None:
    assert may_store(status, fields(**headers)) is is_stored


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ({}, ()),
        ({"vary": ""}, ()),
        ({"vary": "Accept-Language, accept,, ACCEPT "}, ("accept", "accept-language")),
        ({"vary": " * "}, None),
    ],
)
def test_section_4_1_what_an_answer_depends_on(headers: dict[str, str], names: tuple[str, ...] | None) -> None:
    assert varies_on(fields(**headers)) == names


@pytest.mark.parametrize(
    ("headers", "fresh_s"),
    [
        ({}, None),
        ({"cache_control": "max-age=60"}, 60),
        ({"cache_control": "max-age=0"}, 0),
        ({"cache_control": "s-maxage=60"}, None),  # for shared caches
        ({"cache_control": "max-age=60", "expires": at(5), "date": at(0)}, 60),  # the first that fits
        ({"expires": at(50), "date": at(-10)}, 60),
        ({"expires": at(50)}, 50),  # §4.2.1 with no Date: when it came
        ({"expires": at(-50), "date": at(0)}, 0),
        ({"expires": "0", "date": at(0)}, 0),  # §5.3: already expired
        ({"expires": "soon", "date": at(0)}, 0),
        ({"last_modified": at(-1000), "date": at(0)}, None),  # nobody guesses unless asked to
    ],
)
def test_section_4_2_1_how_long_it_is_fresh(headers: dict[str, str], fresh_s: float | None) -> None:
    assert lifetime_s(fields(**headers), now=NOW) == fresh_s


@pytest.mark.parametrize(
    ("headers", "fresh_s"),
    [
        ({"last_modified": at(-1000), "date": at(0)}, 100),
        ({"last_modified": at(-1000)}, 100),
        ({"last_modified": at(1000), "date": at(0)}, 0),
        ({"last_modified": at(-10_000_000), "date": at(0)}, 86_400),
        ({"last_modified": "long ago"}, None),
        ({"last_modified": at(-1000), "cache_control": "max-age=7"}, 7),
        ({"last_modified": at(-1000), "expires": at(8), "date": at(0)}, 8),
        ({}, None),
    ],
)
def test_section_4_2_2_guessing_where_it_is_wanted(headers: dict[str, str], fresh_s: float | None) -> None:
    assert lifetime_s(fields(**headers), now=NOW, guess_share=0.1) == fresh_s


@pytest.mark.parametrize(
    ("headers", "delay_s", "age_s"),
    [
        ({}, 0, 0),
        ({}, 3, 3),  # it may have been made when it was asked for
        ({"date": at(0)}, 2, 2),
        ({"date": at(-30)}, 2, 30),
        ({"date": at(30)}, 2, 2),  # a clock that is ahead makes nobody younger
        ({"age": "40", "date": at(-30)}, 2, 42),
        ({"age": "5", "date": at(-30)}, 2, 30),
        ({"age": "7, 900"}, 0, 7),  # §5.1: the first one
        ({"age": "-7"}, 0, 0),
        ({"age": "7.5"}, 0, 0),
        ({"age": "99999999999999"}, 0, 2.0**31),
        ({"date": "today"}, 0, 0),
    ],
)
def test_section_4_2_3_how_old_it_is_when_it_comes(headers: dict[str, str], delay_s: float, age_s: float) -> None:
    assert initial_age_s(fields(**headers), now=NOW, delay_s=delay_s) == age_s


@pytest.mark.parametrize(
    ("control", "fresh_s", "lives"),
    [
        ("max-age=60", 60, (60, 60, 160)),  # §4.2.4: as the configuration grants
        ("", None, (0, 0, 100)),
        ("max-age=60, stale-while-revalidate=30", 60, (60, 90, 160)),  # RFC 5861 §3
        ("max-age=60, stale-if-error=5", 60, (60, 60, 65)),  # RFC 5861 §4: the vendor's word before ours
        ("max-age=60, stale-if-error=0", 60, (60, 60, 60)),
        ("max-age=60, must-revalidate, stale-while-revalidate=9, stale-if-error=9", 60, (60, 60, 60)),  # §5.2.2.2
        ("max-age=60, no-cache, stale-if-error=9", 60, (0, 0, 0)),  # §5.2.2.4
    ],
)
def test_section_4_2_4_serving_what_is_stale(
    control: str, fresh_s: float | None, lives: tuple[float, float, float]
) -> None:
    assert lives_of(fields(cache_control=control), fresh_s=fresh_s, stale_if_error_s=100) == Lives(*lives)


@pytest.mark.parametrize(
    ("asked", "kept", "lives"),
    [
        ("", "", (60, 90, 160)),
        ("no-cache", "", (0, 0, 0)),  # §5.2.1.4
        ("no-cache", "immutable", (0, 0, 0)),
        ("max-age=20", "", (20, 20, 20)),  # §5.2.1.1
        ("max-age=70", "", (60, 70, 70)),
        ("max-age=0", "immutable", (60, 90, 160)),  # RFC 8246 §2
        ("min-fresh=20", "", (40, 40, 40)),  # §5.2.1.3
        ("min-fresh=70", "", (0, 0, 0)),
        ("max-stale=50", "", (60, 110, 160)),  # §5.2.1.2
        ("max-stale", "must-revalidate", (60, 90, 160)),
        ("max-age=20, max-stale=5", "", (20, 90, 160)),
    ],
)
def test_section_5_2_1_what_the_request_asks_for(asked: str, kept: str, lives: tuple[float, float, float]) -> None:
    control = parse_cache_control(asked)
    assert as_asked(Lives(60, 90, 160), control, fields(cache_control=kept)) == Lives(*lives)


def test_section_4_3_1_a_request_carries_the_validators_that_there_are() -> None:
    assert conditions(fields(etag='W/"1"', last_modified=at(0))) == (
        ("if-none-match", 'W/"1"'),
        ("if-modified-since", at(0)),
    )
    assert conditions(fields(etag='"1"')) == (("if-none-match", '"1"'),)
    assert conditions(fields(date=at(0))) == ()


@pytest.mark.parametrize(
    ("kept", "said", "is_confirmed"),
    [
        ({"etag": '"1"'}, {}, True),
        ({"etag": '"1"'}, {"etag": '"1"'}, True),
        ({"etag": '"1"'}, {"etag": '"2"'}, False),
        ({"etag": 'W/"1"'}, {"etag": '"1"'}, False),  # a strong one is compared to the letter
        ({"etag": '"1"'}, {"etag": 'W/"1"'}, True),
        ({"last_modified": at(0)}, {"last_modified": at(0)}, True),
        ({"last_modified": at(0)}, {"last_modified": at(1)}, False),
    ],
)
def test_section_4_3_4_which_answer_a_304_is_about(
    kept: dict[str, str], said: dict[str, str], is_confirmed: bool
) -> None:
    assert confirms(fields(**kept), fields(**said)) is is_confirmed


def test_section_3_2_a_304_brings_the_fields_up_to_date() -> None:
    kept = Headers([
        ("Content-Type", "text/plain"), ("Content-Length", "9"), ("X-Old", "1"), ("Cache-Control", "max-age=1"),
        ("Age", "50"), ("X-Two", "a"), ("X-Two", "b"),
    ])  # fmt: skip
    said = Headers([("cache-control", "max-age=60"), ("content-length", "0"), ("x-two", "c"), ("connection", "close")])
    assert dict(freshened(kept, said)) == {
        "content-type": "text/plain", "content-length": "9", "x-old": "1", "cache-control": "max-age=60", "x-two": "c",
    }  # fmt: skip
