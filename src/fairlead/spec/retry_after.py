"""The Retry-After header, in both its forms (RFC 9110 §10.2.3), and the fractions of seconds that some vendors add."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from fairlead.model.headers import Headers

# More digits than these would be decades: a mistake. Some vendors write `2.0`.
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def parse_retry_after(headers: Headers, *, now: float) -> float | None:
    """Return the seconds to wait, or None where the header is missing or means nothing.

    A date is measured from the answer's own Date header, so that a wrong clock on either side does no harm;
    `now` (seconds since 1970) serves where there is none.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    until = parse_date(text)
    return None if until is None else max(0.0, until - time_of_answer(headers, now=now))


def time_of_answer(headers: Headers, *, now: float) -> float:
    """Return what the vendor's clock showed, by the answer's Date header; `now` where it has none."""
    sent = parse_date(headers.get("date", ""))
    return now if sent is None else sent


@lru_cache(maxsize=64)  # the answers of one second all have the same Date
def parse_date(text: str) -> float | None:
    """Return the seconds since 1970 of an HTTP date, in any of its forms (RFC 9110 §5.6.7), or None."""
    try:
        moment = parsedate_to_datetime(text)
        # The old form of C's asctime() names no zone, and means UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
