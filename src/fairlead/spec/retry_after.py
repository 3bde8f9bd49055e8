"""The Retry-After header, in both its forms (RFC 9110 §10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from fairlead.model.headers import Headers

# More seconds than this has digits for would be decades: a mistake.
_MOST_DIGITS = 9


def parse_retry_after(headers: Headers, *, now: float) -> float | None:
    """Return the seconds to wait, or None where the header is missing or means nothing.

    A date is measured from the answer's own Date header, so that a wrong clock on either side does no harm;
    `now` (seconds since 1970) serves where there is none.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _MOST_DIGITS else None
    until = _instant(text)
    if until is None:
        return None
    sent = _instant(headers.get("date", ""))
    return max(0.0, until - (now if sent is None else sent))


def _instant(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        # RFC 9110 §5.6.7: the old form of C's asctime() names no zone, and means UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
