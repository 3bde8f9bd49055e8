from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.headers import Headers
from fairlead.spec.retry_after import parse_date, parse_retry_after

SENT = "Sun, 06 Nov 1994 08:49:07 GMT"
SENT_AT = 784_111_747.0


def parsed(text: str, date: str | None = None, now: float = SENT_AT) -> float | None:
    pairs = [("Retry-After", text), *([("Date", date)] if date is not None else [])]
    return parse_retry_after(Headers(pairs), now=now)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("30", 30), (" 120 ", 120), ("007", 7), ("2.0", 2), ("0.35", 0.35)]
)
def test_seconds(text: str, seconds: float) -> None:
    assert parsed(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_all_three_forms_of_a_date_mean_utc(text: str, zone: str, in_zone: None) -> None:
    assert parsed(text) == 30


@pytest.fixture
def in_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", zone)
        time.tzset()
        parse_date.cache_clear()
        yield
    time.tzset()


def test_a_date_is_measured_from_the_vendors_own_clock() -> None:
    assert parsed("Sun, 06 Nov 1994 08:49:37 GMT", SENT, now=0) == 30
    assert parsed("Sun, 06 Nov 1994 08:49:37 GMT", "rubbish", now=SENT_AT + 10) == 20


def test_a_date_that_is_past_is_now() -> None:
    assert parsed(SENT, now=SENT_AT + 1) == 0


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "-5", "1e3", "1.", ".5", "²", "٣", "Sun, 99 Nov 1994 08:49:37 GMT", "a;b", "0x10"]
)
def test_what_means_nothing(text: str) -> None:
    assert parsed(text) is None


def test_no_header() -> None:
    assert parse_retry_after(Headers(), now=0) is None


@given(st.text(), st.text())
def test_no_header_does_harm(text: str, date: str) -> None:
    seconds = parsed(text, date)
    assert seconds is None or seconds >= 0


@given(st.integers(min_value=0, max_value=10**6))
def test_both_forms_agree(seconds: int) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(SENT_AT + seconds))
    assert parsed(date, SENT) == parsed(str(seconds)) == seconds
