"""One reading, however the vendor writes it; garbage means nothing, and a wrong clock does no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.headers import Headers
from fairlead.providers.spoonacular import PROVIDER as SPOONACULAR
from fairlead.spec.fields import parse_items
from fairlead.spec.limits import Reading, parse_limits, parse_reset
from fairlead.spec.provider import LimitHeaders, Reset

DATE = "Tue, 20 Aug 2013 14:50:41 GMT"
SENT = 1_377_010_241.0


def read(*pairs: tuple[str, str], declared: tuple[LimitHeaders, ...] = (), now: float = SENT) -> tuple[Reading, ...]:
    return parse_limits(Headers(pairs), declared, now=now)


def one(*pairs: tuple[str, str], declared: tuple[LimitHeaders, ...] = (), now: float = SENT) -> Reading:
    (reading,) = read(*pairs, declared=declared, now=now)
    return reading


# --- The families -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "reset", "reset_s"),
    [
        ("X-RateLimit", "1377013266", 3025),  # GitHub
        ("x-rate-limit", "1377010301", 60),  # X, Okta
        ("RateLimit", "17", 17),  # the draft's revisions 0 to 6; Resend
        ("X-Ratelimit", "295", 295),  # Reddit
        ("X-RateLimit", "1377010251000", 10),
        ("X-RateLimit", "1377010251.5", 10.5),  # Discord
        ("X-RateLimit", "2013-08-20T14:51:41.293Z", 60.293),  # Mastodon
        ("X-RateLimit", "Tue, 20 Aug 2013 14:51:11 GMT", 30),
        ("X-RateLimit", "6m0s", 360),  # OpenAI
        ("X-RateLimit", "1s", 1),
        ("X-RateLimit", "20ms", 0.02),
    ],
)
def test_limit_remaining_and_reset(prefix: str, reset: str, reset_s: float) -> None:
    reading = one(
        ("Date", DATE), (f"{prefix}-Limit", "60"), (f"{prefix}-Remaining", "7"), (f"{prefix}-Reset", reset), now=0.0
    )
    assert (reading.limit, reading.remaining) == (60, 7)
    assert reading.reset_s == pytest.approx(reset_s)


def test_a_clock_that_is_off_does_no_harm() -> None:
    """The vendor's clock is a year slow, and so is its reset."""
    late = SENT - 365 * 86_400
    pairs = (("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", str(int(late + 40))))
    assert one(("Date", "Mon, 20 Aug 2012 14:50:41 GMT"), *pairs).reset_s == 40
    assert one(*pairs).reset_s == 0  # with no Date of its own, it is past


def test_used_makes_up_for_what_is_missing() -> None:
    assert one(("x-ratelimit-limit", "100"), ("x-ratelimit-used", "30")).remaining == 70
    assert one(("x-ratelimit-used", "30"), ("x-ratelimit-remaining", "12.5")).limit == 42.5


def test_of_several_values_the_tightest_counts() -> None:
    reading = one(
        ("RateLimit-Limit", "100, 100;w=60, 5000;w=3600"),
        ("RateLimit-Remaining", "4999, 59"),
        ("RateLimit-Reset", "3, 9"),
    )
    assert reading == Reading(limit=100, remaining=59, reset_s=9)


def test_a_reset_alone_is_a_reading() -> None:
    assert one(("X-RateLimit-Reset", "5")) == Reading(reset_s=5)  # Segment, when it refuses


def test_an_answer_that_says_nothing() -> None:
    assert read(("content-type", "application/json"), ("date", DATE)) == ()
    assert read(("x-limit-of-liability", "none"), ("x-ratelimit-resource", "core")) == ()


# --- The draft ----------------------------------------------------------------------------------------------------


def test_several_policies() -> None:
    assert read(
        ("RateLimit-Policy", '"permin";q=50;w=60,"perhr";q=1000;w=3600'),
        ("RateLimit", '"permin";r=20;t=31, "perhr";r=700;t=1800'),
    ) == (
        Reading(name="permin", limit=50, remaining=20, reset_s=31, window_s=60),
        Reading(name="perhr", limit=1000, remaining=700, reset_s=1800, window_s=3600),
    )


def test_lists_split_over_several_fields() -> None:
    readings = read(("RateLimit", '"a";r=1;t=2'), ("RateLimit", '"b";r=3'))
    assert [(each.name, each.remaining, each.reset_s) for each in readings] == [("a", 1, 2), ("b", 3, None)]


def test_partition_keys_and_unknown_parameters_are_comments() -> None:
    assert one(("RateLimit", '"default";r=999;pk=:dHJpYWwxMjEzMjM=:;acme-x="y";acme')).remaining == 999


def test_what_is_not_counted_in_requests_is_left_out() -> None:
    readings = read(
        ("RateLimit-Policy", '"bytes";q=65535;qu="content-bytes";w=10, "calls";q=9;qu="requests"'),
        ("RateLimit", '"bytes";r=1;t=10, "calls";r=4'),
    )
    assert [each.name for each in readings] == ["calls"]


@pytest.mark.parametrize(
    "text",
    [
        '"a";r=1,',
        '"a;r=1',
        '"a";r=-1',
        '"a";r=1.5',
        '"a";r',
        '"a";R=1',
        '("a" "b");r=1',
        '"a";t=5',
        '"a";r="1"',
        "\xff;r=1",
    ],
)
def test_a_malformed_field_is_ignored(text: str) -> None:
    assert read(("RateLimit", text)) == ()


def test_the_seventh_revision() -> None:
    assert one(("RateLimit", "limit=100, remaining=50, reset=5"), ("RateLimit-Policy", "100;w=60")) == Reading(
        limit=100, remaining=50, reset_s=5
    )


def test_the_draft_goes_before_a_family() -> None:
    assert one(("RateLimit", '"a";r=1'), ("X-RateLimit-Remaining", "9")).remaining == 1


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ('"a\\"b\\\\";x', [('a"b\\', {"x": True})]),
        ("a/b:c;q=?0; w=1.25", [("a/b:c", {"q": False, "w": 1.25})]),
        ("1;a=1;a=2 ,\t-2", [(1, {"a": 2}), (-2, {})]),
        ("1.", None),
        ("1.2345", None),
        ("1234567890123456", None),
        ("a b", None),
        (",a", None),
        ('"é"', None),
        ("a;q=", None),
    ],
)
def test_structured_lists(text: str, items: object) -> None:
    assert parse_items(text) == items


# --- Names of their own -------------------------------------------------------------------------------------------


def test_the_points_of_a_provider() -> None:
    headers = Headers((("X-API-Quota-Request", "1.01"), ("X-API-Quota-Used", "40.5"), ("X-API-Quota-Left", "9.5")))
    assert parse_limits(headers, SPOONACULAR.limits, now=0.0, quota_reset_s=600.0) == (
        Reading(name="points", limit=50, remaining=9.5, reset_s=600, is_quota=True),
    )


def test_used_of_limit_in_one() -> None:
    declared = (LimitHeaders(used_of_limit="x-shopify-shop-api-call-limit"),)
    reading = one(("X-Shopify-Shop-Api-Call-Limit", "32/40"), declared=declared)
    assert (reading.limit, reading.remaining) == (40, 8)
    assert read(("X-Shopify-Shop-Api-Call-Limit", "32 of 40"), declared=declared) == ()


def test_milliseconds_are_declared() -> None:
    declared = (LimitHeaders(limit="x-ratelimit-limit", reset="x-ratelimit-reset", reset_is=Reset.MILLISECONDS),)
    reading = one(("X-RateLimit-Limit", "100"), ("X-RateLimit-Reset", "500"), declared=declared)  # ImageKit
    assert (reading.reset_s, reading.remaining) == (0.5, None)


def test_a_declared_form_takes_no_other() -> None:
    assert parse_reset("1377010251", Reset.SECONDS, sent=SENT) is None  # 43 years
    assert parse_reset("10", Reset.EPOCH, sent=SENT) == 0
    assert parse_reset("6m0s", Reset.SECONDS, sent=SENT) is None
    assert parse_reset("1377010251000", Reset.EPOCH_MS, sent=SENT) == 10


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "-1", "1e9", "0x10", "nan", "inf", "²", "٣", "99999999", "2013-08-20T14:51:41"]
)
def test_a_reset_that_means_nothing(text: str) -> None:
    assert parse_reset(text, Reset.ANY, sent=SENT) is None


NAMES = [
    f"{family}{part}"
    for family in ("x-ratelimit", "x-rate-limit", "ratelimit")
    for part in ("-limit", "-remaining", "-used", "-reset")
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*NAMES, "ratelimit", "ratelimit-policy", "date", "x-api-quota-left", "x-api-quota-used"]),
            st.one_of(
                st.text(max_size=20),
                st.integers(-(10**20), 10**20).map(str),
                st.text(alphabet='";=,rtqw0123456789:?*. ', max_size=30),
            ),
        ),
        max_size=8,
    )
)
def test_no_header_does_harm(pairs: list[tuple[str, str]]) -> None:
    for reading in parse_limits(Headers(pairs), SPOONACULAR.limits, now=SENT):
        for number in (reading.limit, reading.remaining, reading.reset_s, reading.window_s):
            assert number is None or 0 <= number < float("inf")
